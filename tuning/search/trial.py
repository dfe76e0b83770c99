"""Evaluate one candidate: growing subsamples of the first fold, then the other folds.

The first rung finds how many AGOP updates are worth making. A rung of several times its rows, which is
still cheap, makes as many from the identity; the expensive rungs continue with the feature matrix it learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.tuning.problem.learning_problem import Problem, ValidationScore
from xrfm_cli.tuning.search.kernel_refinement import Refined, can_refine
from xrfm_cli.tuning.search.run_step import (
    REFINEMENT,
    WARM_START_USUAL_UPDATES,
    Fitted,
    Iterate,
    Step,
    path_score,
)
from xrfm_cli.tuning.search.space import Candidate

Array = NDArray[np.float64]
MORE_UPDATES = 1  # more than the first rung chose, in a later rung that starts afresh
AFRESH_USUAL_UPDATES = 3
WARM_START_ITERATIONS = 5  # maximum AGOP updates in a rung that starts from a learned feature matrix
WARM_START_ROWS = 6_000  # none in a rung of more rows, where an update costs more than it gains


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


class OutOfTime(Exception):  # noqa: N818  (a signal to stop, not an error)
    """The next step would not finish within the search's time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RungResult:
    """What pruning uses after a rung; the last one has the validation result."""

    loss: float
    score: float  # value of the metric
    candidate: Candidate  # with which the evaluation continues
    solves: tuple[int, ...]  # of each completed rung of the first fold
    tries: int = 0  # kernels tried in the refinement
    validation_result: ValidationResult | None = None


# Runs a step; the number says how many such steps the candidate still needs. It may raise OutOfTime.
RunStep = Callable[[Step, int], Fitted]


def evaluate(
    problem: Problem, candidate: Candidate, *, trial: int, take: RunStep
) -> Generator[RungResult, Candidate | None, None]:
    """Yield the loss after each rung of the first fold, then the validation result over all folds.

    Between the first rung and the next, the kernel is refined under the learned feature matrix. The caller
    may send another candidate, with which the evaluation continues. Ending the iteration prunes the
    candidate. All expensive work is done by ``take``.
    """
    plan = problem.plan
    pinned = "iterations" in problem.pinned
    sizes = rung_sizes(problem)
    learner = candidate  # the candidate that learns the first feature matrix
    chosen: list[int] = []  # AGOP updates of each rung of the first fold
    solves: tuple[int, ...] = ()
    start: Tensor | None = None
    updates = 0  # AGOP updates of the current feature matrix
    for rung, size in enumerate(sizes):
        limit = candidate.tree.leaf.iterations
        fresh = starts_afresh(candidate, size)
        if fresh:
            start, updates = None, 0
            limit = min(limit, chosen[0] + MORE_UPDATES) if rung else limit
        elif rung:
            limit = min(limit, warm_start_iterations(size))
        last = rung == len(sizes) - 1
        step = Step(
            trial=trial,
            fold=0,
            rung=rung,
            candidate=candidate,
            rows=size,
            start=start,
            iterations=limit,
            is_rung=not last,
            stop_early=not pinned,
        )
        path = take(step, 1).path
        validation_scores = [path_score(problem, step, iterate) for iterate in path]
        best = (
            len(path) - 1
            if pinned
            else int(np.argmin([validation_score.loss for validation_score in validation_scores]))
        )
        chosen.append(best)
        updates += best
        solves += (len(path),)
        start, validation_score = path[best].feature_matrix, validation_scores[best]
        if not (last and len(plan.folds) == 1):
            result = RungResult(
                loss=validation_score.loss, score=validation_score.score, candidate=candidate, solves=solves
            )
            candidate = (yield result) or candidate
        if rung == 0 and not last:
            found = Refined(
                candidate=candidate, loss=validation_score.loss, score=validation_score.score, tries=0
            )
            if can_refine(candidate, size):
                step = Step(trial=trial, fold=0, rung=REFINEMENT, candidate=candidate, rows=size, start=start)
                found = take(step, 1).refined or found
            result = RungResult(
                loss=found.loss,
                score=found.score,
                candidate=found.candidate,
                solves=solves,
                tries=found.tries,
            )
            candidate = (yield result) or found.candidate
    paths = [path]
    for fold in range(1, len(plan.folds)):
        start = None
        for rung, size in enumerate(sizes[:-1]):
            if starts_afresh(candidate, sizes[rung + 1]):
                continue
            step = Step(
                trial=trial,
                fold=fold,
                rung=rung,
                candidate=candidate if rung else learner,
                rows=size,
                start=start,
                iterations=chosen[rung],
                is_rung=True,
            )
            start = take(step, 1).path[-1].feature_matrix
        step = Step(
            trial=trial,
            fold=fold,
            rung=len(sizes) - 1,
            candidate=candidate,
            rows=None,
            start=start,
            iterations=min(chosen[-1] + 1, len(paths[0]) - 1),
        )
        paths.append(take(step, len(plan.folds) - fold).path)
    validation_result = _validate(problem, candidate, paths, updates - chosen[-1], pinned)
    yield RungResult(
        loss=validation_result.loss,
        score=validation_result.score,
        candidate=candidate,
        solves=solves,
        validation_result=validation_result,
    )


def rung_sizes(problem: Problem) -> tuple[int, ...]:
    """Return the rows of each rung: the plan's, or all rows if the number of iterations is pinned."""
    sizes = problem.plan.rung_sizes
    return sizes[-1:] if "iterations" in problem.pinned else sizes


def starts_afresh(candidate: Candidate, rows: int) -> bool:
    """Return whether a rung of this many rows learns its feature matrix from the identity.

    Directions that few rows left out of a feature matrix do not come back, as gradients along them are small.
    With more rows, the identity leads to a better matrix for a few solves that are still cheap.
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


def _validate(
    problem: Problem, candidate: Candidate, paths: list[tuple[Iterate, ...]], earlier: int, pinned: bool
) -> ValidationResult:
    """Choose the number of AGOP updates by the out-of-fold loss of all folds together."""
    length, rows, folds = min(len(path) for path in paths), problem.plan.validation_rows, range(len(paths))
    best, best_t, best_scores, best_factor = ValidationScore(math.inf, math.nan), 0, np.empty(0), 1.0
    for t in range(length - 1 if pinned else 0, length):
        codes = [path[t].codes for path in paths]
        scores, factor = problem.decode(folds, codes, rows, candidate.transform)
        validation_score = problem.validation_score(scores, candidate.transform).rounded()
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
        iterations=earlier + best_t,
        last_iterations=best_t,
        feature_matrices=tuple(iterate.feature_matrix for iterate in chosen),
        temperature=temperatures[len(temperatures) // 2],
    )
