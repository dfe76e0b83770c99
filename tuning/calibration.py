"""Class probabilities from scores, calibrated on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.ensemble import rounded

Array = NDArray[np.float64]
SCORE_FLOOR = 1e-3  # raw scores below are all alike: so small a difference is a machine's error
LINEAR_PRIOR = 0.03  # strength of the prior on the linear slope, in rows: a slope of 10 is not unusual
FOLDS = 5  # that judge whether a temperature helps
SLOPES = (0.1, 10.0)  # one over the temperatures that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """``softmax(linear * s + logarithmic * log(max(s, floor)) + offsets)`` of class scores ``s``.

    Scores of a squared-error machine are estimates of probabilities that may leave [0, 1]. Their logarithm
    alone trusts them; the linear term sharpens or softens margins, as temperature scaling does
    (Guo et al., ICML 2017); the offsets correct each class. Probabilities are never exactly zero.

    With the slopes 0 and 1 and no offsets, probabilities stay what they are, but for those below the floor.
    """

    linear: float = 0.0
    logarithmic: float = 1.0
    offsets: tuple[float, ...] = ()
    floor: float = SCORE_FLOOR

    def probabilities(self, scores: Array) -> Array:  # (n, classes) -> (n, classes)
        """Probabilities that add to one."""
        return np.exp(_log_softmax(self._logits(scores)))

    def _logits(self, scores: Array) -> Array:
        logits = self.linear * scores + self.logarithmic * np.log(np.maximum(scores, self.floor))
        return logits + np.array(self.offsets) if self.offsets else logits

    def to_json(self) -> dict[str, Any]:
        """The facts to build it again."""
        return {
            "linear": self.linear,
            "logarithmic": self.logarithmic,
            "offsets": list(self.offsets),
            "floor": self.floor,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Calibrator:
        """Build again what :meth:`to_json` described; files of format 1 have the floor of raw scores."""
        return cls(
            linear=float(facts["linear"]),
            logarithmic=float(facts["logarithmic"]),
            offsets=tuple(float(v) for v in facts["offsets"]),
            floor=float(facts.get("floor", SCORE_FLOOR)),
        )


def fit_calibrator(scores: Array, codes: NDArray[np.int64], weights: Array | None = None) -> Calibrator:
    """The calibrator with the least log loss on rows whose scores were made without them.

    Args:
        scores: out-of-fold class scores ``(n, classes)``.
        codes: true class codes ``(n,)``.
        weights: row weights ``(n,)``.

    Slopes are kept from going negative, which would turn the ranking around, and everything is shrunk
    towards leaving the scores as they are, with the strength of about one row.
    """
    from scipy.optimize import minimize  # prediction does not need it

    n, classes = scores.shape
    w = np.ones(n) if weights is None else weights
    w = w / w.sum()
    logs = np.log(np.maximum(scores, SCORE_FLOOR))
    truth = np.eye(classes)[codes]
    shrinkage = 1.0 / n  # a prior worth about one row

    def loss(theta: Array) -> tuple[float, Array]:
        logits = theta[0] * scores + theta[1] * logs + theta[2:]
        log_p = _log_softmax(logits)
        slope = (np.exp(log_p) - truth) * w[:, None]
        gradient = np.zeros_like(theta)
        gradient[0], gradient[1] = (slope * scores).sum(), (slope * logs).sum()
        value = -float((w[:, None] * truth * log_p).sum())
        gradient[0] += shrinkage * LINEAR_PRIOR * theta[0]
        gradient[1] += shrinkage * (theta[1] - 1.0)
        value += shrinkage * (0.5 * LINEAR_PRIOR * theta[0] ** 2 + 0.5 * (theta[1] - 1.0) ** 2)
        gradient[2:] = slope.sum(0) + shrinkage * theta[2:]
        value += shrinkage * 0.5 * float((theta[2:] ** 2).sum())
        return value, gradient

    start = np.array([0.0, 1.0] + [0.0] * classes)
    bounds = [(0.0, 100.0), (0.0, 10.0)] + [(-5.0, 5.0)] * classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100})
    theta = found.x if np.isfinite(found.fun) and found.fun <= loss(start)[0] else start
    return Calibrator(
        linear=float(theta[0]), logarithmic=float(theta[1]), offsets=tuple(float(v) for v in theta[2:])
    )


def fit_temperature(
    probabilities: Array, codes: NDArray[np.int64], weights: Array | None = None
) -> Calibrator:
    """A temperature for an ensemble's probabilities, where rows left out of its fit say that it helps.

    Args:
        probabilities: out-of-fold probabilities ``(n, classes)``, each an average of calibrated ones.
        codes: true class codes ``(n,)``.
        weights: row weights ``(n,)``.

    An average is less sure than what it averages, more so the less its members agree; one slope corrects
    that. Its members have been calibrated on the same rows, so anything richer would fit those rows a second
    time. A class gets at least the share of one class of one row, ``1 / (n classes)``: what never came in so
    many rows may still come next.

    >>> sure = fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]] * 50), np.array([0, 1] * 50))
    >>> sure.probabilities(np.array([[0.9, 0.1]])).round(2).tolist()
    [[1.0, 0.0]]
    """
    rows = np.arange(len(codes)) if weights is None else np.flatnonzero(weights > 0)
    w = np.ones(len(rows)) if weights is None else weights[rows]
    floor = 1.0 / (len(rows) * probabilities.shape[1])
    logs, codes = np.log(np.maximum(probabilities[rows], floor)), codes[rows]
    unchanged = _surprises(logs, codes)
    held_out = unchanged.copy()
    for fold in range(FOLDS if len(rows) >= FOLDS else 0):
        left_out = np.arange(len(rows)) % FOLDS == fold
        slope = _fit_slope(logs[~left_out], codes[~left_out], w[~left_out])
        held_out[left_out] = _surprises(slope * logs[left_out], codes[left_out])
    helps = rounded(float(w @ held_out)) < rounded(float(w @ unchanged))
    return Calibrator(logarithmic=_fit_slope(logs, codes, w) if helps else 1.0, floor=floor)


def _fit_slope(logs: Array, codes: NDArray[np.int64], w: Array) -> float:
    """The slope of logarithms with the least log loss, shrunk towards 1 by a prior worth about one row."""
    from scipy.optimize import minimize_scalar  # prediction does not need it

    share = w / w.sum()

    def loss(slope: float) -> float:
        return float(share @ _surprises(slope * logs, codes)) + 0.5 * (slope - 1.0) ** 2 / len(codes)

    return float(minimize_scalar(loss, bounds=SLOPES, method="bounded").x)


def _surprises(logits: Array, codes: NDArray[np.int64]) -> Array:
    """Minus the log probability of each row's class."""
    return -_log_softmax(logits)[np.arange(len(codes)), codes]


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
