"""Target transforms: values, logarithms or shares of the mean; classes on a simplex or as log odds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import to_order_one
from xrfm_cli.tuning.scoring.class_transforms import ClassTransform, LogitTransform
from xrfm_cli.tuning.scoring.log_target import FACTORS, log_offset

Array = NDArray[np.float64]
TransformChoice = Literal["none", "log"]
# A transform that the user may choose, or one implied by a loss.
TransformName = Literal["none", "log", "logit", "log_mean"]

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
        return _secants(change, way, slope)

    def _logs(self, codes: Array) -> Array:
        return np.clip(codes * self.deviation + self.mean, self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        # A separate kind, so that versions without this transform refuse the file instead of predicting
        # logarithms.
        return {"kind": "logs", **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMeanTransform:
    """Amounts of at least 0 for losses with a log link: shares of their mean.

    A raw prediction is the logarithm of such a share. It is clipped, because the exponential would magnify a
    leaf's extrapolation. No mean is above the largest amount or below the smallest. If the smallest amount is
    0, the lower limit is the mean if half a row had an amount.

    >>> means = LogMeanTransform.fit(np.array([0.0, 1.0, 5.0]), None)
    >>> means.encode(np.array([4.0])).tolist(), means.decode(np.array([[0.0]])).tolist()
    ([[2.0]], [[2.0]])
    """

    mean: float
    low: float  # limits of a raw prediction
    high: float

    def __post_init__(self) -> None:
        if not (self.mean > 0 and self.low <= self.high):
            raise ValueError(f"no mean and limits: {self.mean}, {self.low} to {self.high}")
        if self.high > LARGEST_LOG or math.log(self.mean) + self.high > LARGEST_LOG + 10:
            raise ValueError(f"limits beyond the largest number: {self.low} to {self.high}")

    @classmethod
    def fit(cls, y: Array, weights: Array | None) -> LogMeanTransform:
        """Fit to training values ``(n,)`` of at least 0."""
        if weights is not None:
            y, weights = y[weights > 0], weights[weights > 0]
        mean = _moments(y, weights)[0]
        if mean <= 0:
            return cls(mean=1.0, low=-math.log(2 * len(y)), high=0.0)
        least, largest = float(y.min()) / mean, float(y.max()) / mean
        return cls(
            mean=mean,
            low=math.log(least) if least > 0 else -math.log(2 * len(y)),
            high=math.log(largest),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return 1, 1

    def encode(self, y: Array) -> Array:
        """Encode values ``(n,)`` as ``(n, 1)``."""
        return (np.maximum(y, 0.0) / self.mean)[:, None]

    def decode(self, codes: Array) -> Array:
        """Decode raw predictions ``(n, 1)`` to values ``(n, 1)``."""
        return self.mean * np.exp(np.clip(codes, self.low, self.high))

    def rates(self, start: Array, end: Array) -> Array:
        """Return values per unit of raw prediction ``(n, 1, 1)``, as for logarithms."""
        from_log, to_log = (np.clip(codes, self.low, self.high) for codes in (start, end))
        slope = np.where(to_log == end, self.mean * np.exp(to_log), 0.0)
        return _secants(self.mean * np.exp(from_log) * np.expm1(to_log - from_log), end - start, slope)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {"kind": "log_means", **asdict(self)}


TargetTransform = ValueTransform | LogTransform | LogMeanTransform | ClassTransform | LogitTransform
_NUMBERS: dict[str, type[ValueTransform] | type[LogTransform] | type[LogMeanTransform]] = {
    "values": ValueTransform,
    "logs": LogTransform,
    "log_means": LogMeanTransform,
}


def target_transform_from_json(facts: Mapping[str, Any]) -> TargetTransform:
    """Rebuild from the output of ``to_json``; ValueError, LookupError or TypeError if not possible."""
    if facts["kind"] == "logits":
        return LogitTransform()
    if facts["kind"] == "classes":
        return ClassTransform(prior=tuple(float(p) for p in facts["prior"]))
    target_transform = _NUMBERS[facts["kind"]]
    numbers = {field.name: float(facts[field.name]) for field in fields(target_transform)}
    if not all(map(math.isfinite, numbers.values())) or numbers.get("deviation", 1.0) <= 0:
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
    if transform == "log_mean":
        return LogMeanTransform.fit(y_true, weights)
    return (
        LogTransform.fit(y_true, weights, factor)
        if transform == "log"
        else ValueTransform.fit(y_true, weights)
    )


def _secants(change: Array, way: Array, slope: Array) -> Array:
    """Return the change divided by the distance ``(n, 1, 1)``; the slope if the distance is 0."""
    return np.where(way == 0, slope, change / np.where(way == 0, 1.0, way))[:, :, None]


def _moments(values: Array, weights: Array | None) -> tuple[float, float]:
    """Return the weighted mean and standard deviation; the latter is 1 if nothing varies."""
    scaled, exponent = to_order_one(values)
    mean = float(np.average(scaled, weights=weights))
    centred, more = to_order_one(scaled - mean)
    deviation = float(np.ldexp(np.sqrt(np.average(centred**2, weights=weights)), exponent + more))
    return float(np.ldexp(mean, exponent)), deviation if deviation > 0 else 1.0
