"""What held-out rows say of the columns: permutation drops, confirmed shares and how far folds differ.

The fold models of the search are not kept, so the heaviest member is fitted again on each fold, once, from
the feature matrix that the fold learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import Table
from xrfm_cli.datasets.cells.scale import scaled_back, to_order_one
from xrfm_cli.errors import XRFMError
from xrfm_cli.events import OnEvent
from xrfm_cli.tuning.ensemble.final_tree import Refitter
from xrfm_cli.tuning.explain.held_out_records import HeldOut, HeldOutColumn, HeldOutPair, HeldOutTriple
from xrfm_cli.tuning.explain.sample import Sample, sample_of
from xrfm_cli.tuning.explain.spread import Spread, common_rows
from xrfm_cli.tuning.explain.swap_study import (
    FEWEST_COLUMNS,
    FEWEST_ROWS,
    RANGE_ERRORS,
    SwapStudy,
    study_swaps,
)
from xrfm_cli.tuning.explain.swaps import row_ns
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.problem.fold_cache import FoldMatrices
from xrfm_cli.tuning.problem.learning_data import EncodedRows
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.metrics import compute_metric, metric_named
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold
from xrfm_cli.tuning.search.run_step import estimate_refit, fold_matrices
from xrfm_cli.tuning.search.trial import ValidationResult
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]
Columns = TypeVar("Columns", bound=tuple[int, ...])
MOST_FOLDS = 4  # enough for a range
FOLD_ROWS = 6_000  # larger tables leave time for one fold model only
# Estimated nanoseconds of prediction, over all folds: at least, and where there is time. Of two classes, some
# hundred rows of each fold are needed to confirm a column that has a tenth of the variance.
BUDGET_NS, MOST_BUDGET_NS = 1.0e9, 8.0e9
MOST_ROWS = 400  # validation rows of a fold
SECONDS_PER_NS = 1e-9
GROUPS = 4  # of the rows of a single fold, between which a drop varies
SPREAD_SHARE = 0.25  # additional, of the least budget, for comparing models on the same rows
COMMON_DRAW = 4_000_000  # in the seed of these rows
HELD_OUT_FOLD = 3_000_000  # in the seed of the rows drawn: keeps these draws apart from all others
FALSE_PAIRS = 0.0025  # share of the models of sums of columns for which a pair is asserted
ERRORS = 2.0  # standard errors above zero that chance rarely reaches: one null column in forty


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A model's swaps of rows that it was not fitted on, with their targets."""

    study: SwapStudy
    y_true: NDArray[Any]  # (n,)
    weights: Array  # (n,)


def held_out_folds(
    model: FittedModel,
    problem: Problem,
    result: SearchResult,
    *,
    seconds_left: Callable[[], float],
    on_event: OnEvent,
) -> HeldOut | None:
    """Fit the heaviest member again on each fold and swap the columns of the fold's validation rows.

    Returns None if not even one fold fits into the seconds left.
    """
    member = max(model.members, key=lambda own: own.weight)
    found = next(own for number, own in result.validation_results if number == member.trial)
    folds = min(len(problem.plan.folds), MOST_FOLDS)
    if len(problem.plan.refit_rows) > FOLD_ROWS:
        folds = 1
    parts: list[Part] = []
    generator = np.random.default_rng([problem.data.seed, COMMON_DRAW])
    spread = Spread(
        rows=common_rows(_without_base(problem), problem.plan.refit_rows, generator),
        folds=len(problem.plan.folds),
    )
    fold_seconds = estimate_refit(
        problem,
        result.costs,
        found.candidate,
        last_iterations=found.last_iterations,
        rows=len(problem.plan.refit_rows),
    )
    spread_ns = max(SPREAD_SHARE * BUDGET_NS / folds, 2 * FEWEST_COLUMNS * FEWEST_ROWS * row_ns(model))
    least_ns = spread_ns + max(BUDGET_NS / folds, 2 * FEWEST_COLUMNS * FEWEST_ROWS * row_ns(model))
    for fold in range(folds):
        left_s = seconds_left()
        left_ns = (left_s / (folds - fold) - fold_seconds) / SECONDS_PER_NS - spread_ns
        budget_ns = max(BUDGET_NS / folds, min(MOST_BUDGET_NS / folds, left_ns))
        if fold_seconds + least_ns * SECONDS_PER_NS > left_s:
            break
        try:
            rows = fold_matrices(problem, fold, found.candidate)
            own = _fold_member(member, problem, found, rows, fold, on_event)
            fold_model = replace(model, members=(own,), intervals=None)
            parts.append(_fold_part(fold_model, problem, rows, fold, budget_ns))
            spread.add_fold(fold_model, budget_ns=spread_ns)
        except XRFMError:
            break  # an explanation is no reason to lose a model
    if not parts:
        return None
    spread.add_members(model, budget_ns=spread_ns, has_time=lambda ns: ns * SECONDS_PER_NS < seconds_left())
    return summarise(
        parts,
        metric=problem.scorer.metric.name,
        decision=model.decision,
        deviations=spread.deviations(),
    )


def _without_base(problem: Problem) -> Table:
    """Return the rows without the predictions of a base model, which the model itself adds."""
    table, base = problem.data.table, problem.data.base
    if base is None:
        return table
    return table.select(name for name in table.column_names if name not in base.columns)


def _fold_member(
    member: Member,
    problem: Problem,
    found: ValidationResult,
    rows: FoldMatrices,
    fold: int,
    on_event: OnEvent,
) -> Member:
    """Return a member fitted on the training rows of a fold, which ``rows`` holds encoded."""
    candidate, train = found.candidate, problem.plan.folds[fold].train
    target_transform = problem.data.target_transform(train, candidate.transform, found.factor)
    refitter = Refitter(data=problem.data, rows=train, memory_bytes=problem.memory_bytes, on_event=on_event)
    tree = refitter.fit(
        EncodedRows(encoder=rows.encoder, x=rows.x_train, routed=rows.routed_train),
        candidate,
        target_transform,
        None if problem.pins.fix_iterations else found.feature_matrices[fold],
        trial=member.trial,
        iterations=found.last_iterations,
        translation=rows.translation,
    )
    return replace(
        member,
        weight=1.0,
        encoder=rows.encoder,
        tree=tree.with_temperature(found.temperature if tree.splits else 0.0),
        target_transform=target_transform,
        translation=rows.translation,
    )


def _fold_part(
    model: FittedModel, problem: Problem, encoded: FoldMatrices, fold: int, budget_ns: float
) -> Part:
    valid = problem.plan.folds[fold].valid
    generator = np.random.default_rng([problem.data.seed, HELD_OUT_FOLD, fold])
    order = generator.permutation(len(valid))[:MOST_ROWS]
    rows = valid[order]
    matrices = {id(encoded.encoder): encoded.x_valid[order].cpu().numpy()}
    if model.base is not None:
        matrices |= model.base.encode(problem.data.table.take(rows))[0]
    sample = sample_of(model, matrices, "data")
    weights = problem.data.learning_weights_of(rows)
    weights = np.ones(len(rows)) if weights is None else weights
    return measure_part(model, sample, problem.data.rates_of(rows), weights, budget_ns=budget_ns)


def measure_part(
    model: FittedModel, sample: Sample, y_true: NDArray[Any], weights: Array, *, budget_ns: float
) -> Part:
    """Swap the columns of rows with known targets."""
    classes = len(model.target.classes)
    targets = np.eye(classes)[y_true] if classes else y_true.astype(np.float64)[:, None]
    if classes == 2:
        targets = targets[:, 1:]
    study = study_swaps(model, sample, budget_ns=budget_ns, targets=targets, every_row=True)
    return Part(study=study, y_true=y_true, weights=weights)


def summarise(
    parts: list[Part], *, metric: str, decision: DecisionThreshold, deviations: Array | None = None
) -> HeldOut:
    """Summarise the parts, each of the rows of one fold, or a single one of any held-out rows."""
    names = parts[0].study.columns
    mass = np.array([part.weights.sum() for part in parts])
    variance = float(np.average([part.study.variance for part in parts], weights=mass)) or 1.0
    k = len(parts)
    groups = GROUPS if k == 1 else 1
    found = []
    for j, column in enumerate(names):
        value, error = _mean_and_error(parts, [part.study.confirmed[j] for part in parts])
        drops = [drop for part in parts for drop in _drops(part, j, metric, decision, groups=groups)]
        drop = float(np.mean(drops)) if drops else None
        spread = RANGE_ERRORS * _standard_error(drops) if len(drops) > 1 else None
        found.append(
            HeldOutColumn(
                column=column,
                confirmed=value / variance,
                by_chance=ERRORS * error / variance,
                deviation=None if deviations is None else float(deviations[j]),
                drop=drop,
                low=None if drop is None or spread is None else drop - spread,
                high=None if drop is None or spread is None else drop + spread,
            )
        )
    return HeldOut(
        metric=metric,
        rows=sum(len(part.y_true) for part in parts),
        folds=k,
        columns=tuple(found),
        pairs=tuple(
            HeldOutPair(columns=(names[a], names[b]), confirmed=value, by_chance=bound)
            for (a, b), value, bound in _confirmed(parts, [p.study.confirmed_pairs for p in parts], variance)
        ),
        triples=tuple(
            HeldOutTriple(columns=(names[a], names[b], names[c]), confirmed=value, by_chance=bound)
            for (a, b, c), value, bound in _confirmed(
                parts, [p.study.confirmed_triples for p in parts], variance
            )
        ),
    )


def _standard_error(values: list[float]) -> float:
    scaled, exponent = to_order_one(np.array(values))  # squares of large values overflow
    return scaled_back(float(scaled.std(ddof=1)) / len(values) ** 0.5, exponent)


def _confirmed(
    parts: list[Part], measured: Sequence[Mapping[Columns, Array]], variance: float
) -> Iterator[tuple[Columns, float, float]]:
    """Yield what is confirmed of columns together that every part has measured, and what chance gives."""
    common = set(measured[0]).intersection(*measured[1:])
    for columns in sorted(common):
        value, error = _mean_and_error(parts, [own[columns] for own in measured])
        yield columns, value / variance, errors_of_largest(len(common)) * error / variance


def errors_of_largest(count: int) -> float:
    """Return how many standard errors the largest of ``count`` null values rarely exceeds.

    >>> round(errors_of_largest(1), 2), round(errors_of_largest(10), 2)
    (2.81, 3.48)
    """
    from scipy.stats import norm

    return float(norm.isf(FALSE_PAIRS / count))


def _mean_and_error(parts: list[Part], values: list[Array]) -> tuple[float, float]:
    """Return the weighted mean over rows of all parts, and its standard error."""
    own = np.concatenate(values)
    weights = np.concatenate([part.weights[: len(v)] for part, v in zip(parts, values, strict=True)])
    share = weights / weights.sum()
    mean = float(share @ own)
    return mean, float(np.sqrt(np.square(share) @ np.square(own - mean)))


def _drops(part: Part, column: int, metric: str, decision: DecisionThreshold, *, groups: int) -> list[float]:
    """Return how much worse the metric becomes, in each group of rows where it is defined."""
    known = metric_named(metric)
    after = part.study.swapped[column]
    out = []
    for rows in np.array_split(np.arange(len(after)), min(groups, max(1, len(after) // 20))):
        y, weights = part.y_true[rows], part.weights[rows]
        classes = 0 if known.needs == "values" else len(decision.class_weights) or max(2, after.shape[1])
        if not weights.sum() or len(np.unique(y)) < (classes if known.is_ranking else min(classes, 2)):
            continue
        before = compute_metric(known, y, _whole(part.study.plain[rows], part), weights, decision)
        worse = compute_metric(known, y, _whole(after[rows], part), weights, decision)
        change = known.loss(worse) - known.loss(before)
        if np.isfinite(change):
            out.append(float(change))
    return out


def _whole(predicted: Array, part: Part) -> Array:
    """Return predictions as metrics expect them: values ``(n,)`` or the probabilities of all classes."""
    if np.issubdtype(part.y_true.dtype, np.floating):
        return predicted[:, 0]
    return np.column_stack([1 - predicted[:, 0], predicted[:, 0]]) if predicted.shape[1] == 1 else predicted
