"""Log target transform: when it suits a target, the offset before the logarithm, the correction after it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_SKEWNESS = 1.0  # lowest skewness of a target for which the logarithm is tried
OFFSET_SHARE = 0.05  # share of the positive targets at or below the offset, if some target is 0
FACTORS = (0.5, 2.0)  # limits of the correction: values beyond are artefacts of few rows
MEAN_METRICS = ("rmse", "r2", "poisson_deviance", "gamma_deviance")  # minimised by the conditional mean


def suits_log(y: Array) -> bool:
    """Return whether training values ``(n,)`` are non-negative, right-skewed, and less skewed on a log scale.

    >>> suits_log(np.array([1.0, 2.0, 4.0, 8.0, 300.0])), suits_log(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    (True, False)
    """
    if y.min() < 0:
        return False
    skewness = _skewness(y)
    return skewness > LEAST_SKEWNESS and abs(_skewness(np.log(y + log_offset(y, None)))) < skewness


def mean_factor(metric: str, y_true: Array, predicted: Array, weights: Array | None) -> float:
    """Return the factor that corrects log-based predictions to estimate the conditional mean.

    Args:
        metric: for squared-error metrics the factor is fitted by least squares, for the Poisson deviance by
            equal means, for the gamma deviance by the mean of the ratios; it is 1 for metrics whose best
            prediction is not the mean.
        y_true: targets ``(n,)`` with the offset added.
        predicted: out-of-fold predictions ``(n,)`` with the offset added and no factor yet.
        weights: of the rows.

    >>> mean_factor("rmse", np.array([2.0, 4.0]), np.array([1.6, 3.2]), None)
    1.25
    """
    largest = float(predicted.max())
    if metric not in MEAN_METRICS or not (math.isfinite(largest) and largest > 0):
        return 1.0
    share = predicted / largest  # avoids overflow of the squares of large targets
    counted = np.ones_like(share) if weights is None else weights
    if metric == "gamma_deviance":
        counted = counted / np.maximum(share, np.finfo(np.float64).tiny)
    elif metric != "poisson_deviance":
        counted = counted * share
    factor = np.average(y_true / largest, weights=counted) / np.average(share, weights=counted)
    return float(np.clip(factor, *FACTORS))


def log_offset(y: Array, weights: Array | None) -> float:
    """Return the offset added before the logarithm: 0 for positive targets, else a small quantile of them."""
    if y.min() > 0:
        return 0.0
    if y.max() <= 0:
        return 1.0
    order = np.argsort(y, kind="stable")
    order = order[y[order] > 0]
    reached = np.cumsum(np.ones(len(order)) if weights is None else weights[order])
    return float(y[order[np.searchsorted(reached, OFFSET_SHARE * reached[-1])]])


def _skewness(values: Array) -> float:
    centred = values - values.mean()
    largest = np.abs(centred).max()
    if largest == 0:
        return 0.0
    centred = centred / largest  # avoids overflow of the cubes of large targets
    return float((centred**3).mean() / (centred**2).mean() ** 1.5)
