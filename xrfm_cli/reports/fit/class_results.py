"""How well the model separates classes: by class, by pair of classes and by threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.swap_study import RANGE_ERRORS

MOST_PAIRS = 200
COUNTED = ("threshold", "false_positives", "true_positives")  # the columns of a curve

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How two classes are told apart at one threshold of the positive class's probability."""

    threshold: float
    is_own: bool
    flagged: float  # share of the rows that are predicted positive
    precision: float | None  # None if no row is predicted positive
    recall: float
    specificity: float
    f1: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """How well one class is recognised."""

    name: str
    rows: int
    share: float
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedPair:
    """Rows of one class that were predicted as another."""

    true: str
    predicted: str
    rows: int
    share: float  # of the class


def confusion_counts(summary: Mapping[str, Any], classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix, class by predicted class."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    for true, predicted, rows in summary["confusion"]:
        counts[true, predicted] = rows
    return counts


def class_results(summary: Mapping[str, Any], names: Sequence[str]) -> list[ClassResult]:
    """Return precision, recall and F1 of each class, in the order of the classes."""
    counts = confusion_counts(summary, len(names))
    areas = summary.get("class_auc") or [None] * len(names)
    out = []
    for k, name in enumerate(names):
        rows, predicted, hits = int(counts[k].sum()), int(counts[:, k].sum()), int(counts[k, k])
        out.append(
            ClassResult(
                name=name,
                rows=rows,
                share=rows / max(counts.sum(), 1),
                predicted=predicted,
                precision=hits / predicted if predicted else None,
                recall=hits / rows if rows else None,
                f1=2 * hits / (rows + predicted) if rows + predicted else None,
                auc=areas[k],
            )
        )
    return out


def confused_pairs(summary: Mapping[str, Any], names: Sequence[str]) -> list[ConfusedPair]:
    """Return the confused pairs with the most rows, largest first."""
    totals = confusion_counts(summary, len(names)).sum(1)
    wrong = sorted((cell for cell in summary["confusion"] if cell[0] != cell[1]), key=lambda cell: -cell[2])
    return [
        ConfusedPair(true=names[true], predicted=names[predicted], rows=rows, share=rows / totals[true])
        for true, predicted, rows in wrong[:MOST_PAIRS]
    ]


def threshold_table(summary: Mapping[str, Any], own: float) -> list[Threshold]:
    """Return precision, recall and others at round thresholds and at the model's own, lowest first."""
    curve, (others, hits) = summary["curve"], summary["class_rows"]
    out = []
    for value, false, true in zip(*(curve[name] for name in COUNTED), strict=True):
        is_own = abs(value - own) < 1e-9
        if not is_own and abs(value * 20 - round(value * 20)) > 1e-9:
            continue
        flagged, total = false + true, hits + others
        out.append(
            Threshold(
                threshold=value,
                is_own=is_own,
                flagged=flagged / total,
                precision=true / flagged if flagged else None,
                recall=true / max(hits, 1),
                specificity=1 - false / max(others, 1),
                f1=2 * true / max(hits + flagged, 1),
                accuracy=(true + others - false) / total,
            )
        )
    return out[::-1]


def wilson(share: Array, count: Array) -> tuple[Array, Array]:
    """Return Wilson's 90 % confidence interval of a proportion, which stays within 0 and 1."""
    center = (share + RANGE_ERRORS**2 / (2 * count)) / (1 + RANGE_ERRORS**2 / count)
    half = (
        RANGE_ERRORS
        * np.sqrt(share * (1 - share) / count + RANGE_ERRORS**2 / (4 * count**2))
        / (1 + RANGE_ERRORS**2 / count)
    )
    return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)
