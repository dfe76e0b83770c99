"""The search: an Optuna study whose trials are pruned rung by rung."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from xrfm_cli.errors import NumericalError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.checkpoint import Checkpoint, run_and_tell
from xrfm_cli.tuning.search.cost import CostModel, product_rate, shrink_leaves
from xrfm_cli.tuning.search.pruning import REDUCTION, Halving, Similarity
from xrfm_cli.tuning.search.run_step import Fitted, Step, estimate_refit, rung_size, size_of
from xrfm_cli.tuning.search.sampler import StudyPlace, TrialStudy, open_study
from xrfm_cli.tuning.search.space import Candidate, SearchSpace
from xrfm_cli.tuning.search.trial import (
    OutOfTime,
    evaluate,
    rung_sizes,
    usual_solves,
)
from xrfm_cli.tuning.search.trial_records import Budget, RunningTrial, SearchResult, TrialRecord, quiet_optuna

FIRST_RUNGS = 2  # on few rows: a fit, and its kernel refinement
MOST_TOO_SLOW = 3  # consecutive candidates that cannot finish in time; that many end the search
FIRST_RUNG_SHARE = 0.25  # maximum share of the time for the first rung of the first configurations
GRACE_S = 1.5  # the first model may exceed the time limit by this, if that allows larger leaves
REFINEMENT_SHARE = 0.15  # additional share for refining the better half of them
FIRST_SHARE = 0.5  # share of the time after which AGOP updates stop until a first model is validated


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
    rate = float("inf") if budget.deadline is None else product_rate(problem.device)
    result = SearchResult(
        costs=CostModel(product_rate=rate), columns=len(problem.schema.features), classes=problem.n_classes
    )
    with quiet_optuna():
        study = open_study(
            space,
            first,
            seed=problem.seed,
            place=place,
            setting=f"{problem.compared_by} {problem.plan.scheme} {rung_sizes(problem)}",
            on_event=on_event,
            seconds_left=budget.length,
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
        )
        try:
            search.run(max(len(first), 1))
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
    waiting: list[RunningTrial] = field(default_factory=list)  # started and not ended
    too_slow: int = 0  # consecutive candidates that could not finish in time
    started: int = 0
    began: float = 0.0  # on the clock
    recalled_s: float = 0.0  # original seconds of the steps read from the checkpoint

    def run(self, configurations: int) -> None:
        """Run the first configurations side by side, then one trial after the other."""
        self.began = self.budget.clock()
        self._run_first_rung(configurations)
        self._refine_better_half(self.began + (FIRST_RUNG_SHARE + REFINEMENT_SHARE) * self.budget.length)
        for running in self._affordable_first():
            self._complete(running)
        while (following := self._next()) is not None:
            self._advance(following)
            self._complete(following)

    def validate_one(self) -> None:
        """If no trial has been fully evaluated yet, do so for the best that can continue."""
        begun = [r for r in self._best_first() if r.loss is not None and r.state == "running"]
        if begun and not self.result.validation_results:
            self._complete(begun[0])

    def close(self) -> None:
        """Record the unfinished trials and sort all records by trial number."""
        for running in list(self.waiting):
            running.state = "interrupted" if self.result.stopped_by == "interrupt" else "out of time"
            self._record(running)
        self.result.records.sort(key=lambda record: record.number)

    def _best_first(self) -> list[RunningTrial]:
        worst = float("inf")
        return sorted(self.waiting, key=lambda r: (worst if r.loss is None else r.loss, r.number))

    def _affordable_first(self) -> list[RunningTrial]:
        """Return the waiting trials, best first, with smaller leaves if the best could not finish otherwise.

        If even that takes too long, the quickest of all comes before it.
        """
        ranked = self._best_first()
        if self.budget.deadline is None or not ranked or ranked[0].loss is None:
            return ranked
        left = self.budget.deadline - self.budget.clock() - self.result.report_s + GRACE_S
        best = ranked[0]
        wanted = best.candidate.tree.leaf_size
        if "leaf_size" not in self.study.space.pinned:
            best.candidate = shrink_leaves(best.candidate, partial(self._seconds_to_end, best), left)
        if self._seconds_to_end(best) > left:
            leader = min(ranked, key=self._seconds_to_end)
            return [leader, *(running for running in ranked if running is not leader)]
        if (size := best.candidate.tree.leaf_size) < wanted:
            message = f"the time limit left room for leaves of at most {size:,} rows in the first model"
            self.on_event(Event(kind="fallback", message=message, count=1))
        return ranked

    def _seconds_to_end(self, running: RunningTrial, candidate: Candidate | None = None) -> float:
        """Return the expected seconds of a trial's remaining rungs and folds, and of its final fit.

        ``candidate`` replaces the trial's own candidate in the estimate.
        """
        costs, done = self.result.costs, len(running.solves)
        candidate = candidate or running.candidate
        stages = []
        for number, rows in enumerate(rung_sizes(self.problem)):
            solves = running.solves[number] if number < done else usual_solves(candidate, rows)
            size = rung_size(self.problem, candidate, rows)
            stages.append(costs.estimate(size, solves=solves))
        last = running.solves[-1] if done == len(stages) else usual_solves(candidate, rows)
        refit = estimate_refit(self.problem, costs, candidate, last_iterations=last - 1)
        return sum(stages[done:]) + (len(self.problem.plan.folds) - 1) * sum(stages) + refit

    def _may_start(self) -> bool:
        return self.budget.trials is None or self.started < self.budget.trials

    def _run_first_rung(self, size: int) -> None:
        """Run the first rung of the first configurations, as many as a share of the budget allows."""
        clock, began = self.budget.clock, self.budget.clock()
        last_start = began + FIRST_RUNG_SHARE * self.budget.length
        while self.started < size and self._may_start() and (not self.waiting or clock() < last_start):
            self._advance(self._open())

    def _next(self) -> RunningTrial | None:
        """Return a trial of another process that beats all evaluated here, or else a new trial."""
        self.study.refresh()
        best = min(
            (validation_result.loss for _, validation_result in self.result.validation_results),
            default=float("inf"),
        )
        found = self.study.better_elsewhere(best)
        if found is not None:
            message = f"trial {found[0]}, the best of another process, is evaluated here too"
            self.on_event(Event(kind="note", message=message))
            return self._begin(*found, found_elsewhere=True)
        return self._open() if self._may_start() else None

    def _refine_better_half(self, last_start: float) -> None:
        """Run the next rung of the better half: a configuration is comparable once its kernel is refined."""
        better = self._best_first()[: -(-len(self.waiting) // REDUCTION)]
        for running in better:
            if running.state == "running" and len(running.solves) < len(rung_sizes(self.problem)):
                now = self.budget.clock()
                if now >= last_start or self._lacks_time_for(running, now):
                    break
                self._advance(running)

    def _lacks_time_for(self, running: RunningTrial, now: float) -> bool:
        """Return whether not even the rest of this trial fits into the time, so that nothing may be added."""
        if self.budget.deadline is None:
            return False
        left = self.budget.deadline - now - self.result.report_s
        return self._seconds_to_end(running) > left

    def _open(self) -> RunningTrial:
        self.started += 1
        return self._begin(*self.study.ask())

    def _begin(self, number: int, candidate: Candidate, *, found_elsewhere: bool = False) -> RunningTrial:
        stages = evaluate(self.problem, candidate, trial=number, take=self._take)
        running = RunningTrial(
            number=number, candidate=candidate, stages=stages, found_elsewhere=found_elsewhere
        )
        self.waiting.append(running)
        return running

    def _advance(self, running: RunningTrial) -> None:
        """Run one more rung; the trial ends if there is none, if it fails or if time is up."""
        since, recalled_s = self.budget.clock(), self.recalled_s
        try:
            rung = running.stages.send(running.candidate if running.rungs_done else None)
        except NumericalError as fault:
            running.state = "failed"
            message = f"trial {running.number} failed: {fault}"
            self.on_event(Event(kind="fallback", message=message, count=1))
        except OutOfTime:
            running.state = "out of time"
        except KeyboardInterrupt:
            running.state = "interrupted"  # its generator has ended
            raise
        else:
            running.rungs_done += 1
            running.loss, running.score, running.validation_result = (
                rung.loss,
                rung.score,
                rung.validation_result,
            )
            running.candidate, running.solves = rung.candidate, rung.solves
            running.tries += rung.tries
            if running.validation_result is None:
                self.study.report(running.number, rung.loss, stages=running.rungs_done)
                self.halving.add(running.rungs_done, rung.loss, _similarity_of(running.candidate))
            else:
                running.state = "complete"
                self.halving.validated_families.add(running.candidate.family)
        ended = self.budget.clock()
        running.seconds += ended - since + self.recalled_s - recalled_s
        running.ended_s = ended - self.began + self.recalled_s

    def _complete(self, running: RunningTrial) -> None:
        """Run rung by rung until the trial is complete, pruned or out of time."""
        while running.state == "running":
            if self.result.validation_results and not self._may_go_on(running):
                running.state = "pruned"
            else:
                self._advance(running)
        self._record(running)
        # One candidate may be too slow for the time left while others are not.
        self.too_slow = self.too_slow + 1 if running.state == "out of time" else 0
        if self.too_slow == MOST_TOO_SLOW:
            raise OutOfTime

    def _may_go_on(self, running: RunningTrial) -> bool:
        """Return whether a trial continues to its next rung.

        The constant always does: it is very cheap, and what is worse than it is not worth keeping. So does a
        trial that another process has fully evaluated.
        """
        if running.candidate.family == "constant" or running.found_elsewhere or running.loss is None:
            return True
        return self.halving.goes_on(
            running.rungs_done,
            running.loss,
            _similarity_of(running.candidate),
            elsewhere=self.study.losses_elsewhere(running.rungs_done),
        )

    def _record(self, running: RunningTrial) -> None:
        self.waiting.remove(running)
        validation_result, loss = running.validation_result, running.loss
        if validation_result is not None:
            self.result.validation_results.append((running.number, validation_result))
        validated = None if validation_result is None else validation_result.loss
        self.study.tell(running.number, validated, is_pruned=loss is not None)
        self.result.records.append(
            TrialRecord(
                number=running.number,
                state=running.state,
                loss=loss,
                score=running.score,
                seconds=running.seconds,
                ended_s=running.ended_s,
                stages=running.rungs_done,
                iterations=None if validation_result is None else validation_result.iterations,
                tries=running.tries,
                params=running.candidate.to_dict(),
            )
        )
        _tell_progress(self.problem, self.budget, self.result, self.on_event)

    def _take(self, step: Step, times: int) -> Fitted:
        """Return a step's result from the checkpoint, or run it if ``times`` such steps fit into the time."""
        size, costs = size_of(self.problem, step), self.result.costs
        taken = None if self.checkpoint is None else self.checkpoint.find(step, self.problem)
        if self.budget.deadline is not None and "iterations" not in self.problem.pinned:
            step = replace(step, is_late=self._is_late)
        self._check_time(0.0 if taken else times * costs.estimate(size, solves=step.solves))
        if taken is None:
            # Encoding depends on the columns, not on the kernel, so its time is not part of the step.
            self.problem.fold(step.fold, step.candidate.encoding, step.candidate.transform)
            taken = run_and_tell(self.problem, step, on_event=self.on_event, clock=self.budget.clock)
            if self.checkpoint is not None:
                self.checkpoint.keep(step, self.problem, taken)
        else:
            self.recalled_s += taken.seconds
            for event in taken.events:
                self.on_event(event)
        fitted = taken.result()
        costs.record(size, seconds=taken.seconds, solves=fitted.solves)
        return fitted

    def _is_late(self) -> bool:
        """Return whether AGOP updates must end.

        The first model leaves half of the time for other folds, and room for what follows the search.
        """
        deadline, now = self.budget.deadline, self.budget.clock()
        if deadline is None:
            return False
        if self.result.validation_results:
            return not self.budget.affords(self.result, deadline - now)
        spent, after = now - self.began, self.result.report_s + self.problem.encoding_s
        return spent > FIRST_SHARE * self.budget.length or now + after > deadline

    def _check_time(self, needed_s: float) -> None:
        """Raise OutOfTime if the work, with what follows the search, cannot finish in time."""
        budget = self.budget
        if budget.deadline is None or not self.result.validation_results:
            return
        if not budget.affords(self.result, budget.deadline - budget.clock() - needed_s):
            raise OutOfTime


def _similarity_of(candidate: Candidate) -> Similarity:
    return Similarity(candidate.family, candidate.encoding.numeric)


def _tell_progress(problem: Problem, budget: Budget, result: SearchResult, on_event: OnEvent) -> None:
    best = min((j for _, j in result.validation_results), key=lambda j: j.loss, default=None)
    number = len(result.records)
    text = f"trial {number}" + (f" of {budget.trials}" if budget.trials else "")
    if best is not None:
        text += f", best {problem.metric.name} {best.score:.5g}"
    on_event(
        Event(
            kind="progress",
            message=text,
            done=number / budget.trials if budget.trials else None,
            count=number,
        )
    )
