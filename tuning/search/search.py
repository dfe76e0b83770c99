"""The search: an Optuna study whose trials are pruned rung by rung."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from xrfm_cli.errors import NumericalError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.limits import FIRST_RUNG_SHARE, REFINEMENT_SHARE
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.pools.opening import open_pool
from xrfm_cli.tuning.search.progress import tell_progress
from xrfm_cli.tuning.search.pruning import Halving, similarity_of
from xrfm_cli.tuning.search.sampler import StudyPlace, TrialStudy, open_study
from xrfm_cli.tuning.search.search_steps import OutOfTime, SearchSteps, rate_of_products
from xrfm_cli.tuning.search.space import SearchSpace
from xrfm_cli.tuning.search.storage.checkpoint import Checkpoint
from xrfm_cli.tuning.search.trial import Trial, next_step, observe, rung_sizes
from xrfm_cli.tuning.search.trial_queue import TrialQueue
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult, TrialRecord, quiet_optuna

# Trials asked for before the present one has ended, to keep workers busy. The number must not depend on them:
# the sampler must know the same losses when it draws.
ASKED_AHEAD = 4
FIRST_RUNGS = 2  # on few rows: a fit, and its kernel refinement
MOST_TOO_SLOW = 3  # consecutive candidates that cannot finish in time; that many end the search


def search(
    problem: Problem,
    space: SearchSpace,
    first: list[dict[str, Any]],
    budget: Budget,
    *,
    on_event: OnEvent,
    checkpoint: Checkpoint | None = None,
    place: StudyPlace | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> SearchResult:
    """Evaluate candidates until the budget ends; the best of the first ones is always fully evaluated.

    ``first`` holds the sampler parameters of the configurations to try before it draws its own. All of them
    pass their first rung before the best continue, so a short budget is not spent on whichever came first.
    Later trials are pruned against all before them (:mod:`pruning`). A trial's randomness depends only on the
    seed and its number. Steps found in the checkpoint are not run again, so a stopped search can be resumed.
    In a shared study, other processes' trials count for the sampler and for pruning, and the best of them is
    evaluated here too if it beats all that were evaluated here.

    With several workers, of this machine or of a dask ``scheduler``, steps that the search needs next are run
    side by side. It takes their results in the same order as one process would, so the models are the same
    for any number of workers.
    """
    with quiet_optuna(), open_pool(problem, workers, scheduler, on_event) as pool:
        rate = rate_of_products(problem, budget, pool)
        result = SearchResult(costs=CostModel(product_rate=rate, directly=problem.data.device != "cpu"))
        study = open_study(
            space,
            first,
            seed=problem.data.seed,
            place=place,
            setting=f"{problem.scorer.compared_by} {problem.plan.scheme} {rung_sizes(problem)}",
            on_event=on_event,
            seconds_left=budget.length_s,
        )
        width = max(1, len(pool.workers)) if pool else 1
        queue = TrialQueue(problem=problem, costs=result.costs, on_event=on_event, workers=width)
        search = _Search(
            problem=problem,
            study=study,
            budget=budget,
            on_event=on_event,
            result=result,
            halving=Halving(
                rungs_on_few_rows=FIRST_RUNGS if len(rung_sizes(problem)) > 1 else 0,
                keeps_families=len(problem.plan.folds) == 1,
            ),
            first_trials=max(len(first), 1),
            queue=queue,
            steps=SearchSteps(
                problem=problem,
                budget=budget,
                result=result,
                on_event=on_event,
                checkpoint=checkpoint,
                pool=pool,
                queue=queue,
            ),
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
    result: SearchResult
    halving: Halving
    queue: TrialQueue  # asked for and not ended
    steps: SearchSteps
    first_trials: int = 1  # number of configurations to start before the search may converge
    too_slow: int = 0  # consecutive candidates that could not finish in time
    started: int = 0
    spent_s: float = 0.0  # from the beginning to the end of the last rung

    def run(self) -> None:
        """Run the first configurations side by side, then one trial after the other."""
        self.steps.began = self.budget.clock()
        self._tell_progress()
        self._run_first_rung()
        share, limits = FIRST_RUNG_SHARE + REFINEMENT_SHARE, self.problem.limits
        self._refine_better_half(self.steps.began + share * self.budget.length_s)
        ranked = self.queue.affordable(self.budget.left_for_models(self.result) + limits.first_model_grace_s)
        self.steps.forget_all()  # a candidate's leaves may have become smaller
        self.queue.trials = list(ranked)
        for trial in ranked:
            self._complete(trial)
        while (following := self._next_trial()) is not None:
            self._complete(following)

    def validate_one(self) -> None:
        """If no trial has been fully evaluated yet, evaluate the best one that can continue."""
        begun = [t for t in self.queue.ranked() if t.loss is not None and t.status == "running"]
        if begun and not self.result.validation_results:
            self._complete(begun[0])

    def close(self) -> None:
        """Record the unfinished trials and sort all records by trial number."""
        for trial in list(self.queue.trials):
            if trial.has_begun:
                trial.status = "interrupted" if self.result.stopped_by == "interrupt" else "out of time"
                self._record(trial)
            else:  # asked for ahead
                self.study.tell(trial.number, None)
        self.result.records.sort(key=lambda record: record.number)

    def _may_start(self) -> bool:
        return self.budget.trials is None or self.started < self.budget.trials

    def _run_first_rung(self) -> None:
        """Run the first rung of the first configurations until a share of the budget is spent.

        A configuration that is expected to end later than that waits until a model is validated.
        """
        self.steps.phase_end = end = self.budget.clock() + FIRST_RUNG_SHARE * self.budget.length_s
        waiting: set[int] = set()
        while (trial := self._following(self.first_trials, most=self.first_trials, but=waiting)) is not None:
            now = self.budget.clock() if self.queue.has_begun else -math.inf  # the first trial always begins
            if now >= end:
                break
            if self.steps.may_begin(trial, now):
                self._advance(trial)
            else:
                waiting.add(trial.number)
        self.steps.phase_end = math.inf

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
        if self.budget.has_converged(self.result):
            self.result.stopped_by = "converged"
            return None
        return self._following(ASKED_AHEAD)

    def _following(self, ahead: int, *, most: float = math.inf, but: Container[int] = ()) -> Trial | None:
        """Ask for trials ahead and return the next one to begin; None beyond ``most`` trials.

        In a shared study it asks for none ahead, because another process may run them sooner. Trials with
        the numbers ``but`` stay in the queue.
        """
        ahead = ahead if self.study.place is None else 1
        waiting = [trial for trial in self.queue.trials if not trial.has_begun and trial.number not in but]
        while self._may_start() and len(waiting) < ahead and self.started < most:
            self.started += 1
            waiting.append(self._enqueue(*self.study.ask()))
        return waiting[0] if waiting else None

    def _enqueue(self, number: int, candidate: Candidate, *, found_elsewhere: bool = False) -> Trial:
        trial = Trial.start(number, candidate, found_elsewhere=found_elsewhere)
        self.queue.trials.append(trial)
        return trial

    def _advance(self, trial: Trial) -> None:
        """Run one more rung; the trial ends if that was the last, if it fails or if time is up."""
        steps_s = self.steps.seconds
        try:
            self._run_rung(trial)
        except NumericalError as fault:
            trial.status, trial.failure = "failed", fault.message
            message = f"trial {trial.number} failed: {fault.message}"
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
                self.study.report(trial.number, trial.loss, rungs=trial.rungs_done)
                self.halving.add(trial.rungs_done, trial.loss, similarity_of(trial.candidate))
        trial.seconds += self.steps.seconds - steps_s
        self.spent_s = self.budget.clock() - self.steps.began
        trial.ended_s = self.spent_s + self.steps.recalled_s
        if trial.status == "running":
            self._tell_progress()

    def _tell_progress(self) -> None:
        """Report how far the search is."""
        rungs = len(rung_sizes(self.problem)) + 1  # with the refinement, or the other folds
        begun = [trial for trial in self.queue.trials if trial.has_begun]
        tell_progress(
            self.problem,
            self.budget,
            self.result,
            self.on_event,
            now=self.steps.began + self.spent_s,
            begun=len(begun),
            running=sum(min(1.0, trial.rungs_done / rungs) for trial in begun),
        )

    def _run_rung(self, trial: Trial) -> None:
        """Run the steps of a trial's next rung."""
        has_ended = False
        while not has_ended:
            step = next_step(self.problem, trial)
            fitted = None if step is None else self.steps.run(step)
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

        The constant always continues: it is very cheap, and models that are worse are not worth keeping. A
        trial that another process has fully evaluated continues too.
        """
        if trial.candidate.family == "constant" or trial.found_elsewhere or trial.loss is None:
            return True
        return self.halving.goes_on(
            trial.rungs_done,
            trial.loss,
            similarity_of(trial.candidate),
            elsewhere=self.study.losses_elsewhere(trial.rungs_done),
        )

    def _record(self, trial: Trial) -> None:
        self.queue.trials.remove(trial)
        self.steps.forget(trial)
        if trial.validation_result is not None:
            self.result.validation_results.append((trial.number, trial.validation_result))
        validated = None if trial.validation_result is None else trial.validation_result.loss
        self.study.tell(trial.number, validated, is_pruned=trial.loss is not None)
        self.result.records.append(TrialRecord.of(trial))
        self._tell_progress()
