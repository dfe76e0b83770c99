"""Target transforms: values or logarithms, classes on a simplex or as log odds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import to_order_one
from xrfm_cli.tuning.scoring.log_target import FACTORS, log_offset

Array = NDArray[np.float64]
# Up to this many classes, scores add up contrast by contrast, which keeps the bits of earlier versions.
MANY_CLASSES = 64
TransformChoice = Literal["none", "log"]
# A transform that the user may choose, or one implied by a loss.
TransformName = Literal["none", "log", "logit"]

# How far a predicted logarithm may leave the training range on each side, as a share of the range.
MARGIN = 0.1
LARGEST_LOG = 700.0  # exp(709) is the largest that float64 holds


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTransform:
    """Regression targets, standardised by their (weighted) mean and standard deviation.

    >>> target_transform = ValueTransform.fit(np.array([1.0, 3.0]), None)
    >>> target_transform.encode(np.array([5.0])).tolist(), target_transform.decode(np.array([[3.0]])).tolist()
    ([[3.0]], [[5.0]])
    """

    mean: float
    deviation: float

    @classmethod
    def fit(cls, y: Array, weights: Array | None) -> ValueTransform:
        """Fit to training values ``(n,)``."""
        mean, deviation = _moments(y, weights)
        return cls(mean=mean, deviation=deviation)

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return 1, 1

    def encode(self, y: Array) -> Array:
        """Encode values ``(n,)`` as ``(n, 1)``."""
        return ((y - self.mean) / self.deviation)[:, None]

    def decode(self, codes: Array) -> Array:
        """Decode raw predictions ``(n, 1)`` to values ``(n, 1)``, clipped to the range of float64."""
        largest = np.finfo(np.float64).max
        with np.errstate(over="ignore"):
            return np.clip(codes * self.deviation + self.mean, -largest, largest)

    def rates(self, start: Array, end: Array) -> Array:
        """Return values per unit of raw prediction ``(n, 1, 1)`` between ``start`` and ``end (n, 1)``."""
        return np.broadcast_to(np.array([[self.deviation]]), (len(end), 1, 1))

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {"kind": "values", **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTransform:
    """Non-negative, skewed regression targets: their logarithms, standardised.

    A raw prediction ``f`` becomes ``factor * exp(f * deviation + mean) - offset``. The exponential of a mean
    logarithm is nearer to the median than to the mean; ``factor`` corrects that on average (Duan, JASA 78,
    1983). The logarithm is clipped, since the exponential would magnify a leaf's extrapolation.

    >>> logs = LogTransform.fit(np.array([1.0, 100.0]), None)
    >>> logs.encode(np.array([10.0])).round(9).tolist(), logs.decode(np.array([[1.0]])).round(9).tolist()
    ([[0.0]], [[100.0]])
    """

    mean: float  # of the logarithms
    deviation: float
    offset: float  # added to targets before the logarithm
    low: float  # limits of a predicted logarithm
    high: float
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.low <= self.high <= LARGEST_LOG:
            raise ValueError(f"no range of logarithms: {self.low} to {self.high}")
        if self.offset < 0:
            raise ValueError(f"no offset: {self.offset}")
        if not FACTORS[0] <= self.factor <= FACTORS[1]:
            raise ValueError(f"factor {self.factor} is not within {FACTORS[0]} to {FACTORS[1]}")

    @classmethod
    def fit(cls, y: Array, weights: Array | None, factor: float = 1.0) -> LogTransform:
        """Fit to non-negative training values ``(n,)``."""
        if weights is not None:
            y, weights = y[weights > 0], weights[weights > 0]
        offset = log_offset(y, weights)
        logs = np.minimum(np.log(y + offset), LARGEST_LOG)
        mean, deviation = _moments(logs, weights)
        low, high = float(logs.min()), float(logs.max())
        margin = MARGIN * (high - low)
        return cls(
            mean=mean,
            deviation=deviation,
            offset=offset,
            low=low - margin,
            high=min(high + margin, LARGEST_LOG),
            factor=factor,
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return 1, 1

    def encode(self, y: Array) -> Array:
        """Encode values ``(n,)`` as ``(n, 1)``, clipped to the range that predictions can reach."""
        logs = np.log(np.maximum(y + self.offset, np.finfo(np.float64).tiny))
        return ((np.clip(logs, self.low, self.high) - self.mean) / self.deviation)[:, None]

    def decode(self, codes: Array) -> Array:
        """Decode raw predictions ``(n, 1)`` to values ``(n, 1)``."""
        return self.factor * np.exp(self._logs(codes)) - self.offset

    def rates(self, start: Array, end: Array) -> Array:
        """Return values per unit of raw prediction ``(n, 1, 1)`` between ``start`` and ``end (n, 1)``.

        This is the slope of the secant, so that a rate times ``end - start`` is the difference of the values;
        the derivative if both are equal.
        """
        from_log, to_log = self._logs(start), self._logs(end)
        way = end - start
        change = self.factor * np.exp(from_log) * np.expm1(to_log - from_log)
        inside = (to_log > self.low) & (to_log < self.high)
        slope = np.where(inside, self.factor * self.deviation * np.exp(to_log), 0.0)
        return np.where(way == 0, slope, change / np.where(way == 0, 1.0, way))[:, :, None]

    def _logs(self, codes: Array) -> Array:
        return np.clip(codes * self.deviation + self.mean, self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        # A separate kind, so that versions without this transform refuse the file instead of predicting
        # logarithms.
        return {"kind": "logs", **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTransform:
    """Classes as corners of a simplex around the prior.

    Class ``k`` becomes ``U^T (e_k - prior)`` with ``U (classes, classes - 1)`` orthonormal and orthogonal to
    the ones; a leaf's output ``f`` becomes ``prior + U f``. Decoded predictions add to one, and far from the
    data they are the prior.

    >>> target_transform = ClassTransform.fit(np.array([0, 1, 1, 1]), 2, None)
    >>> target_transform.decode(np.zeros((1, 1))).tolist()
    [[0.25, 0.75]]
    """

    prior: tuple[float, ...]

    @classmethod
    def fit(cls, codes: NDArray[np.int64], n_classes: int, weights: Array | None) -> ClassTransform:
        """Fit to training codes ``(n,)``."""
        counts = np.bincount(codes, weights=weights, minlength=n_classes).astype(float)
        return cls(prior=tuple((counts / counts.sum()).tolist()))

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return len(self.prior), len(self.prior) - 1

    def encode(self, codes: NDArray[np.int64]) -> Array:
        """Encode class codes ``(n,)`` as ``(n, classes - 1)``."""
        return (np.eye(len(self.prior))[codes] - np.array(self.prior)) @ self.contrasts()

    def decode(self, outputs: Array) -> Array:
        """Decode outputs ``(n, classes - 1)`` to ``(n, classes)`` that add to one."""
        if len(self.prior) > MANY_CLASSES:
            return self._decode_many(outputs)
        scores = np.tile(np.array(self.prior), (len(outputs), 1))
        # Column by column: a matrix product would round a row differently depending on the other rows.
        for k, column in enumerate(self.contrasts().T):
            scores[:, : k + 2] += outputs[:, k, None] * column[: k + 2]  # the rest is zero
        return scores

    def _decode_many(self, outputs: Array) -> Array:
        """Like `decode`, in linear time: contrast ``k`` adds the same number to every class below ``k``."""
        k = np.arange(1, len(self.prior))
        scaled = outputs / np.sqrt(k * (k + 1))
        above = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]  # sums over the contrasts above a class
        scores = np.tile(np.array(self.prior), (len(outputs), 1))
        scores[:, :-1] -= above
        scores[:, 1:] += k * scaled
        return scores

    def rates(self, start: Array, end: Array) -> Array:
        """Return decoded values per unit of output ``(n, classes, classes - 1)``, the same everywhere."""
        return np.broadcast_to(self.contrasts(), (len(end), *self.sizes))

    def pulled_back(self, outputs: Array, slopes: Array) -> Array:  # (n, classes - 1), (n, classes)
        """Return the slopes by the outputs of what has these slopes by the decoded predictions."""
        pulled: Array = slopes @ self.contrasts()
        return pulled

    def contrasts(self) -> Array:
        """Return ``U (classes, classes - 1)``: Helmert's orthonormal contrasts."""
        n = len(self.prior)
        u = np.zeros((n, n - 1))
        for k in range(1, n):
            u[:k, k - 1] = -1.0 / np.sqrt(k * (k + 1))
            u[k, k - 1] = k / np.sqrt(k * (k + 1))
        return u

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {"kind": "classes", "prior": list(self.prior)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitTransform:
    """Two classes as -1 and 1; log odds ``f`` decode to the probabilities ``1 / (1 + exp(-+f))``.

    >>> LogitTransform().encode(np.array([0, 1])).tolist(), LogitTransform().decode(np.zeros((1, 1))).tolist()
    ([[-1.0], [1.0]], [[0.5, 0.5]])
    """

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return 2, 1

    def encode(self, codes: NDArray[np.int64]) -> Array:
        """Encode class codes ``(n,)`` as ``(n, 1)``."""
        signs = 2.0 * codes.astype(np.float64) - 1.0
        return signs[:, None]

    def decode(self, outputs: Array) -> Array:
        """Decode log odds ``(n, 1)`` to probabilities ``(n, 2)``."""
        return np.concatenate([_logistic(-outputs), _logistic(outputs)], axis=1)

    def rates(self, start: Array, end: Array) -> Array:
        """Return probabilities per unit of log odds ``(n, 2, 1)`` between ``start`` and ``end (n, 1)``.

        The slope of the secant, as for :class:`LogTransform`, without a difference of near numbers:
        ``p(high) - p(low) = p(high) (1 - p(low)) (1 - exp(low - high))``.
        """
        low, high = np.minimum(start, end), np.maximum(start, end)
        way = high - low
        slope = _logistic(high) * _logistic(-low)
        shares = np.where(way == 0, 1.0, -np.expm1(-way) / np.where(way == 0, 1.0, way))
        return np.stack([-slope * shares, slope * shares], axis=1)

    def pulled_back(self, outputs: Array, slopes: Array) -> Array:  # (n, 1), (n, 2)
        """Return the slopes by the log odds of what has these slopes by the probabilities."""
        return (slopes[:, 1:] - slopes[:, :1]) * _logistic(outputs) * _logistic(-outputs)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {"kind": "logits"}


def _logistic(odds: Array) -> Array:
    """Return ``1 / (1 + exp(-odds))``, for odds of any size."""
    small = np.exp(-np.abs(odds))
    share: Array = np.where(odds >= 0, 1.0, small) / (1.0 + small)
    return share


TargetTransform = ValueTransform | LogTransform | ClassTransform | LogitTransform
_NUMBERS: dict[str, type[ValueTransform] | type[LogTransform]] = {
    "values": ValueTransform,
    "logs": LogTransform,
}


def target_transform_from_json(facts: Mapping[str, Any]) -> TargetTransform:
    """Rebuild from the output of ``to_json``; ValueError, LookupError or TypeError if not possible."""
    if facts["kind"] == "logits":
        return LogitTransform()
    if facts["kind"] == "classes":
        return ClassTransform(prior=tuple(float(p) for p in facts["prior"]))
    target_transform = _NUMBERS[facts["kind"]]
    numbers = {field.name: float(facts[field.name]) for field in fields(target_transform)}
    if not all(map(math.isfinite, numbers.values())) or numbers["deviation"] <= 0:
        raise ValueError(f"not a target transform: {numbers}")
    return target_transform(**numbers)


def fit_target_transform(
    y_true: NDArray[Any],
    n_classes: int,
    weights: Array | None,
    transform: TransformName = "none",
    factor: float = 1.0,
) -> TargetTransform:
    """Fit the target transform of a task; ``factor`` corrects the log transform."""
    if transform == "logit":
        return LogitTransform()
    if n_classes:
        return ClassTransform.fit(y_true, n_classes, weights)
    return (
        LogTransform.fit(y_true, weights, factor)
        if transform == "log"
        else ValueTransform.fit(y_true, weights)
    )


def _moments(values: Array, weights: Array | None) -> tuple[float, float]:
    """Return the weighted mean and standard deviation; the latter is 1 if nothing varies."""
    scaled, exponent = to_order_one(values)
    mean = float(np.average(scaled, weights=weights))
    centred, more = to_order_one(scaled - mean)
    deviation = float(np.ldexp(np.sqrt(np.average(centred**2, weights=weights)), exponent + more))
    return float(np.ldexp(mean, exponent)), deviation if deviation > 0 else 1.0
