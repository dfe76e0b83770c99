"""Evaluate one candidate: growing subsamples of the first fold, then the other folds.

The first rung finds how many AGOP updates are worth making. The next rung has several times its rows and is
still cheap. It makes as many updates from the identity, and the expensive rungs continue with the feature
matrix that it learned. Between the first rung and the next, the kernel is refined under the learned feature
matrix.

The evaluation is a loop without hidden state: :func:`next_step` says what to run, and :func:`observe` stores
its result in the :class:`Trial`. Between rungs the trial may wait, or be pruned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.scorer import ValidationScore
from xrfm_cli.tuning.rows import TrialStatus
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.kernel_refinement import can_refine
from xrfm_cli.tuning.search.run_step import path_score
from xrfm_cli.tuning.search.step import REFINEMENT, WARM_START_USUAL_UPDATES, Fitted, Iterate, Step

Array = NDArray[np.float64]
Phase = Literal["rung", "refinement", "other folds"]
MORE_UPDATES = 1  # than the first rung chose, in a later rung that starts from the identity
AFRESH_USUAL_UPDATES = 3  # most rungs that start from the identity make no more
WARM_START_ITERATIONS = 5  # maximum AGOP updates in a rung that starts from a learned feature matrix
WARM_START_ROWS = 6_000  # no updates in a rung of more rows, where one costs more than it gains


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationResult:
    """A candidate at the end of its evaluation."""

    candidate: Candidate
    scores: Array  # decoded out-of-fold predictions (n_valid, 1 or classes), in the plan's order
    loss: float
    score: float  # value of the metric
    factor: float  # correction of the log target transform, otherwise 1
    iterations: int  # AGOP updates in total
    last_iterations: int  # of these, updates in the last rung
    feature_matrices: tuple[Tensor, ...]  # of each fold, in the columns of that fold's encoder
    temperature: float


@dataclass(slots=True, kw_only=True, eq=False)
class Trial:
    """A trial and the results of its evaluation so far."""

    number: int
    candidate: Candidate
    learner: Candidate  # the candidate as it began: it learns the first feature matrix of every fold
    found_elsewhere: bool = False  # by another process, which has fully evaluated it
    status: TrialStatus = "running"
    failure: str = ""  # why it failed
    # Where the evaluation stands:
    phase: Phase = "rung"
    fold: int = 0
    rung: int = 0
    feature_matrix: Tensor | None = None  # learned so far in this fold; None at its beginning
    updates: int = 0  # AGOP updates that the feature matrix has had
    paths: list[tuple[Iterate, ...]] = field(default_factory=list)  # of each fold's last rung
    # What it has found:
    chosen_updates: list[int] = field(default_factory=list)  # AGOP updates of each rung of the first fold
    solves: tuple[int, ...] = ()  # of each completed rung of the first fold
    rungs_done: int = 0
    loss: float | None = None
    score: float | None = None  # value of the metric
    tries: int = 0  # kernels tried in the refinement
    validation_result: ValidationResult | None = None
    # What it took:
    seconds: float = 0.0
    ended_s: float = 0.0  # end of its last rung so far, from the start of the search

    @classmethod
    def start(cls, number: int, candidate: Candidate, *, found_elsewhere: bool = False) -> Trial:
        """Return a trial that has not been evaluated yet."""
        return cls(number=number, candidate=candidate, learner=candidate, found_elsewhere=found_elsewhere)

    @property
    def has_begun(self) -> bool:
        """Return whether a step of it was run, or one was tried."""
        return self.status != "running" or self.loss is not None


def next_step(problem: Problem, trial: Trial) -> Step | None:
    """Return a running trial's next step, or None if it is a refinement that its kernel does not allow."""
    if trial.phase == "refinement":
        return _refinement_step(problem, trial)
    return _first_fold_step(problem, trial) if trial.phase == "rung" else other_fold_step(problem, trial)


def observe(problem: Problem, trial: Trial, step: Step | None, fitted: Fitted | None) -> bool:
    """Store the result of a step and move to the next; return whether a rung has ended.

    Then the trial's loss and score are those of the rung. After the last rung the trial is complete.
    """
    if trial.phase == "refinement":
        _observe_refinement(trial, fitted)
    elif step is None or fitted is None:
        raise ValueError("a rung needs the result of its step")
    elif trial.phase == "rung":
        _observe_first_fold(problem, trial, step, fitted.path)
    elif not _observe_other_fold(problem, trial, step, fitted.path):
        return False
    trial.rungs_done += 1
    return True


def evaluate(
    problem: Problem, candidate: Candidate, *, trial: int, run: Callable[[Step], Fitted]
) -> ValidationResult:
    """Evaluate one candidate to the end."""
    evaluated = Trial.start(trial, candidate)
    while evaluated.validation_result is None:
        step = next_step(problem, evaluated)
        observe(problem, evaluated, step, None if step is None else run(step))
    return evaluated.validation_result


def _first_fold_step(problem: Problem, trial: Trial) -> Step:
    """Return the step of a rung of the first fold."""
    sizes, rung, candidate = rung_sizes(problem), trial.rung, trial.candidate
    iterations = candidate.tree.leaf.iterations
    is_fresh = starts_afresh(candidate, sizes[rung])
    if rung and is_fresh:
        iterations = min(iterations, trial.chosen_updates[0] + MORE_UPDATES)
    elif rung:
        iterations = min(iterations, warm_start_iterations(sizes[rung]))
    return Step(
        trial=trial.number,
        fold=0,
        rung=rung,
        candidate=candidate,
        rows=sizes[rung],
        start=None if is_fresh else trial.feature_matrix,
        iterations=iterations,
        is_rung=rung < len(sizes) - 1,
        stop_early=not problem.pins.fix_iterations,
    )


def _observe_first_fold(problem: Problem, trial: Trial, step: Step, path: tuple[Iterate, ...]) -> None:
    """Choose the number of AGOP updates of a rung by its own loss."""
    scores = [path_score(problem, step, iterate) for iterate in path]
    best = int(np.argmin([score.loss for score in scores])) if step.stop_early else len(path) - 1
    trial.chosen_updates.append(best)
    trial.updates = best if step.start is None else trial.updates + best
    trial.solves += (len(path),)
    trial.feature_matrix = path[best].feature_matrix
    trial.loss, trial.score = scores[best].loss, scores[best].score
    if step.is_rung:
        if trial.rung == 0:
            trial.phase = "refinement"
        else:
            trial.rung += 1
        return
    trial.paths = [path]
    _begin_fold(problem, trial, 1)


def _refinement_step(problem: Problem, trial: Trial) -> Step | None:
    """Return the refinement of the kernel after the first rung."""
    rows = rung_sizes(problem)[0]
    if not can_refine(trial.candidate, rows):
        return None
    return Step(
        trial=trial.number,
        fold=0,
        rung=REFINEMENT,
        candidate=trial.candidate,
        rows=rows,
        start=trial.feature_matrix,
    )


def _observe_refinement(trial: Trial, fitted: Fitted | None) -> None:
    """Continue with the refined kernel."""
    refined = None if fitted is None else fitted.refined
    if refined is not None:
        trial.candidate, trial.loss, trial.score = refined.candidate, refined.loss, refined.score
        trial.tries += refined.tries
    trial.phase, trial.rung = "rung", 1


def other_fold_step(problem: Problem, trial: Trial) -> Step:
    """Return the next step of another fold: a rung that learns its feature matrix, or its last rung.

    A rung before one that starts from the identity is left out, because its feature matrix would not be used.
    """
    sizes, rung, candidate = rung_sizes(problem), trial.rung, trial.candidate
    last = len(sizes) - 1
    while rung < last and starts_afresh(candidate, sizes[rung + 1]):
        rung += 1
    if rung < last:
        return Step(
            trial=trial.number,
            fold=trial.fold,
            rung=rung,
            candidate=candidate if rung else trial.learner,
            rows=sizes[rung],
            start=trial.feature_matrix,
            iterations=trial.chosen_updates[rung],
            is_rung=True,
        )
    return Step(
        trial=trial.number,
        fold=trial.fold,
        rung=last,
        candidate=candidate,
        rows=None,
        start=trial.feature_matrix,
        iterations=min(trial.chosen_updates[-1] + 1, len(trial.paths[0]) - 1),
        remaining=len(problem.plan.folds) - trial.fold,
    )


def _observe_other_fold(problem: Problem, trial: Trial, step: Step, path: tuple[Iterate, ...]) -> bool:
    """Store a step of another fold; return whether it was the last of the trial."""
    if step.is_rung:
        trial.feature_matrix, trial.rung = path[-1].feature_matrix, step.rung + 1
        return False
    trial.paths.append(path)
    return _begin_fold(problem, trial, trial.fold + 1)


def _begin_fold(problem: Problem, trial: Trial, fold: int) -> bool:
    """Move to another fold; without one, validate the trial and return True."""
    if fold < len(problem.plan.folds):
        trial.phase, trial.fold, trial.rung, trial.feature_matrix = "other folds", fold, 0, None
        return False
    result = trial.validation_result = _validate(problem, trial)
    trial.loss, trial.score, trial.status, trial.paths = result.loss, result.score, "complete", []
    return True


def rung_sizes(problem: Problem) -> tuple[int, ...]:
    """Return the rows of each rung: the plan's, or all rows if the number of iterations is pinned."""
    sizes = problem.plan.rung_sizes
    return sizes[-1:] if problem.pins.fix_iterations else sizes


def starts_afresh(candidate: Candidate, rows: int) -> bool:
    """Return whether a rung of this many rows learns its feature matrix from the identity.

    If a feature matrix of few rows has lost a direction, it does not come back, because gradients along it
    are small. With more rows, the identity leads to a better matrix for a few solves that are still cheap.
    """
    return rows <= min(WARM_START_ROWS, candidate.tree.leaf_size)


def usual_solves(candidate: Candidate, rows: int) -> int:
    """Return the expected number of solves of a later rung."""
    if starts_afresh(candidate, rows):
        return 1 + AFRESH_USUAL_UPDATES
    return 1 + min(warm_start_iterations(rows), WARM_START_USUAL_UPDATES)


def warm_start_iterations(rows: int) -> int:
    """Return the maximum AGOP updates of a rung that starts from a learned feature matrix."""
    return WARM_START_ITERATIONS if rows <= WARM_START_ROWS else 0


def _validate(problem: Problem, trial: Trial) -> ValidationResult:
    """Choose the number of AGOP updates by the out-of-fold loss of all folds together."""
    candidate, paths, pinned = trial.candidate, trial.paths, problem.pins.fix_iterations
    length, rows, folds = min(len(path) for path in paths), problem.plan.validation_rows, range(len(paths))
    best, best_t, best_scores, best_factor = ValidationScore(math.inf, math.nan), 0, np.empty(0), 1.0
    for t in range(length - 1 if pinned else 0, length):
        codes = [path[t].codes for path in paths]
        scores, factor = problem.scorer.decode(folds, codes, rows, candidate.transform)
        validation_score = problem.scorer.validation_score(scores, candidate.transform).rounded()
        if validation_score.loss < best.loss or not len(best_scores):
            best, best_t, best_scores, best_factor = validation_score, t, scores, factor
    chosen = [path[best_t] for path in paths]
    temperatures = sorted(iterate.temperature for iterate in chosen)
    return ValidationResult(
        candidate=candidate,
        scores=best_scores,
        loss=best.loss,
        score=best.score,
        factor=best_factor,
        iterations=trial.updates - trial.chosen_updates[-1] + best_t,
        last_iterations=best_t,
        feature_matrices=tuple(iterate.feature_matrix for iterate in chosen),
        temperature=temperatures[len(temperatures) // 2],
    )
