"""Metrics of predicted numbers: values ``(n,)``, predictions ``(n,)`` and weights ``(n,)`` or None.

Targets of any scale are scaled by a power of two first, so that squares neither overflow nor vanish.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import exponent_of, scaled_back, to_order_one

Array = NDArray[np.float64]
SMALLEST_MEAN = 1e-6  # of a prediction in a deviance, as a share of the mean target
SMALLEST_DIVISOR = float(np.finfo(np.float64).eps)  # for relative errors


def rmse(y: Array, p: Array, w: Array | None) -> float:
    """Return the root of the mean squared error."""
    errors, exponent = _errors(y, p)
    return scaled_back(np.sqrt(np.average(errors**2, weights=w)), exponent)


def mae(y: Array, p: Array, w: Array | None) -> float:
    """Return the mean absolute error."""
    errors, exponent = _errors(y, p)
    return scaled_back(np.average(np.abs(errors), weights=w), exponent)


def pinball(y: Array, p: Array, w: Array | None, *, level: float) -> float:
    """Return the mean pinball loss of a quantile."""
    errors, exponent = _errors(y, p)
    return scaled_back(np.average(np.maximum(level * errors, (level - 1) * errors), weights=w), exponent)


def r2(y: Array, p: Array, w: Array | None) -> float:
    """Return the explained share of the variance."""
    errors, of_errors = _errors(y, p)
    scaled, exponent = to_order_one(y)
    centred, more = to_order_one(scaled - np.average(scaled, weights=w))
    variance = float(np.average(centred**2, weights=w))
    error = float(np.average(errors**2, weights=w))
    if variance == 0:
        return 1.0 if error == 0 else 0.0
    return 1.0 - scaled_back(error / variance, 2 * (of_errors - exponent - more))


def mape(y: Array, p: Array, w: Array | None) -> float:
    """Return the mean error relative to the target."""
    # A target of 0 counts as this, as in scikit-learn, but never as more than the smallest other target.
    positive = np.abs(y[y != 0])
    floor = min(SMALLEST_DIVISOR, float(positive.min())) if len(positive) else SMALLEST_DIVISOR
    errors, of_errors = _errors(y, p)
    divisors, of_divisors = to_order_one(np.maximum(np.abs(y), floor))
    with np.errstate(over="ignore"):
        shares = np.ldexp(np.abs(errors) / divisors, of_errors - of_divisors)
    scaled, exponent = to_order_one(np.minimum(shares, np.finfo(np.float64).max))
    return scaled_back(np.average(scaled, weights=w), exponent)


def poisson(y: Array, p: Array, w: Array | None) -> float:
    """Return the mean Poisson deviance."""
    exponent = exponent_of(y, p)  # the deviance grows with the scale
    y, p = np.ldexp(y, -exponent), np.ldexp(p, -exponent)
    # A mean of zero or less has no Poisson likelihood: such predictions count as a tiny mean.
    floor = SMALLEST_MEAN * max(float(np.mean(y)), 1e-12)
    deviance = sklearn_metric("mean_poisson_deviance")(y, np.maximum(p, floor), sample_weight=w)
    return scaled_back(deviance, exponent)


def gamma(y: Array, p: Array, w: Array | None) -> float:
    """Return the mean gamma deviance."""
    exponent = exponent_of(y, p)  # the deviance does not depend on the scale
    y, p = np.ldexp(y, -exponent), np.ldexp(p, -exponent)
    floor = SMALLEST_MEAN * max(float(np.mean(y)), np.finfo(np.float64).tiny / SMALLEST_MEAN)
    return float(sklearn_metric("mean_gamma_deviance")(y, np.maximum(p, floor), sample_weight=w))


def _errors(y: Array, p: Array) -> tuple[Array, int]:
    """Return the errors scaled by a power of two, so that the largest is of order one, and the exponent."""
    exponent = exponent_of(y, p)
    errors, more = to_order_one(np.ldexp(y, -exponent) - np.ldexp(p, -exponent))
    return errors, exponent + more


def sklearn_metric(name: str) -> Callable[..., float]:
    """Import a scikit-learn metric on first use: prediction needs none."""
    metric: Callable[..., float] = getattr(import_module("sklearn.metrics"), name)
    return metric
