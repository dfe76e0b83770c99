"""The steps that a search is likely to run next, for workers that are idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field

from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.step import Fitted, Step
from xrfm_cli.tuning.search.trial import Trial, next_step, observe, other_fold_step

Known = Callable[[Step], Fitted | None]


@dataclass(slots=True, kw_only=True, eq=False)
class LookAhead:
    """Copies of the running trials, as far ahead as results are known."""

    problem: Problem
    copies: dict[int, Trial] = field(default_factory=dict)  # by trial number

    def steps(self, trial: Trial, *, rungs: int, known: Known) -> Iterator[Step]:
        """Yield the next unknown steps of a trial, up to some rungs beyond where it stands."""
        ahead = self._copy_of(trial)
        while ahead.status == "running" and ahead.rungs_done - trial.rungs_done < rungs:
            if ahead.phase == "other folds":
                yield from self._steps_of_folds(
                    ahead, trial.fold if trial.phase == "other folds" else 1, known
                )
                return
            step = next_step(self.problem, ahead)
            fitted = None
            if step is not None:
                fitted = known(step)
                if fitted is None:
                    yield step
                    return
            observe(self.problem, ahead, step, fitted)

    def forget(self, trial: Trial) -> None:
        """Drop what is known ahead of a trial."""
        self.copies.pop(trial.number, None)

    def forget_all(self) -> None:
        """Drop the results ahead of all trials, after candidates have changed."""
        self.copies.clear()

    def _copy_of(self, trial: Trial) -> Trial:
        ahead = self.copies.get(trial.number)
        if ahead is None or ahead.rungs_done < trial.rungs_done or ahead.learner is not trial.learner:
            ahead = copy(trial)
            ahead.paths, ahead.chosen_updates = list(trial.paths), list(trial.chosen_updates)
            self.copies[trial.number] = ahead
        return ahead

    def _steps_of_folds(self, trial: Trial, first: int, known: Known) -> Iterator[Step]:
        """Yield the next step of each of the other folds from ``first`` on."""
        for fold in range(first, len(self.problem.plan.folds)):
            following = self._step_of_fold(trial, fold, known)
            if following is not None:
                yield following

    def _step_of_fold(self, trial: Trial, fold: int, known: Known) -> Step | None:
        """Return the first unknown step of another fold; None if its last one is known."""
        alone = copy(trial)
        alone.fold, alone.rung, alone.feature_matrix = fold, 0, None
        while True:
            step = other_fold_step(self.problem, alone)
            fitted = known(step)
            if fitted is None:
                return step
            if not step.is_rung:
                return None
            alone.feature_matrix, alone.rung = fitted.path[-1].feature_matrix, step.rung + 1
