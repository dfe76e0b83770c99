"""The search: an Optuna study whose trials are pruned rung by rung."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from xrfm_cli.errors import NumericalError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.limits import (
    FIRST_MODEL_GRACE_S,
    FIRST_MODEL_SHARE,
    FIRST_RUNG_SHARE,
    REFINEMENT_SHARE,
)
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.checkpoint import Checkpoint
from xrfm_cli.tuning.search.cost import CostModel, product_rate
from xrfm_cli.tuning.search.progress import tell_progress
from xrfm_cli.tuning.search.pruning import Halving, Similarity
from xrfm_cli.tuning.search.run_step import (
    Fitted,
    Step,
    StepResult,
    StepRunner,
    fold_matrices,
    run_and_collect,
    size_of,
)
from xrfm_cli.tuning.search.sampler import StudyPlace, TrialStudy, open_study
from xrfm_cli.tuning.search.space import Candidate, SearchSpace
from xrfm_cli.tuning.search.trial import Trial, next_step, observe, rung_sizes
from xrfm_cli.tuning.search.trial_queue import TrialQueue
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult, TrialRecord, quiet_optuna

FIRST_RUNGS = 2  # on few rows: a fit, and its kernel refinement
MOST_TOO_SLOW = 3  # consecutive candidates that cannot finish in time; that many end the search


class OutOfTime(Exception):  # noqa: N818  (a signal to stop, not an error)
    """The next step would not finish within the search's time."""


def search(
    problem: Problem,
    space: SearchSpace,
    first: list[dict[str, Any]],
    budget: Budget,
    *,
    on_event: OnEvent,
    checkpoint: Checkpoint | None = None,
    place: StudyPlace | None = None,
) -> SearchResult:
    """Evaluate candidates until the budget ends; the best of the first ones is always fully evaluated.

    ``first`` holds the sampler parameters of the configurations to try before it draws its own. All of them
    pass their first rung before the best continue, so a short budget is not spent on whichever came first.
    Later trials are pruned against all before them (:mod:`pruning`). A trial's randomness depends only on the
    seed and its number. Steps found in the checkpoint are not run again, so a stopped search can be resumed.
    In a shared study, other processes' trials count for the sampler and for pruning, and the best of them is
    evaluated here too if it beats all that were evaluated here.
    """
    # Without a deadline, no cost estimate is needed and the machine is not timed.
    rate = product_rate(problem.data.device) if budget.deadline.is_set else float("inf")
    result = SearchResult(costs=CostModel(product_rate=rate))
    with quiet_optuna():
        study = open_study(
            space,
            first,
            seed=problem.data.seed,
            place=place,
            setting=f"{problem.scorer.compared_by} {problem.plan.scheme} {rung_sizes(problem)}",
            on_event=on_event,
            seconds_left=budget.length_s,
        )
        has_few_rows = len(rung_sizes(problem)) > 1
        search = _Search(
            problem=problem,
            study=study,
            budget=budget,
            on_event=on_event,
            checkpoint=checkpoint,
            result=result,
            halving=Halving(
                rungs_on_few_rows=FIRST_RUNGS if has_few_rows else 0,
                keeps_families=len(problem.plan.folds) == 1,
            ),
            first_trials=max(len(first), 1),
            queue=TrialQueue(problem=problem, costs=result.costs, on_event=on_event),
        )
        try:
            search.run()
        except OutOfTime:
            search.result.stopped_by = "time"
        except KeyboardInterrupt:
            search.result.stopped_by = "interrupt"
            search.validate_one()
        search.close()
    return search.result


@dataclass(slots=True, kw_only=True, eq=False)
class _Search:
    """The state of a search: the study, the running trials and the results."""

    problem: Problem
    study: TrialStudy
    budget: Budget
    on_event: OnEvent
    checkpoint: Checkpoint | None
    result: SearchResult
    halving: Halving
    queue: TrialQueue  # started and not ended
    first_trials: int = 1  # number of configurations to start before the search may converge
    too_slow: int = 0  # consecutive candidates that could not finish in time
    started: int = 0
    began: float = 0.0  # on the clock
    recalled_s: float = 0.0  # original seconds of the steps read from the checkpoint

    def run(self) -> None:
        """Run the first configurations side by side, then one trial after the other."""
        self.began = self.budget.clock()
        self._run_first_rung()
        self._refine_better_half(self.began + (FIRST_RUNG_SHARE + REFINEMENT_SHARE) * self.budget.length_s)
        for trial in self.queue.affordable(self.budget.left_for_models(self.result) + FIRST_MODEL_GRACE_S):
            self._complete(trial)
        while (following := self._next_trial()) is not None:
            self._advance(following)
            self._complete(following)

    def validate_one(self) -> None:
        """If no trial has been fully evaluated yet, do so for the best that can continue."""
        begun = [t for t in self.queue.ranked() if t.loss is not None and t.status == "running"]
        if begun and not self.result.validation_results:
            self._complete(begun[0])

    def close(self) -> None:
        """Record the unfinished trials and sort all records by trial number."""
        for trial in list(self.queue.trials):
            trial.status = "interrupted" if self.result.stopped_by == "interrupt" else "out of time"
            self._record(trial)
        self.result.records.sort(key=lambda record: record.number)

    def _may_start(self) -> bool:
        return self.budget.trials is None or self.started < self.budget.trials

    def _run_first_rung(self) -> None:
        """Run the first rung of the first configurations, as many as a share of the budget allows."""
        clock, began = self.budget.clock, self.budget.clock()
        last_start = began + FIRST_RUNG_SHARE * self.budget.length_s
        while self.started < self.first_trials and self._may_start():
            if self.queue.trials and clock() >= last_start:
                break
            self._advance(self._start_trial())

    def _refine_better_half(self, last_start: float) -> None:
        """Run the next rung of the better half: a configuration is comparable once its kernel is refined."""
        for trial in self.queue.better_half():
            now = self.budget.clock()
            left = self.budget.left_for_models(self.result, now)
            if now >= last_start or self.queue.seconds_to_end(trial) > left:
                break
            self._advance(trial)

    def _next_trial(self) -> Trial | None:
        """Return a trial of another process that beats all evaluated here, or else a new trial."""
        self.study.refresh()
        best = min((found.loss for _, found in self.result.validation_results), default=float("inf"))
        found = self.study.better_elsewhere(best)
        if found is not None:
            message = f"trial {found[0]}, the best of another process, is evaluated here too"
            self.on_event(Event(kind="note", message=message))
            return self._enqueue(*found, found_elsewhere=True)
        if not self._may_start():
            return None
        if self.started >= self.first_trials and self.budget.has_converged(self.result):
            self.result.stopped_by = "converged"
            return None
        return self._start_trial()

    def _start_trial(self) -> Trial:
        self.started += 1
        return self._enqueue(*self.study.ask())

    def _enqueue(self, number: int, candidate: Candidate, *, found_elsewhere: bool = False) -> Trial:
        trial = Trial.start(number, candidate, found_elsewhere=found_elsewhere)
        self.queue.trials.append(trial)
        return trial

    def _advance(self, trial: Trial) -> None:
        """Run one more rung; the trial ends if that was the last, if it fails or if time is up."""
        since, recalled_s = self.budget.clock(), self.recalled_s
        try:
            self._run_rung(trial)
        except NumericalError as fault:
            trial.status = "failed"
            message = f"trial {trial.number} failed: {fault}"
            self.on_event(Event(kind="fallback", message=message, count=1))
        except OutOfTime:
            trial.status = "out of time"
        except KeyboardInterrupt:
            trial.status = "interrupted"
            raise
        else:
            if trial.status == "complete":
                self.halving.validated_families.add(trial.candidate.family)
            elif trial.loss is not None:
                self.study.report(trial.number, trial.loss, stages=trial.rungs_done)
                self.halving.add(trial.rungs_done, trial.loss, _similarity_of(trial.candidate))
        ended = self.budget.clock()
        trial.seconds += ended - since + self.recalled_s - recalled_s
        trial.ended_s = ended - self.began + self.recalled_s

    def _run_rung(self, trial: Trial) -> None:
        """Run the steps of a trial's next rung."""
        has_ended = False
        while not has_ended:
            step = next_step(self.problem, trial)
            fitted = None if step is None else self._run_step(step)
            has_ended = observe(self.problem, trial, step, fitted)

    def _complete(self, trial: Trial) -> None:
        """Run rung by rung until the trial is complete, pruned or out of time."""
        while trial.status == "running":
            if self.result.validation_results and not self._may_go_on(trial):
                trial.status = "pruned"
            else:
                self._advance(trial)
        self._record(trial)
        # One candidate may be too slow for the time left while others are not.
        self.too_slow = self.too_slow + 1 if trial.status == "out of time" else 0
        if self.too_slow == MOST_TOO_SLOW:
            raise OutOfTime

    def _may_go_on(self, trial: Trial) -> bool:
        """Return whether a trial continues to its next rung.

        The constant always does: it is very cheap, and what is worse than it is not worth keeping. So does a
        trial that another process has fully evaluated.
        """
        if trial.candidate.family == "constant" or trial.found_elsewhere or trial.loss is None:
            return True
        return self.halving.goes_on(
            trial.rungs_done,
            trial.loss,
            _similarity_of(trial.candidate),
            elsewhere=self.study.losses_elsewhere(trial.rungs_done),
        )

    def _record(self, trial: Trial) -> None:
        self.queue.trials.remove(trial)
        if trial.validation_result is not None:
            self.result.validation_results.append((trial.number, trial.validation_result))
        validated = None if trial.validation_result is None else trial.validation_result.loss
        self.study.tell(trial.number, validated, is_pruned=trial.loss is not None)
        self.result.records.append(TrialRecord.of(trial))
        tell_progress(self.problem, self.budget, self.result, self.on_event)

    def _run_step(self, step: Step) -> Fitted:
        """Run a step, or read it from the checkpoint; raise OutOfTime if it does not fit into the time."""
        if self.budget.deadline.is_set and not self.problem.pins.fix_iterations:
            step = replace(step, is_late=self._is_late)
        run: StepRunner = self._run_in_time
        if self.checkpoint is not None:
            run = self.checkpoint.wrap(run, self.problem, on_found=self._replay)
        result = run(step)
        fitted = result.result()
        self.result.costs.record(size_of(self.problem, step), seconds=result.seconds, solves=fitted.solves)
        return fitted

    def _run_in_time(self, step: Step) -> StepResult:
        """Run a step if there is time for it and for all such steps that the trial still needs."""
        estimate = self.result.costs.estimate(size_of(self.problem, step), solves=step.solves)
        self._check_time(step.remaining * estimate)
        # Encoding depends on the columns, not on the kernel, so its time is not part of the step.
        fold_matrices(self.problem, step.fold, step.candidate)
        return run_and_collect(self.problem, step, on_event=self.on_event, clock=self.budget.clock)

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


def _similarity_of(candidate: Candidate) -> Similarity:
    return Similarity(candidate.family, candidate.encoding.numeric)
