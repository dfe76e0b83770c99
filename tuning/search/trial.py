"""Judging one candidate: growing subsamples of the first fold, then the other folds.

The first stage tells how many metric updates are worth making. A stage of several times its rows, which is
still cheap, makes as many from the identity; the expensive stages go on with the metric that it learned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.tuning.problem.learning_problem import Merit, Problem
from xrfm_cli.tuning.search.kernel_refinement import Refined, can_refine
from xrfm_cli.tuning.search.run_step import LATER_USUAL_UPDATES, REFINEMENT, Fitted, Iterate, Step, path_merit
from xrfm_cli.tuning.search.space import Candidate

Array = NDArray[np.float64]
MORE_UPDATES = 1  # than the first stage chose, in a later one that starts afresh
AFRESH_USUAL_UPDATES = 3
LATER_ITERATIONS = 5  # metric updates at most in a stage that starts from a learned metric
LATER_ROWS = 6_000  # and none in a stage of more rows: there an update costs more than it gains


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """A candidate at the end of its evaluation."""

    candidate: Candidate
    scores: Array  # decoded out-of-fold predictions (n_judged, 1 or classes), in the order of the plan
    loss: float
    score: float  # by the metric
    factor: float  # of the scores, where the target's logarithm was learned
    iterations: int  # metric updates in all
    last_iterations: int  # of these, updates in the last stage
    metrics: tuple[Tensor, ...]  # learned metric of each fold, in the columns of that fold's encoder
    temperature: float


class OutOfTime(Exception):  # noqa: N818  (a signal to stop, not an error)
    """The next piece of work would not end before the search must."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageResult:
    """What pruning looks at after a stage, and at the end the judgement."""

    loss: float
    score: float  # by the metric
    candidate: Candidate  # with which the evaluation goes on
    solves: tuple[int, ...]  # of each stage size that is done in the first fold
    tries: int = 0  # kernels that were tried under one metric
    judgement: Judgement | None = None


# Takes a step, told how many like it the candidate still needs. It may raise OutOfTime.
TakeStep = Callable[[Step, int], Fitted]


def evaluate(
    problem: Problem, candidate: Candidate, *, trial: int, take: TakeStep
) -> Generator[StageResult, Candidate | None, None]:
    """Yield the loss after each stage of the first fold, then the judgement over all folds.

    Between the first stage and the next, the kernel is refined under the metric that it has learned. The
    caller may send another candidate, with which the evaluation then goes on. Stopping to iterate prunes
    the candidate. All work that takes time is done by ``take``.
    """
    plan = problem.plan
    pinned = "iterations" in problem.pinned
    sizes = stage_sizes(problem)
    learner = candidate  # of the first metric
    chosen: list[int] = []  # metric updates of each stage of the first fold
    solves: tuple[int, ...] = ()
    start: Tensor | None = None
    updates = 0  # of the metric that a stage ended with
    for stage, size in enumerate(sizes):
        limit = candidate.tree.leaf.iterations
        fresh = starts_afresh(candidate, size)
        if fresh:
            start, updates = None, 0
            limit = min(limit, chosen[0] + MORE_UPDATES) if stage else limit
        elif stage:
            limit = min(limit, later_iterations(size))
        last = stage == len(sizes) - 1
        step = Step(
            trial=trial,
            fold=0,
            stage=stage,
            candidate=candidate,
            rows=size,
            start=start,
            iterations=limit,
            early=not last,
            stop_early=not pinned,
        )
        path = take(step, 1).path
        merits = [path_merit(problem, step, iterate) for iterate in path]
        best = len(path) - 1 if pinned else int(np.argmin([merit.loss for merit in merits]))
        chosen.append(best)
        updates += best
        solves += (len(path),)
        start, merit = path[best].metric, merits[best]
        if not (last and len(plan.folds) == 1):
            result = StageResult(loss=merit.loss, score=merit.score, candidate=candidate, solves=solves)
            candidate = (yield result) or candidate
        if stage == 0 and not last:
            found = Refined(candidate=candidate, loss=merit.loss, score=merit.score, tries=0)
            if can_refine(candidate, size):
                step = Step(
                    trial=trial, fold=0, stage=REFINEMENT, candidate=candidate, rows=size, start=start
                )
                found = take(step, 1).refined or found
            result = StageResult(
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
        for stage, size in enumerate(sizes[:-1]):
            if starts_afresh(candidate, sizes[stage + 1]):
                continue
            step = Step(
                trial=trial,
                fold=fold,
                stage=stage,
                candidate=candidate if stage else learner,
                rows=size,
                start=start,
                iterations=chosen[stage],
                early=True,
            )
            start = take(step, 1).path[-1].metric
        step = Step(
            trial=trial,
            fold=fold,
            stage=len(sizes) - 1,
            candidate=candidate,
            rows=None,
            start=start,
            iterations=min(chosen[-1] + 1, len(paths[0]) - 1),
        )
        paths.append(take(step, len(plan.folds) - fold).path)
    judgement = _judge(problem, candidate, paths, updates - chosen[-1], pinned)
    yield StageResult(
        loss=judgement.loss, score=judgement.score, candidate=candidate, solves=solves, judgement=judgement
    )


def stage_sizes(problem: Problem) -> tuple[int, ...]:
    """Rows of each stage: the plan's, or all rows where so many metric updates were asked for."""
    sizes = problem.plan.stage_sizes
    return sizes[-1:] if "iterations" in problem.pinned else sizes


def starts_afresh(candidate: Candidate, rows: int) -> bool:
    """Whether a stage of so many rows learns its metric from the identity.

    What few rows have left out of a metric does not come back: gradients along it are small. From more rows
    the identity leads to a better one, for a few solves that are still cheap.
    """
    return rows <= min(LATER_ROWS, candidate.tree.leaf_size)


def usual_solves(candidate: Candidate, rows: int) -> int:
    """Solves to expect of a later stage."""
    if starts_afresh(candidate, rows):
        return 1 + AFRESH_USUAL_UPDATES
    return 1 + min(later_iterations(rows), LATER_USUAL_UPDATES)


def later_iterations(rows: int) -> int:
    """Metric updates, at most, of a stage that starts from a learned metric."""
    return LATER_ITERATIONS if rows <= LATER_ROWS else 0


def _judge(
    problem: Problem, candidate: Candidate, paths: list[tuple[Iterate, ...]], earlier: int, pinned: bool
) -> Judgement:
    """Choose the number of metric updates by the out-of-fold loss of all folds together."""
    length, rows, folds = min(len(path) for path in paths), problem.plan.judged_rows, range(len(paths))
    best, best_t, best_scores, best_factor = Merit(math.inf, math.nan), 0, np.empty(0), 1.0
    for t in range(length - 1 if pinned else 0, length):
        codes = [path[t].codes for path in paths]
        scores, factor = problem.decode(folds, codes, rows, candidate.coding)
        merit = problem.merit(scores, candidate.coding).rounded()
        if merit.loss < best.loss or not len(best_scores):
            best, best_t, best_scores, best_factor = merit, t, scores, factor
    chosen = [path[best_t] for path in paths]
    temperatures = sorted(iterate.temperature for iterate in chosen)
    return Judgement(
        candidate=candidate,
        scores=best_scores,
        loss=best.loss,
        score=best.score,
        factor=best_factor,
        iterations=earlier + best_t,
        last_iterations=best_t,
        metrics=tuple(iterate.metric for iterate in chosen),
        temperature=temperatures[len(temperatures) // 2],
    )
