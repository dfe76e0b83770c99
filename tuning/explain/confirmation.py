"""How held-out targets confirm columns, pairs and triples, and the loss without each column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import scaled_back, to_order_one
from xrfm_cli.tuning.explain.held_out_records import HeldOut, HeldOutColumn, HeldOutPair, HeldOutTriple
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.swap_study import RANGE_ERRORS, SwapStudy, study_swaps
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.scoring.metrics import compute_metric, metric_named
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold

Array = NDArray[np.float64]
Columns = TypeVar("Columns", bound=tuple[int, ...])
GROUPS = 4  # of the rows of a single fold, between which a drop varies
FALSE_PAIRS = 0.0025  # share of purely additive models for which a pair is listed
ERRORS = 2.0  # standard errors above zero that chance rarely reaches: one null column in forty


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """A model's swaps of rows that it was not fitted on, with their targets."""

    study: SwapStudy
    y_true: NDArray[Any]  # (n,)
    weights: Array  # (n,)


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
        value, error = _mean_and_error(
            parts, [part.study.confirmed[j] for part in parts], [part.study.by_residuals(j) for part in parts]
        )
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
            for (a, b), value, bound in _confirmed(
                parts,
                [part.study.confirmed_pairs for part in parts],
                [part.study.shared for part in parts],
                variance,
            )
        ),
        triples=tuple(
            HeldOutTriple(columns=(names[a], names[b], names[c]), confirmed=value, by_chance=bound)
            for (a, b, c), value, bound in _confirmed(
                parts,
                [part.study.confirmed_triples for part in parts],
                [part.study.triples for part in parts],
                variance,
            )
        ),
    )


def _standard_error(values: list[float]) -> float:
    scaled, exponent = to_order_one(np.array(values))  # squares of large values overflow
    return scaled_back(float(scaled.std(ddof=1)) / len(values) ** 0.5, exponent)


def _confirmed(
    parts: list[Part],
    confirmed: Sequence[Mapping[Columns, Array]],
    squares: Sequence[Mapping[Columns, Array]],
    variance: float,
) -> Iterator[tuple[Columns, float, float]]:
    """Yield the confirmed part of columns that every part measured together, and its level by chance."""
    common = set(confirmed[0]).intersection(*confirmed[1:])
    for columns in sorted(common):
        values = [own[columns] for own in confirmed]
        by_residuals = [value - own[columns] for value, own in zip(values, squares, strict=True)]
        value, error = _mean_and_error(parts, values, by_residuals)
        yield columns, value / variance, errors_of_largest(len(common)) * error / variance


def errors_of_largest(count: int) -> float:
    """Return how many standard errors the largest of ``count`` null values rarely exceeds.

    >>> round(errors_of_largest(1), 2), round(errors_of_largest(10), 2)
    (2.81, 3.48)
    """
    from scipy.stats import norm

    return float(norm.isf(FALSE_PAIRS / count))


def _mean_and_error(parts: list[Part], values: list[Array], by_residuals: list[Array]) -> tuple[float, float]:
    """Return the weighted mean over the rows of all parts, and its standard error without an effect.

    Without an effect, only the residuals move the mean, so the error is that of their part of the values. The
    values also vary with the size of an effect, and a product of columns is large in few rows. An error that
    included this variation would leave out the clearest effects.
    """
    weights = np.concatenate([part.weights[: len(v)] for part, v in zip(parts, values, strict=True)])
    share = weights / weights.sum()
    mean = float(share @ np.concatenate(values))
    return mean, float(np.linalg.norm(share * np.concatenate(by_residuals)))


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
