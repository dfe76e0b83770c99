"""Check by out-of-fold predictions whether a model predicts better than a constant."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.rows import PlottedRows
from xrfm_cli.tuning.scoring.metric_names import constant_name, quantile_level

Array = NDArray[np.float64]
# Standard errors by which the gain over a constant must exceed zero. The models were chosen on the same rows,
# which raises the gain of pure noise: with 1.6, a quarter of the noise targets passed.
ERRORS = 3.0
SMALLEST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good a model is on held-out rows, and whether chance alone may explain it."""

    metric: str
    score: float
    baseline: str  # mean, quantile or majority
    baseline_score: float | None
    gain: float  # share of the squared error, the pinball loss or the log loss that the model saves
    errors: float  # the gain in standard errors
    is_better: bool  # than the baseline, beyond chance


def measure_quality(model: FittedModel) -> Quality:
    """Compare the out-of-fold predictions with a constant, row by row."""
    report, target = model.report, model.target
    gains = _gains(report.oof, classes=len(target.classes), metric=report.metric)
    mean, errors = (0.0, math.inf) if len(gains) < 2 else (float(gains.mean()), _errors(gains))
    name = constant_name(report.metric, has_classes=bool(target.classes))
    scores = {item["name"]: item["score"] for item in report.baselines}
    return Quality(
        metric=report.metric,
        score=report.score,
        baseline=name,
        baseline_score=scores.get(name),
        gain=mean,
        errors=errors,
        is_better=errors > ERRORS,
    )


def _errors(gains: Array) -> float:
    error = float(gains.std(ddof=1)) / len(gains) ** 0.5
    mean = float(gains.mean())
    return mean / error if error > 0 else math.inf * np.sign(mean) if mean else 0.0


def _gains(oof: PlottedRows, *, classes: int, metric: str) -> Array:  # -> (n,)
    """Return each row's gain over the constant, as a share of the constant's mean loss."""
    y = np.asarray(oof.get("target", []), dtype=np.float64)
    predicted = np.asarray(oof.get("prediction", []), dtype=np.float64)
    if len(y) < 2 or not np.isfinite(predicted).all():
        return np.empty(0)
    level = quantile_level(metric)
    if level is not None:
        constant = np.quantile(y, level, method="inverted_cdf")
        scale = float(np.abs(y - constant).max()) or 1.0
        errors = [(y - value) / scale for value in (constant, predicted)]
        before, after = (np.maximum(level * error, (level - 1) * error) for error in errors)
    elif not classes:
        scale = float(np.abs(y - y.mean()).max()) or 1.0  # squares of large targets overflow
        before, after = np.square((y - y.mean()) / scale), np.square((y - predicted) / scale)
    else:
        codes = y.astype(np.int64)
        whole = np.column_stack([1 - predicted, predicted]) if predicted.ndim == 1 else predicted
        shares = np.bincount(codes, minlength=classes) / len(codes)
        chosen = np.clip(whole[np.arange(len(codes)), codes], SMALLEST_PROBABILITY, 1.0)
        before, after = -np.log(shares[codes]), -np.log(chosen)
    return (before - after) / (before.mean() or 1.0)
