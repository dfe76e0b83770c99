"""Summaries of the out-of-fold predictions: curves, matrices and quantiles, small enough for the model file.

Every validation row counts once, whatever its weight.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from xrfm_cli.datasets import ColumnSchema
from xrfm_cli.tuning.model.profile import ColumnProfile
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.rows import OofSummaryRow
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold

CURVE_POINTS = 200  # points of a curve: more would not be visible
SHOWN_THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))  # rows of the threshold table
MOST_RANKED = 3_000_000  # probabilities, about 0.3 s: areas under curves are left out above
BINS = 10  # of the calibration, with equal numbers of rows
LEAST_BIN_ROWS = 10  # fewest rows of a bin: frequencies of fewer rows are noise
HISTOGRAM_BINS = 25
BANDS, LEAST_BAND_ROWS = 20, 15  # groups of rows with similar predictions, for running quartiles
DECILES = 10
WORST_ROWS = 10

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def summarise_oof(
    problem: Problem, predictions: Array, decision: DecisionThreshold, source_rows: Codes
) -> OofSummaryRow:
    """Summarise out-of-fold predictions: values ``(n,)`` or probabilities ``(n, classes)``.

    ``source_rows`` are the positions of the problem's rows in the table as read, ``(rows,)``. Returns
    the fields of :class:`~xrfm_cli.tuning.model.manifest_report.OofSummary` that suit the task.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if problem.data.n_classes:
            return cast(OofSummaryRow, _of_classes(problem, predictions, decision))
        return cast(OofSummaryRow, _of_values(problem, predictions, source_rows))


def _of_classes(problem: Problem, predictions: Array, decision: DecisionThreshold) -> dict[str, Any]:
    y_true, classes = problem.scorer.y_valid.astype(np.int64), problem.data.n_classes
    cells, counts = np.unique(y_true * classes + decision.codes(predictions), return_counts=True)
    out: dict[str, Any] = {
        "class_rows": np.bincount(y_true, minlength=classes).tolist(),
        "confusion": [[*divmod(int(cell), classes), int(n)] for cell, n in zip(cells, counts, strict=True)],
    }
    if classes == 2:
        probability, hit = predictions[:, 1], y_true == 1
        out["curve"] = _curve(probability, hit, decision)
    else:
        chosen = predictions.argmax(1)
        probability, hit = predictions[np.arange(len(chosen)), chosen], chosen == y_true
        if predictions.size <= MOST_RANKED:
            out["class_auc"] = [_auc_of(predictions[:, k], y_true == k) for k in range(classes)]
    return out | {
        "reliability": _reliability(probability, hit),
        "histogram": np.histogram(probability, bins=HISTOGRAM_BINS, range=(0, 1))[0].tolist(),
    }


def _curve(probability: Array, hit: NDArray[np.bool_], decision: DecisionThreshold) -> dict[str, Any]:
    """Count false and true positives at thresholds from high to low, which give every curve of two classes.

    The thresholds are dense among the highest probabilities, where precision changes fastest, and contain
    those of the threshold table and the model's own.
    """
    values = np.sort(probability)[::-1]
    places = np.concatenate(
        [
            np.linspace(0, len(values) - 1, CURVE_POINTS // 2),
            np.geomspace(1, len(values), CURVE_POINTS // 2) - 1,
        ]
    )
    own = 0.5 if decision.threshold is None else decision.threshold
    wanted = np.concatenate([values[places.round().astype(int)].round(6), SHOWN_THRESHOLDS, [own]])
    thresholds = np.unique(wanted)[::-1]
    of_hits, of_others = np.sort(probability[hit]), np.sort(probability[~hit])
    true = len(of_hits) - np.searchsorted(of_hits, thresholds, side="left")
    false = len(of_others) - np.searchsorted(of_others, thresholds, side="left")
    return {
        "threshold": thresholds.tolist(),
        "false_positives": false.tolist(),
        "true_positives": true.tolist(),
    }


def _auc_of(probability: Array, hit: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve of one class against the others; None if all rows are alike."""
    if not 0 < hit.sum() < len(hit):
        return None
    hits, others = int(hit.sum()), int((~hit).sum())
    excess = float(rankdata(probability)[hit].sum()) - hits * (hits + 1) / 2
    return min(max(excess / (hits * others), 0.0), 1.0)


def _reliability(probability: Array, hit: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return the mean probability and the observed frequency in bins with equal numbers of rows."""
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(BINS, max(1, len(order) // LEAST_BIN_ROWS)))
    return [
        {
            "predicted": float(probability[part].mean().clip(0, 1)),
            "observed": float(hit[part].mean()),
            "rows": len(part),
        }
        for part in parts
    ]


def _of_values(problem: Problem, predictions: Array, source_rows: Codes) -> dict[str, Any]:
    y_true, rows = problem.scorer.y_valid, problem.plan.validation_rows
    residual = y_true - predictions
    size = np.abs(residual)
    typical = float(np.median(size))
    if not np.isfinite([size.max(), y_true.max() - y_true.min(), (size**2).sum()]).all():
        return {}  # the largest floats have no sums
    out: dict[str, Any] = {
        "bands": _bands(predictions, residual),
        "deciles": _deciles(y_true, residual),
        "typical_error": typical,
        "worst": [],
    }
    if typical > 0:
        numbers = source_rows[rows]
        worst = np.argsort(-size, kind="stable")[:WORST_ROWS]
        out["worst"] = [
            {"row": int(numbers[k]) + 1, "times_typical": float(size[k] / typical)}
            for k in worst
            if size[k] / typical < np.inf
        ]
    dated = next((c for c in problem.data.schema.columns if c.role == "time"), None) or next(
        (c for c in problem.data.schema.features if c.kind == "datetime"), None
    )
    if dated is not None and dated.kind in ("datetime", "numeric"):
        moments = _moments(problem, dated)[rows]
        known = np.isfinite(moments)
        if known.any() and np.ptp(moments[known]) > 0:
            out["over_time"] = {
                "column": dated.name,
                "is_date": dated.kind == "datetime",
                "bands": _bands(moments[known], residual[known]),
            }
    return out


def _moments(problem: Problem, column: ColumnSchema) -> Array:
    """Return a column of numbers or dates as float64 (rows,); microseconds since 1970 for dates."""
    empty = ColumnProfile(schema=column, edges=(), levels=(), counts=(), low=None, high=None)
    return empty.values(problem.data.typed.table)


def _bands(x: Array, residual: Array) -> list[dict[str, float]]:
    """Return the quartiles of the residuals in groups of rows with similar ``x``."""
    order = np.argsort(x, kind="stable")
    parts = np.array_split(order, min(BANDS, max(1, len(x) // LEAST_BAND_ROWS)))
    names = ("low", "middle", "high")
    return [
        {"at": float(np.median(x[part]))}
        | dict(zip(names, np.quantile(residual[part], [0.25, 0.5, 0.75]).tolist(), strict=True))
        for part in parts
        if len(part)
    ]


def _deciles(y_true: Array, residual: Array) -> list[dict[str, Any]]:
    """Return the errors in deciles of the target; equal targets share a decile."""
    order = np.argsort(y_true, kind="stable")
    edges = np.unique(np.quantile(y_true, np.linspace(0, 1, DECILES + 1), method="inverted_cdf"))
    groups = np.clip(np.searchsorted(edges[1:-1], y_true[order], side="left"), 0, max(len(edges) - 2, 0))
    found = []
    for group in np.unique(groups):
        part = order[groups == group]
        errors = residual[part]
        found.append(
            {
                "low": float(y_true[part].min()),
                "high": float(y_true[part].max()),
                "rows": len(part),
                "mean_error": float(errors.mean()),
                "mean_absolute_error": float(np.abs(errors).mean()),
            }
        )
    return found
