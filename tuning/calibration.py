"""Class probabilities from scores, calibrated on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FLOOR = 1e-3  # scores are clipped here before their logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """``softmax(linear * s + logarithmic * log(max(s, floor)) + offsets)`` of class scores ``s``.

    Scores of a squared-error machine are estimates of probabilities that may leave [0, 1]. Their logarithm
    alone trusts them; the linear term sharpens or softens margins, as temperature scaling does
    (Guo et al., ICML 2017); the offsets correct each class. Probabilities are never exactly zero.
    """

    linear: float = 0.0
    logarithmic: float = 1.0
    offsets: tuple[float, ...] = ()

    def probabilities(self, scores: Array) -> Array:  # (n, classes) -> (n, classes)
        """Probabilities that add to one."""
        return np.exp(_log_softmax(self._logits(scores)))

    def _logits(self, scores: Array) -> Array:
        logits = self.linear * scores + self.logarithmic * np.log(np.maximum(scores, FLOOR))
        return logits + np.array(self.offsets) if self.offsets else logits

    def to_json(self) -> dict[str, Any]:
        """The facts to build it again."""
        return {"linear": self.linear, "logarithmic": self.logarithmic, "offsets": list(self.offsets)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Calibrator:
        """Build again what :meth:`to_json` described."""
        return cls(
            linear=float(facts["linear"]),
            logarithmic=float(facts["logarithmic"]),
            offsets=tuple(float(v) for v in facts["offsets"]),
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
    logs = np.log(np.maximum(scores, FLOOR))
    truth = np.eye(classes)[codes]
    shrinkage = 1.0 / n  # a prior worth about one row

    def loss(theta: Array) -> tuple[float, Array]:
        logits = theta[0] * scores + theta[1] * logs + theta[2:]
        log_p = _log_softmax(logits)
        slope = (np.exp(log_p) - truth) * w[:, None]
        gradient = np.zeros_like(theta)
        gradient[0], gradient[1] = (slope * scores).sum(), (slope * logs).sum()
        value = -float((w[:, None] * truth * log_p).sum())
        gradient[0] += shrinkage * 1e-3 * theta[0]
        gradient[1] += shrinkage * (theta[1] - 1.0)
        value += shrinkage * (0.5e-3 * theta[0] ** 2 + 0.5 * (theta[1] - 1.0) ** 2)
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


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
