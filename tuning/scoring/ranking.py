"""Metrics of an order of rows: labels ``(n,)``, scores ``(n,)`` and weights ``(n,)`` above 0 or None.

The values are those of scikit-learn, to the last bit. Its checks of each call take some milliseconds, and a
search compares hundreds of predictions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Positive = NDArray[np.bool_]


def area_under_roc(positive: Positive, score: Array, weights: Array | None = None) -> float:
    """Return the area under the ROC curve.

    >>> float(area_under_roc(np.array([False, True, False]), np.array([0.2, 0.4, 0.5])))
    0.5
    """
    true, false = _counts_above(positive, score, weights)
    corner = np.ones(len(true), dtype=bool)
    corner[1:-1] = (np.diff(true, 2) != 0) | (np.diff(false, 2) != 0)  # points on a line add only rounding
    true, false = (np.concatenate(([0.0], counts[corner])) for counts in (true, false))
    rate, width = true / true[-1], np.diff(false / false[-1])
    return float((width * (rate[1:] + rate[:-1]) / 2.0).sum())


def average_precision(positive: Positive, score: Array, weights: Array | None = None) -> float:
    """Return the mean precision over the positive rows, in order of falling scores.

    >>> average_precision(np.array([False, True, False]), np.array([0.2, 0.4, 0.5]))
    0.5
    """
    true, false = _counts_above(positive, score, weights)
    precision = true / (true + false)
    gains = np.diff(true / true[-1], prepend=0.0)
    return float((gains * precision)[::-1].sum())


def _counts_above(positive: Positive, score: Array, weights: Array | None) -> tuple[Array, Array]:
    """Return the weights of positive and negative rows with at least each distinct score, highest first."""
    order = np.argsort(-score, kind="stable")
    score, found = score[order], positive[order].astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # the last row of each distinct score
    if weights is None:
        true = np.cumsum(found)[last]
        return true, 1.0 + last - true
    mass = weights[order].astype(np.float64)
    return np.cumsum(found * mass)[last], np.cumsum((1.0 - found) * mass)[last]
