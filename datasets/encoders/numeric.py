"""Encode numbers as one standardised column, and an indicator of missing values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.values import Numbers, number_values
from xrfm_cli.datasets.encoders.stored_arrays import check_increasing, check_vectors
from xrfm_cli.repairs import Repair

_FARTHEST = 1e4  # standard deviations; farther values are clipped so that float32 squares stay finite
MAX_KNOTS = 1000  # of the normal scores of a column
_TAIL = 5e-4  # normal scores stop at this probability, about 3.3 standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Standardisation ``(value / unit - center) / deviation``.

    The unit is a power of two near the largest value, so that no square overflows and no digit is lost.
    """

    unit: float
    center: float
    deviation: float

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return standardised values, float64, clipped far outside."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (values / self.unit - self.center) / self.deviation
        return np.minimum(np.maximum(scaled, -_FARTHEST), _FARTHEST)  # np.clip takes longer on few rows

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """Return the values that :meth:`apply` has standardised."""
        return self.unit * (self.center + scaled * self.deviation)


def fit_scaling(values: np.ndarray, weights: np.ndarray | None = None) -> Scaling | None:
    """Fit the weighted mean and deviation of finite values (n,); None if they do not vary.

    >>> fit_scaling(np.array([1.0, 3.0])).apply(np.array([1.0, 2.0, 3.0])).tolist()
    [-1.0, 0.0, 1.0]
    """
    if not len(values) or values.min() == values.max():
        return None
    exponent = math.frexp(np.abs(values).max())[1]
    unit = 2.0 ** max(-1000, min(exponent, 1000))
    scaled = values / unit
    center = float(np.average(scaled, weights=weights))
    deviation = math.sqrt(np.average((scaled - center) ** 2, weights=weights))
    if deviation == 0.0:  # values so close together that squares underflow
        deviation = float(np.abs(scaled - center).max()) or 1.0
    return Scaling(unit=unit, center=center, deviation=deviation)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericEncoder:
    """The encoder of one numeric column.

    Output columns: the value unless it was constant (0, the mean, where missing), then an indicator of
    missing cells if the training rows had any. With knots, the value is its normal score, by linear
    interpolation.
    """

    column: str
    scaling: Scaling | None
    has_missing: bool
    unit: str  # the unit of numbers that are text
    knots: np.ndarray  # float64 (k,), increasing; empty without normal scores
    scores: np.ndarray  # float64 (k,)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""
        value = (self.column,) if self.scaling is not None or len(self.knots) else ()
        return (*value, f"{self.column} missing") if self.has_missing else value

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""
        numbers = number_values(cells, decimal, self.unit)
        values = numbers.values
        missing = ~np.isfinite(values)
        if not missing.any():  # most columns, and thousands of them add up
            if len(self.knots):
                out[:, 0] = _interpolate(values, self.knots, self.scores)
            elif self.scaling is not None:
                out[:, 0] = self.scaling.apply(values)
            if self.has_missing:
                out[:, -1] = 0.0
            return ()
        plain = np.where(missing, 0.0, values)
        if len(self.knots):
            out[:, 0] = np.where(missing, 0.0, _interpolate(plain, self.knots, self.scores))
        elif self.scaling is not None:
            out[:, 0] = np.where(missing, 0.0, self.scaling.apply(plain))
        if self.has_missing:
            out[:, -1] = missing
        return number_repairs(self.column, numbers)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""
        scaling = self.scaling and [self.scaling.unit, self.scaling.center, self.scaling.deviation]
        plain = {"column": self.column, "scaling": scaling, "has_missing": self.has_missing}
        if self.unit:
            plain["unit"] = self.unit
        arrays = {"knots": self.knots, "scores": self.scores} if len(self.knots) else {}
        return plain, arrays

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> NumericEncoder:
        """Restore the encoder that `state` described."""
        scaling = plain["scaling"]
        check_vectors(plain["column"], arrays, *(("knots", "scores") if arrays else ()))
        if arrays:
            check_increasing(plain["column"], arrays["knots"])
            if len(arrays["scores"]) != len(arrays["knots"]) or scaling is not None:
                raise ValueError(f"'{plain['column']}': its encoder has normal scores that do not fit")
        return cls(
            column=plain["column"],
            scaling=None
            if scaling is None
            else Scaling(unit=scaling[0], center=scaling[1], deviation=scaling[2]),
            has_missing=plain["has_missing"],
            unit=plain.get("unit", ""),  # older model files have none
            knots=arrays.get("knots", np.empty(0)),
            scores=arrays.get("scores", np.empty(0)),
        )


def fit_numeric(
    name: str,
    cells: pa.ChunkedArray,
    decimal: str,
    weights: np.ndarray | None,
    *,
    normal_scores: bool,
    unit: str = "",
) -> NumericEncoder:
    """Fit mean and deviation, or normal scores, of the finite cells."""
    values = number_values(cells, decimal, unit).values
    finite = np.isfinite(values)
    kept = values[finite]
    knots = scores = np.empty(0)
    scaling = fit_scaling(kept, None if weights is None else weights[finite])
    if normal_scores and scaling is not None:
        knots, scores = _normal_scores(kept)
        scaling = None
    return NumericEncoder(
        column=name,
        scaling=scaling,
        has_missing=bool((~finite).any()),
        unit=unit,
        knots=knots,
        scores=scores,
    )


def _normal_scores(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most 1,000 distinct values with the normal scores of their mid-ranks, of deviation 1."""
    distinct, counts = np.unique(values, return_counts=True)
    middle = (np.cumsum(counts) - 0.5 * counts) / len(values)
    if len(distinct) > MAX_KNOTS:
        places = np.searchsorted(middle, np.linspace(middle[0], middle[-1], MAX_KNOTS))
        kept = np.unique(np.clip(places, 0, len(distinct) - 1))
    else:
        kept = np.arange(len(distinct))
    scores = np.array(_normal_quantiles(middle[kept].tobytes()))
    at_rows = np.interp(middle, middle[kept], scores)
    center = np.average(at_rows, weights=counts)
    deviation = np.sqrt(np.average((at_rows - center) ** 2, weights=counts))
    return distinct[kept], (scores - center) / deviation


@lru_cache(maxsize=16)  # columns without ties have the same ranks
def _normal_quantiles(probabilities: bytes) -> tuple[float, ...]:
    """Return quantiles of the normal distribution at probabilities (k,) float64."""
    normal = NormalDist()
    within = np.clip(np.frombuffer(probabilities), _TAIL, 1 - _TAIL)
    return tuple(normal.inv_cdf(float(p)) for p in within)


def _interpolate(values: np.ndarray, knots: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Interpolate linearly, constant outside; each value by itself, so the same in any chunk."""
    place = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(knots) - 2)
    share = share_between(values, knots[place], knots[place + 1])
    return scores[place] + share * (scores[place + 1] - scores[place])


def share_between(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """Return how far the values lie between ``low`` and ``high``, clipped to [0, 1].

    >>> share_between(np.array([0.0, 1.5, 9.0]), 1.0, 2.0).tolist()
    [0.0, 0.5, 1.0]
    """
    # Halve large numbers, since a difference may be infinite; half of the smallest number is 0.
    part = np.where(np.maximum(np.abs(low), np.abs(high)) > 1, 0.5, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.clip((values * part - low * part) / (high * part - low * part), 0.0, 1.0)


def number_repairs(column: str, numbers: Numbers) -> tuple[Repair, ...]:
    """Count the repairs of each kind in a numeric column."""
    infinite, unreadable = int(np.isinf(numbers.values).sum()), int(numbers.unreadable.sum())
    missing = int((~np.isfinite(numbers.values)).sum()) - infinite - unreadable
    return (
        Repair(column, "missing", missing),
        Repair(column, "infinite", infinite),
        Repair(column, "unreadable number", unreadable),
    )
