"""The steps of a search: read from the checkpoint, run by workers or run here, while there is time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from xrfm_cli.events import OnEvent
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.tuning.limits import FIRST_MODEL_SHARE
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.cost import product_rate
from xrfm_cli.tuning.search.look_ahead import LookAhead
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS, Pool
from xrfm_cli.tuning.search.run_step import fold_matrices, run_and_collect, size_of
from xrfm_cli.tuning.search.step import Fitted, Step, StepResult, StepRunner
from xrfm_cli.tuning.search.storage.checkpoint import Checkpoint
from xrfm_cli.tuning.search.trial import Trial, next_step
from xrfm_cli.tuning.search.trial_queue import TrialQueue
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult

AHEAD_RUNGS = (1, 2)  # rungs that idle workers run ahead of the search, of all trials before the next


class OutOfTime(Exception):  # noqa: N818  (a signal to stop, not an error)
    """The next step would not finish within the search's time."""


@dataclass(slots=True, kw_only=True, eq=False)
class SearchSteps:
    """Provides the results of steps and counts the time that they took."""

    problem: Problem
    budget: Budget
    result: SearchResult
    on_event: OnEvent
    checkpoint: Checkpoint | None
    pool: Pool | None  # None: steps run in this process
    queue: TrialQueue  # the trials whose steps are likely to follow
    began: float = 0.0  # on the clock
    seconds: float = 0.0  # of all steps, in whatever process they ran
    recalled_s: float = 0.0  # original seconds of the steps read from the checkpoint
    phase_end: float = math.inf  # on the clock: no trial begins, and no step ahead, that would end later
    ahead: LookAhead = field(init=False)

    def __post_init__(self) -> None:
        self.ahead = LookAhead(problem=self.problem)

    def forget(self, trial: Trial) -> None:
        """Drop the results of a trial that has ended."""
        self.ahead.forget(trial)
        if self.pool is not None:
            self.pool.forget(trial.number)

    def forget_all(self) -> None:
        """Drop the results ahead, after candidates have changed."""
        self.ahead.forget_all()

    def _known(self, step: Step) -> Fitted | None:
        """Return the outcome of a step if a worker has run it."""
        result = None if self.pool is None else self.pool.known(step)
        return None if result is None else result.fitted

    def run(self, step: Step) -> Fitted:
        """Run a step, or read it from the checkpoint; raise OutOfTime if it does not fit into the time."""
        step = self._timed(step)
        run: StepRunner = self._run_in_time
        if self.checkpoint is not None:
            run = self.checkpoint.wrap(run, self.problem, on_found=self._replay)
        result = run(step)
        self.seconds += result.seconds
        fitted = result.result()
        self.result.costs.record(size_of(self.problem, step), seconds=result.seconds, solves=fitted.solves)
        return fitted

    def may_begin(self, trial: Trial, now: float) -> bool:
        """Return whether a trial's next step is expected to end within the phase, or its result is known."""
        step = next_step(self.problem, trial)
        if step is None or self._ends_in_time(step, now):
            return True
        return self._known(step) is not None or self._is_stored(step)

    def _timed(self, step: Step) -> Step:
        """Return the step, whose AGOP updates end when time is short."""
        if not self.budget.deadline.is_set or self.problem.pins.fix_iterations:
            return step
        return replace(step, is_late=self._is_late)

    def _run_in_time(self, step: Step) -> StepResult:
        """Run a step if there is time for it and for all such steps that the trial still needs."""
        pool = self.pool if self.pool is not None and self.pool.takes(step) else None
        if pool is None or pool.known(step) is None:
            estimate = self.result.costs.estimate(size_of(self.problem, step), solves=step.solves)
            turns = step.remaining if pool is None else -(-step.remaining // max(1, len(pool.workers)))
            self._check_time(turns * estimate)
        result = None if pool is None else pool.obtain(step, look_ahead=self._look_ahead)
        if result is not None:
            for event in result.events:
                self.on_event(event)
            return result
        # Encoding depends on the columns, not on the kernel, so its time is not part of the step.
        fold_matrices(self.problem, step.fold, step.candidate)
        return run_and_collect(self.problem, step, on_event=self.on_event, clock=self.budget.clock)

    def _look_ahead(self) -> None:
        """Give idle workers the steps that are needed soonest; later rungs may turn out to be pruned."""
        assert self.pool is not None
        for rungs in AHEAD_RUNGS:
            for trial in self.queue.trials:
                if trial.status != "running":
                    continue
                for step in self.ahead.steps(trial, rungs=rungs, known=self._known):
                    if not self.pool.has_room():
                        return
                    if not self.pool.takes(step) or not self._ends_in_time(step, self.budget.clock()):
                        continue
                    if not self._is_stored(step):
                        self.pool.offer(self._timed(step))

    def _ends_in_time(self, step: Step, now: float) -> bool:
        """Return whether a step is expected to end within the phase; True if its kernel is unknown."""
        costs, size = self.result.costs, size_of(self.problem, step)
        if math.isinf(self.phase_end) or not costs.knows(size.family):
            return True
        return now + costs.estimate(size, solves=step.solves) <= self.phase_end

    def _is_stored(self, step: Step) -> bool:
        return self.checkpoint is not None and self.checkpoint.has(step, self.problem)

    def _replay(self, result: StepResult) -> None:
        """Take over a step of the checkpoint."""
        self._check_time(0.0)
        self.recalled_s += result.seconds
        for event in result.events:
            self.on_event(event)

    def _is_late(self) -> bool:
        """Return whether AGOP updates must end.

        The first model leaves half of the time for other folds, and room for what follows the search.
        """
        now = self.budget.clock()
        left = self.budget.left_for_models(self.result, now)
        if self.result.validation_results:
            return not self.budget.affords(self.result, left)
        spent = now - self.began
        return spent > FIRST_MODEL_SHARE * self.budget.length_s or left < self.problem.folds.encoding_s

    def _check_time(self, needed_s: float) -> None:
        """Raise OutOfTime if the work, with what follows the search, cannot finish in time."""
        budget = self.budget
        if not budget.deadline.is_set or not self.result.validation_results:
            return
        if not budget.affords(self.result, budget.left_for_models(self.result) - needed_s):
            raise OutOfTime


def rate_of_products(problem: Problem, budget: Budget, pool: Pool | None) -> float:
    """Return the rate of matrix products that steps begin with; infinite if no estimate is needed.

    The fastest product had a core of its own, so the rate is divided by the slowdown.
    """
    if not budget.deadline.is_set:
        return math.inf
    with compute_threads(1 if pool and problem.plan.rung_sizes[-1] <= MOST_ROWS else None):
        return product_rate(problem.data.device) / budget.deadline.slowdown()
