"""Calibration of class probabilities on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.scoring.rounding import rounded

Array = NDArray[np.float64]
SCORE_FLOOR = 1e-3  # smaller raw predictions count as this: such small differences are model error
ODDS_FLOOR = 1e-9  # for probabilities from log odds, whose small values are meaningful
MOST_STEPS, MOST_HALVINGS = 50, 30  # Newton steps and step halvings in the fit of a calibrator
TOLERANCE = 1e-9  # of its gradient, in units of log loss
DESCENT = 1e-4  # sufficient decrease of a step, as a share of the slope
FOLDS = 5  # cross-validation of whether a temperature helps
# Most classes with an offset each. The work of a step grows with their square, and with more classes each has
# few validation rows.
MOST_OFFSETS = 30
MOST_CELLS = 500_000  # rows times classes for fitting a few slopes: more rows change them little
SLOPES = (0.1, 10.0)  # inverse temperatures to try


class _Slopes(NamedTuple):
    """Prior and bounds of a calibrator's two slopes."""

    center: tuple[float, float]  # leaves raw predictions unchanged
    prior: tuple[float, float]  # strength in rows
    most: tuple[float, float]


SCORE_SLOPES = _Slopes((0.0, 1.0), (0.03, 1.0), (100.0, 10.0))  # a linear slope of 10 is not unusual
ODDS_SLOPES = _Slopes((1.0, 1.0), (1.0, 1.0), (10.0, 10.0))
MOST_OFFSET = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCalibrator:
    """``softmax(linear * s + logarithmic * log(max(s, floor)) + offsets)`` of raw class predictions ``s``.

    Raw predictions of a squared-error model estimate probabilities but may leave [0, 1]. The logarithm
    alone trusts them; the linear term sharpens or softens margins, as temperature scaling does (Guo et al.,
    ICML 2017); the offsets correct each class. Probabilities are never exactly zero.

    Two classes may have logarithmic slopes of their own, which is beta calibration (Kull, Silva Filho and
    Flach, AISTATS 2017): one bends the log odds if a class is unlikely, the other if it is likely.

    With slopes 0 and 1 and no offsets, probabilities are unchanged except for those below the floor.
    """

    linear: float = 0.0
    logarithmic: tuple[float, ...] = (1.0,)  # one for all classes, or one for each
    offsets: tuple[float, ...] = ()
    floor: float = SCORE_FLOOR

    def probabilities(self, scores: Array) -> Array:  # (n, classes) -> (n, classes)
        """Return probabilities that add to one."""
        return np.exp(_log_softmax(self._logits(scores)))

    def pulled_back(self, scores: Array, slopes: Array) -> Array:  # (n, classes), (n, classes)
        """Convert slopes by the probabilities into slopes by the raw predictions (the chain rule)."""
        probabilities = self.probabilities(scores)
        logits = probabilities * (slopes - (probabilities * slopes).sum(axis=1, keepdims=True))
        above = scores > self.floor
        return logits * (
            self.linear + np.array(self.logarithmic) * above / np.where(above, scores, self.floor)
        )

    def _logits(self, scores: Array) -> Array:
        logits = self.linear * scores + np.array(self.logarithmic) * np.log(np.maximum(scores, self.floor))
        return logits + np.array(self.offsets) if self.offsets else logits

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {
            "linear": self.linear,
            "logarithmic": list(self.logarithmic),
            "offsets": list(self.offsets),
            "floor": self.floor,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> MemberCalibrator:
        """Rebuild from the output of :meth:`to_json`.

        Files of format 1 use the floor of raw predictions and one number as the slope of all classes.
        """
        return cls(
            linear=float(facts["linear"]),
            logarithmic=tuple(float(v) for v in np.atleast_1d(facts["logarithmic"])),
            offsets=tuple(float(v) for v in facts["offsets"]),
            floor=float(facts.get("floor", SCORE_FLOOR)),
        )


def outcomes(scores: Array, calibrator: MemberCalibrator | None) -> Array:
    """Return values ``(n,)`` from ``(n, 1)``, or calibrated probabilities from ``(n, classes)``.

    Class predictions without a calibrator are returned unchanged: a ranking metric needs no more.
    """
    if calibrator is not None:
        return calibrator.probabilities(scores)
    return scores[:, 0] if scores.shape[1] == 1 else scores


def fit_calibrator(
    scores: Array, codes: NDArray[np.int64], weights: Array | None = None, *, odds: bool = False
) -> MemberCalibrator:
    """Fit the calibrator with the least log loss on out-of-fold predictions.

    Args:
        scores: decoded out-of-fold class predictions ``(n, classes)``.
        codes: true class codes ``(n,)``.
        weights: row weights ``(n,)``.
        odds: ``scores`` are two probabilities from log odds: each gets a slope of its logarithm; otherwise
            all classes share a linear and a logarithmic slope.

    Slopes are kept non-negative, as negative ones would reverse the ranking. Everything is shrunk towards the
    identity with the strength of about one row. More than ``MOST_OFFSETS`` classes get no offsets, and for
    very many rows and classes an evenly spaced sample of rows is used.
    """
    rows = _spread_rows(*scores.shape)
    scores, codes = scores[rows], codes[rows]
    n, classes = scores.shape
    offsets = classes if classes <= MOST_OFFSETS else 0
    w = np.ones(n) if weights is None else weights[rows]
    floor = ODDS_FLOOR if odds else SCORE_FLOOR
    logs = np.log(np.maximum(scores, floor))
    slopes = ODDS_SLOPES if odds else SCORE_SLOPES
    objective = _Objective(
        terms=(logs * [1.0, 0.0], logs * [0.0, 1.0]) if odds else (scores, logs),
        y_true=np.eye(classes)[codes],
        weights=w / w.sum(),
        prior=np.array([*slopes.prior] + [1.0] * offsets) / n,  # worth about one row
        center=np.array([*slopes.center] + [0.0] * offsets),
    )
    low = np.array([0.0, 0.0] + [-MOST_OFFSET] * offsets)
    high = np.array([*slopes.most] + [MOST_OFFSET] * offsets)
    theta = [float(value) for value in _minimise(objective, objective.center, low, high)]
    return MemberCalibrator(
        linear=0.0 if odds else theta[0],
        logarithmic=(theta[0], theta[1]) if odds else (theta[1],),
        offsets=tuple(theta[2:]),
        floor=floor,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Objective:
    """Log loss of ``softmax(theta[0] * terms[0] + theta[1] * terms[1] + theta[2:])`` with a quadratic prior.

    Without offsets ``theta`` has only the two slopes. The objective is convex.

    Sums over rows use ``einsum``: unlike matrix products, its order does not depend on the number of threads.
    """

    terms: tuple[Array, Array]  # (n, classes) each, multiplied by the slopes
    y_true: Array  # (n, classes), one-hot
    weights: Array  # (n,), adding to one
    prior: Array  # (2 + offsets,)
    center: Array  # (2 + offsets,), where the prior is zero

    def value(self, theta: Array) -> float:
        """Return the objective."""
        return self._value(theta, self._log_p(theta))

    def expand(self, theta: Array) -> tuple[float, Array, Array]:
        """Return the objective, its gradient ``(2 + offsets,)`` and its Hessian."""
        log_p = self._log_p(theta)
        p = np.exp(log_p)
        miss = (p - self.y_true) * self.weights[:, None]
        wp = p * self.weights[:, None]
        # Each feature minus its mean over the classes, under the probabilities.
        s, g = (term - (p * term).sum(1, keepdims=True) for term in self.terms)
        slope = np.array([(miss * term).sum() for term in self.terms])
        curvature = np.empty((len(theta), len(theta)))
        curvature[0, 0], curvature[1, 1] = (wp * s * s).sum(), (wp * g * g).sum()
        curvature[0, 1] = curvature[1, 0] = (wp * s * g).sum()
        if len(theta) > 2:
            slope = np.concatenate([slope, miss.sum(0)])
            curvature[0, 2:] = curvature[2:, 0] = (wp * s).sum(0)
            curvature[1, 2:] = curvature[2:, 1] = (wp * g).sum(0)
            curvature[2:, 2:] = np.diag(wp.sum(0)) - np.einsum("ik,ij->kj", wp, p)
        slope = slope + self.prior * (theta - self.center)
        return self._value(theta, log_p), slope, curvature + np.diag(self.prior)

    def _log_p(self, theta: Array) -> Array:
        logits = theta[0] * self.terms[0] + theta[1] * self.terms[1]
        return _log_softmax(logits + theta[2:] if len(theta) > 2 else logits)

    def _value(self, theta: Array, log_p: Array) -> float:
        surprise = -float((self.weights[:, None] * self.y_true * log_p).sum())
        return surprise + 0.5 * float((self.prior * (theta - self.center) ** 2).sum())


def _minimise(objective: _Objective, start: Array, low: Array, high: Array) -> Array:
    """Minimise between bounds by projected Newton steps, each with a sufficient decrease.

    Every trial's loss needs such a fit, and a search makes thousands. SciPy's L-BFGS-B finds the same minima
    in several times the seconds (``benchmarks/minimisers.py``). It also wakes the threads of its OpenBLAS
    unless they are limited, and these busy-wait on the cores that torch needs.

    Bertsekas: Projected Newton methods for optimization problems with simple constraints, SIAM Journal on
    Control and Optimization 20 (1982).
    """
    theta = start
    for _ in range(MOST_STEPS):
        value, slope, curvature = objective.expand(theta)
        free = ~(((theta <= low) & (slope > 0)) | ((theta >= high) & (slope < 0)))
        if not free.any() or np.abs(slope[free]).max() < TOLERANCE:
            break
        step = np.zeros_like(theta)
        try:
            step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        except np.linalg.LinAlgError:  # raw predictions so large that their squares hide the prior
            step[free] = -slope[free] / np.diag(curvature)[free]
        for _ in range(MOST_HALVINGS):
            tried = np.clip(theta + step, low, high)
            if objective.value(tried) <= value + DESCENT * float(slope @ (tried - theta)):
                break
            step = step / 2
        else:
            break
        theta = tried
    return theta


def fit_temperature(
    probabilities: Array, codes: NDArray[np.int64], weights: Array | None = None
) -> MemberCalibrator:
    """Fit a temperature for an ensemble's probabilities, if cross-validation says that it helps.

    Args:
        probabilities: out-of-fold probabilities ``(n, classes)``, each an average of calibrated ones.
        codes: true class codes ``(n,)``.
        weights: row weights ``(n,)``.

    An average is less confident than its members, more so the less they agree; one slope corrects that. The
    members have been calibrated on the same rows, so anything richer would fit those rows a second time. A
    class gets at least the share of one class of one row, ``1 / (n classes)``: a class that never occurred in
    so many rows may still occur next.

    >>> sure = fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]] * 50), np.array([0, 1] * 50))
    >>> sure.probabilities(np.array([[0.9, 0.1]])).round(2).tolist()
    [[1.0, 0.0]]
    """
    rows = np.arange(len(codes)) if weights is None else np.flatnonzero(weights > 0)
    floor = 1.0 / max(len(rows) * probabilities.shape[1], 1)
    rows = rows[_spread_rows(len(rows), probabilities.shape[1])]
    w = np.ones(len(rows)) if weights is None else weights[rows]
    logs, codes = np.log(np.maximum(probabilities[rows], floor)), codes[rows]
    unchanged = _surprises(logs, codes)
    held_out = unchanged.copy()
    for fold in range(FOLDS if len(rows) >= FOLDS else 0):
        left_out = np.arange(len(rows)) % FOLDS == fold
        slope = _fit_slope(logs[~left_out], codes[~left_out], w[~left_out])
        held_out[left_out] = _surprises(slope * logs[left_out], codes[left_out])
    helps = rounded(float(w @ held_out)) < rounded(float(w @ unchanged))
    return MemberCalibrator(logarithmic=(_fit_slope(logs, codes, w) if helps else 1.0,), floor=floor)


def _spread_rows(n: int, classes: int) -> NDArray[np.int64]:
    """Return the positions of all ``n`` rows, or of as many as ``MOST_CELLS`` allows, evenly spaced."""
    return np.arange(0, n, max(1, -(-n * classes // MOST_CELLS)))


def _fit_slope(logs: Array, codes: NDArray[np.int64], w: Array) -> float:
    """Fit the slope of the logarithms by log loss, shrunk towards 1 by a prior worth about one row."""
    from scipy.optimize import minimize_scalar  # prediction does not need it

    share = w / w.sum()

    def loss(slope: float) -> float:
        return float(share @ _surprises(slope * logs, codes)) + 0.5 * (slope - 1.0) ** 2 / len(codes)

    return float(minimize_scalar(loss, bounds=SLOPES, method="bounded").x)


def _surprises(logits: Array, codes: NDArray[np.int64]) -> Array:
    """Return minus the log probability of each row's class."""
    return -_log_softmax(logits)[np.arange(len(codes)), codes]


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
