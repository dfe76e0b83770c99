"""Judging one candidate: growing subsamples of the first fold, then the other folds.

Each stage goes on with the metric that the stage before it learned, so that the many metric updates
happen on few rows and the expensive stages need one or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets.events import OnEvent
from xrfm_cli.trees import TreeModel, iterate_tree
from xrfm_cli.tuning.ensemble import rounded
from xrfm_cli.tuning.plan import Rows
from xrfm_cli.tuning.problem import FoldMatrices, Problem
from xrfm_cli.tuning.space import Candidate

Array = NDArray[np.float64]
WORSE_BY = 1.1  # a metric update whose loss is so many times the best ends the iterations
GAIN = 0.998  # and so do two in a row whose loss is not below so many times the best before
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
    judgement: Judgement | None = None


def evaluate(
    problem: Problem,
    candidate: Candidate,
    *,
    trial: int,
    budgeted: Callable[[int, int, int], AbstractContextManager[list[Iterate]]],
    on_event: OnEvent,
) -> Iterator[StageResult]:
    """Yield the loss after each stage of the first fold, then the judgement over all folds.

    Each fit runs within ``budgeted(rows, solves, times)``, told the fit's rows, its solves and how many
    such fits the candidate still needs. It may raise :class:`OutOfTime`, and gives the list that the fit
    fills. Stopping to iterate prunes the candidate.
    """
    plan = problem.plan
    pinned = "iterations" in problem.pinned  # then so many updates are made on all rows
    sizes = plan.stage_sizes[-1:] if pinned else plan.stage_sizes
    chosen: list[int] = []  # metric updates of each stage of the first fold
    start: Tensor | None = None
    for stage, size in enumerate(sizes):
        limit = candidate.tree.leaf.iterations
        if stage > 0:
            limit = min(limit, LATER_ITERATIONS if size <= LATER_ROWS else 0)
        last = stage == len(sizes) - 1
        with budgeted(size, limit + 1, 1) as path:
            path += _stage(
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
        losses = [_fold_loss(problem, candidate, 0, iterate) for iterate in path]
        best = len(losses) - 1 if pinned else int(np.argmin(losses))
        chosen.append(best)
        start = path[best].metric
        if not (last and len(plan.folds) == 1):
            yield StageResult(loss=losses[best])
    paths = [path]
    for fold in range(1, len(plan.folds)):
        start = None
        for stage, size in enumerate(sizes[:-1]):
            limit = chosen[stage]
            with budgeted(size, limit + 1, 1) as path:
                path += _stage(
                    problem, candidate, fold, stage, size, start, limit, trial, on_event, early=True
                )
            start = path[-1].metric
        final = len(sizes) - 1
        limit = min(chosen[-1] + 1, len(paths[0]) - 1)
        with budgeted(sizes[-1], limit + 1, len(plan.folds) - fold) as path:
            path += _stage(problem, candidate, fold, final, None, start, limit, trial, on_event)
        paths.append(path)
    judgement = _judge(problem, candidate, paths, sum(chosen[:-1]), pinned)
    yield StageResult(loss=judgement.loss, judgement=judgement)


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
    if model.splits and "temperature" not in problem.pinned:
        # Softness is chosen on rows the leaves have not seen; the leaves stay as they are.
        options = [model.with_temperature(t).predict(few_x).cpu().double().numpy() for t in TEMPERATURES]
        transform = candidate.target_transform
        losses = [rounded(problem.loss_of(fold, option, few_rows, transform)) for option in options]
        model = model.with_temperature(TEMPERATURES[int(np.argmin(losses))])
    if early:
        rows, x = few_rows, few_x
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
