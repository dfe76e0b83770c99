"""Judging one candidate: growing subsamples of the first fold, then the other folds.

Each stage goes on with the metric that the stage before it learned, so that the many metric updates
happen on few rows and the expensive stages need one or none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets.events import OnEvent
from xrfm_cli.leaf_models.fixed_metric import FixedMetric
from xrfm_cli.trees import TreeModel, iterate_tree
from xrfm_cli.tuning.cost import FitSize, fit_size
from xrfm_cli.tuning.ensemble import rounded
from xrfm_cli.tuning.plan import Rows
from xrfm_cli.tuning.problem import FoldMatrices, Problem
from xrfm_cli.tuning.refinement import MOST_TRIES, Refined, can_refine, refine
from xrfm_cli.tuning.space import Candidate

Array = NDArray[np.float64]
WORSE_BY = 1.1  # a metric update whose loss is so many times the best ends the iterations
GAIN = 0.998  # and so do two in a row whose loss is not below so many times the best before
REFINEMENT = 1_000_000  # the "stage" of the generator that it draws from
TEMPERATURES = (0.0, 0.05, 0.1, 0.2, 0.4)
LATER_ITERATIONS = 1  # metric updates at most in a stage that starts from a learned metric
LATER_ROWS = 6_000  # and none in a stage of more rows: there an update costs more than it gains


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Iterate:
    """A model after some metric updates, and its codes for the rows that judge it."""

    metric: Tensor
    rows: Rows  # the rows that judge
    codes: Array  # (len(rows), outputs)
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """A candidate at the end of its evaluation."""

    candidate: Candidate
    scores: Array  # decoded out-of-fold predictions (n_judged, 1 or classes), in the order of the plan
    loss: float
    factor: float  # of the scores, where the target's logarithm was learned
    iterations: int  # metric updates in all
    last_iterations: int  # of these, updates in the last stage
    metrics: tuple[Tensor, ...]  # learned metric of each fold, in the columns of that fold's encoder
    temperature: float


class OutOfTime(Exception):  # noqa: N818  (a signal to stop, not an error)
    """The next piece of work would not end before the search must."""


def trial_generator(seed: int, trial: int, fold: int, stage: int) -> torch.Generator:
    """A generator that depends on these numbers alone."""
    state = np.random.SeedSequence([seed, trial, fold, stage]).generate_state(2, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(2)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageResult:
    """What pruning looks at after a stage, and at the end the judgement."""

    loss: float
    candidate: Candidate  # with which the evaluation goes on
    solves: tuple[int, ...]  # of each stage size that is done in the first fold
    tries: int = 0  # kernels that were tried under one metric
    judgement: Judgement | None = None


@dataclass(slots=True, kw_only=True)
class Spent:
    """What a fit came to, for those who reckon its cost."""

    solves: int = 0


Budgeted = Callable[[FitSize, int, int], AbstractContextManager[Spent]]


def evaluate(
    problem: Problem, candidate: Candidate, *, trial: int, budgeted: Budgeted, on_event: OnEvent
) -> Generator[StageResult, Candidate | None, None]:
    """Yield the loss after each stage of the first fold, then the judgement over all folds.

    Between the first stage and the next, the kernel is refined under the metric that it has learned. The
    caller may send another candidate, with which the evaluation then goes on.

    Each fit runs within ``budgeted(size, solves, times)``, told the fit's size, its solves and how many
    such fits the candidate still needs. It may raise :class:`OutOfTime`, and gives what is to be told of the
    fit. Stopping to iterate prunes the candidate.
    """
    plan = problem.plan
    pinned = "iterations" in problem.pinned
    sizes = stage_sizes(problem)
    learner = candidate  # of the first metric
    chosen: list[int] = []  # metric updates of each stage of the first fold
    solves: tuple[int, ...] = ()
    start: Tensor | None = None
    for stage, size in enumerate(sizes):
        limit = candidate.tree.leaf.iterations
        if stage > 0:
            limit = min(limit, later_iterations(size))
        last = stage == len(sizes) - 1
        with budgeted(stage_size(problem, candidate, size), limit + 1, 1) as spent:
            path = _stage(
                problem,
                candidate,
                0,
                stage,
                size,
                start,
                limit,
                trial,
                on_event,
                early=not last,
                stop_early=not pinned,
            )
            spent.solves = len(path)
        losses = [_fold_loss(problem, candidate, 0, iterate) for iterate in path]
        best = len(losses) - 1 if pinned else int(np.argmin(losses))
        chosen.append(best)
        solves += (len(path),)
        start, loss = path[best].metric, losses[best]
        if not (last and len(plan.folds) == 1):
            result = StageResult(loss=loss, candidate=candidate, solves=solves)
            candidate = (yield result) or candidate
        if stage == 0 and not last:
            found = Refined(candidate=candidate, loss=loss, tries=0)
            if can_refine(candidate, size):
                found = _refined(problem, candidate, size, start, trial, budgeted)
            result = StageResult(loss=found.loss, candidate=found.candidate, solves=solves, tries=found.tries)
            candidate = (yield result) or found.candidate
    paths = [path]
    for fold in range(1, len(plan.folds)):
        start = None
        for stage, size in enumerate(sizes[:-1]):
            limit, model = chosen[stage], candidate if stage else learner
            with budgeted(stage_size(problem, model, size), limit + 1, 1) as spent:
                path = _stage(problem, model, fold, stage, size, start, limit, trial, on_event, early=True)
                spent.solves = len(path)
            start = path[-1].metric
        final = len(sizes) - 1
        limit = min(chosen[-1] + 1, len(paths[0]) - 1)
        last_size = stage_size(problem, candidate, sizes[-1])
        with budgeted(last_size, limit + 1, len(plan.folds) - fold) as spent:
            path = _stage(problem, candidate, fold, final, None, start, limit, trial, on_event)
            spent.solves = len(path)
        paths.append(path)
    judgement = _judge(problem, candidate, paths, sum(chosen[:-1]), pinned)
    yield StageResult(loss=judgement.loss, candidate=candidate, solves=solves, judgement=judgement)


def _refined(
    problem: Problem, candidate: Candidate, rows: int, metric: Tensor, trial: int, budgeted: Budgeted
) -> Refined:
    """The candidate with the best kernel near its own, under the metric learned from so many rows."""
    matrices = problem.fold(0, candidate.encoding, candidate.target_transform)
    fold = problem.plan.folds[0]
    size = stage_size(problem, candidate, rows)
    with budgeted(replace(size, family=f"{size.family}, refined"), MOST_TRIES, 1) as spent:
        fixed = FixedMetric.prepare(
            matrices.x_train[:rows],
            matrices.y_train[:rows],
            matrices.x_valid[torch.from_numpy(fold.early)],
            candidate.tree.leaf,
            metric,
            generator=trial_generator(problem.seed, trial, 0, REFINEMENT),
            weights=None if matrices.weights is None else matrices.weights[:rows],
        )
        judged = fold.valid[fold.early]
        transform = candidate.target_transform
        found = refine(
            candidate, fixed, lambda codes: problem.loss_of(0, codes, judged, transform), problem.pinned
        )
        spent.solves = found.tries
    return found


def stage_sizes(problem: Problem) -> tuple[int, ...]:
    """Rows of each stage: the plan's, or all rows where so many metric updates were asked for."""
    sizes = problem.plan.stage_sizes
    return sizes[-1:] if "iterations" in problem.pinned else sizes


def later_iterations(rows: int) -> int:
    """Metric updates, at most, of a stage that starts from a learned metric."""
    return LATER_ITERATIONS if rows <= LATER_ROWS else 0


def stage_size(problem: Problem, candidate: Candidate, rows: int) -> FitSize:
    """What the cost of fitting so many rows of a fold, and of judging that, depends on."""
    fold = problem.plan.folds[0]
    last = rows == problem.plan.stage_sizes[-1]
    return fit_size(candidate, rows, judged=len(fold.valid) if last else len(fold.early))


def _stage(
    problem: Problem,
    candidate: Candidate,
    fold: int,
    stage: int,
    size: int | None,
    start: Tensor | None,
    iterations: int,
    trial: int,
    on_event: OnEvent,
    *,
    early: bool = False,
    stop_early: bool = False,
) -> list[Iterate]:
    """Models of one stage after ``0 .. iterations`` metric updates; fewer rows judge an early one."""
    matrices = problem.fold(fold, candidate.encoding, candidate.target_transform)
    config = candidate.with_iterations(iterations).tree
    weights = None if matrices.weights is None else matrices.weights[:size]
    path: list[Iterate] = []
    losses: list[float] = []
    models = iterate_tree(
        matrices.x_train[:size],
        matrices.y_train[:size],
        config,
        generator=trial_generator(problem.seed, trial, fold, stage),
        weights=weights,
        initial_metric=start,
        memory_bytes=problem.memory_bytes,
        on_event=on_event,
    )
    for model in models:
        iterate = _iterate(problem, candidate, fold, matrices, model, early=early)
        path.append(iterate)
        if stop_early:
            losses.append(_fold_loss(problem, candidate, fold, iterate))
            if _is_settled(losses):
                break
    return path


def _is_settled(losses: list[float]) -> bool:
    """Whether more metric updates are not worth their time: two in a row gained little, or one lost much."""
    if losses[-1] > WORSE_BY * min(losses):
        return True
    return len(losses) > 2 and min(losses[-2:]) > GAIN * min(losses[:-2])


def _iterate(
    problem: Problem,
    candidate: Candidate,
    fold: int,
    matrices: FoldMatrices,
    model: TreeModel,
    *,
    early: bool,
) -> Iterate:
    judging = problem.plan.folds[fold]
    rows, x = judging.valid, matrices.x_valid
    if len(judging.early) < len(rows):
        few_rows, few_x = rows[judging.early], x[torch.from_numpy(judging.early)]
    else:
        few_rows, few_x = rows, x
    codes = None
    if model.splits and "temperature" not in problem.pinned:
        # Softness is chosen on rows the leaves have not seen; the leaves stay as they are.
        options = [option.cpu().double().numpy() for option in model.predict_at(few_x, TEMPERATURES)]
        transform = candidate.target_transform
        losses = [rounded(problem.loss_of(fold, option, few_rows, transform)) for option in options]
        best = int(np.argmin(losses))
        model = model.with_temperature(TEMPERATURES[best])
        codes = options[best]
    if early:
        rows, x = few_rows, few_x
    if codes is None or len(codes) < len(x):
        codes = model.predict(x).cpu().double().numpy()
    return Iterate(
        metric=mean_metric(model),
        rows=rows,
        codes=codes,
        temperature=model.temperature,
    )


def mean_metric(model: TreeModel) -> Tensor:
    """The leaves' metrics averaged by their numbers of rows."""
    if len(model.leaves) == 1:
        return model.leaves[0].metric
    sizes = [leaf.n_rows for leaf in model.leaves]
    return sum((leaf.metric * size for leaf, size in zip(model.leaves, sizes, strict=True))) / sum(sizes)  # type: ignore[return-value]


def _fold_loss(problem: Problem, candidate: Candidate, fold: int, iterate: Iterate) -> float:
    return rounded(problem.loss_of(fold, iterate.codes, iterate.rows, candidate.target_transform))


def _judge(
    problem: Problem, candidate: Candidate, paths: list[list[Iterate]], earlier: int, pinned: bool
) -> Judgement:
    """Choose the number of metric updates by the out-of-fold loss of all folds together."""
    length, rows, folds = min(len(path) for path in paths), problem.plan.judged_rows, range(len(paths))
    best_loss, best_t, best_scores, best_factor = float("inf"), 0, np.empty(0), 1.0
    for t in range(length - 1 if pinned else 0, length):
        codes = [path[t].codes for path in paths]
        scores, factor = problem.decode(folds, codes, rows, candidate.target_transform)
        loss = rounded(problem.loss(scores))
        if loss < best_loss or not len(best_scores):
            best_loss, best_t, best_scores, best_factor = loss, t, scores, factor
    chosen = [path[best_t] for path in paths]
    temperatures = sorted(iterate.temperature for iterate in chosen)
    return Judgement(
        candidate=candidate,
        scores=best_scores,
        loss=best_loss,
        factor=best_factor,
        iterations=earlier + best_t,
        last_iterations=best_t,
        metrics=tuple(iterate.metric for iterate in chosen),
        temperature=temperatures[len(temperatures) // 2],
    )
