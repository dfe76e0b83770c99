"""The trials that have begun and not ended, best first among those that can finish in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import CostModel, shrink_leaves
from xrfm_cli.tuning.search.pruning import REDUCTION
from xrfm_cli.tuning.search.run_step import estimate_refit, rung_size
from xrfm_cli.tuning.search.trial import Trial, rung_sizes, usual_solves


@dataclass(slots=True, kw_only=True, eq=False)
class TrialQueue:
    """Trials ordered by loss; those without one come last."""

    problem: Problem
    costs: CostModel
    on_event: OnEvent
    workers: int = 1  # processes that share the folds of a trial
    trials: list[Trial] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Return whether a trial has begun."""
        return any(trial.has_begun for trial in self.trials)

    def ranked(self) -> list[Trial]:
        """Return the trials, best first."""
        worst = float("inf")
        return sorted(
            self.trials, key=lambda trial: (worst if trial.loss is None else trial.loss, trial.number)
        )

    def better_half(self) -> list[Trial]:
        """Return the trials of the better half that have a rung left."""
        begun, rungs = [t for t in self.ranked() if t.has_begun], len(rung_sizes(self.problem))
        better = begun[: -(-len(begun) // REDUCTION)]
        return [trial for trial in better if trial.status == "running" and len(trial.solves) < rungs]

    def affordable(self, left_s: float) -> list[Trial]:
        """Return the trials, best first, with smaller leaves if the best could not finish in time otherwise.

        If even that takes too long, the quickest of all comes before it.
        """
        ranked = self.ranked()
        if left_s == float("inf") or not ranked or ranked[0].loss is None:
            return ranked
        best = ranked[0]
        wanted = best.candidate.tree.leaf_size
        if not self.problem.pins.fix_leaf_size:
            best.candidate = shrink_leaves(best.candidate, partial(self.seconds_to_end, best), left_s)
        if self.seconds_to_end(best) > left_s:
            quickest = min((trial for trial in ranked if trial.has_begun), key=self.seconds_to_end)
            return [quickest, *(trial for trial in ranked if trial is not quickest)]
        if (size := best.candidate.tree.leaf_size) < wanted:
            message = f"the time limit left room for leaves of at most {size:,} rows in the first model"
            self.on_event(Event(kind="fallback", message=message, count=1))
        return ranked

    def seconds_to_end(self, trial: Trial, candidate: Candidate | None = None) -> float:
        """Return the expected seconds of a trial's remaining rungs and folds, and of its final fit.

        ``candidate`` replaces the trial's own candidate in the estimate.
        """
        costs, done, sizes = self.costs, len(trial.solves), rung_sizes(self.problem)
        candidate = candidate or trial.candidate
        rungs = []
        for number, rows in enumerate(sizes):
            solves = trial.solves[number] if number < done else usual_solves(candidate, rows)
            rungs.append(costs.estimate(rung_size(self.problem, candidate, rows), solves=solves))
        last = trial.solves[-1] if done == len(sizes) else usual_solves(candidate, sizes[-1])
        refit = estimate_refit(self.problem, costs, candidate, last_iterations=last - 1)
        turns = -(-(len(self.problem.plan.folds) - 1) // self.workers)
        return sum(rungs[done:]) + turns * sum(rungs) + refit
