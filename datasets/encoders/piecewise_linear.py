"""Piecewise-linear encoding of numbers: one column for each piece of their range."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.encoders.numeric import number_repairs, share_between
from xrfm_cli.datasets.encoders.stored_arrays import check_increasing, check_vectors
from xrfm_cli.repairs import Repair

PIECES = 12
SMALLEST_SPREAD = 0.05  # of a piece's values: a few rows beyond a rare value must not outweigh all others


@dataclass(frozen=True, slots=True, kw_only=True)
class PiecewiseEncoder:
    """The encoder of one numeric column, with an output column for each piece between neighbouring knots.

    A piece's value is the position within it, ``clip((x - low) / (high - low), 0, 1)``, standardised, so a
    feature matrix over the pieces learns where in its range a number matters. All are 0, their mean, if the
    cell is missing; an indicator of missing cells follows if the training rows had any.

    Gorishniy, Rubachev, Babenko: On embeddings for numerical features in tabular deep learning, NeurIPS 2022.
    """

    column: str
    knots: np.ndarray  # float64 (k + 1,), increasing
    centers: np.ndarray  # float64 (k,)
    deviations: np.ndarray  # float64 (k,)
    has_missing: bool
    unit: str  # the unit of numbers that are text

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns; they do not depend on the knots' positions."""
        pieces = tuple(f"{self.column} piece {k + 1}" for k in range(len(self.centers)))
        return (*pieces, f"{self.column} missing") if self.has_missing else pieces

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""
        numbers = number_values(cells, decimal, self.unit)
        missing = ~np.isfinite(numbers.values)
        plain = np.where(missing, 0.0, numbers.values)
        for k, (center, deviation) in enumerate(zip(self.centers, self.deviations, strict=True)):
            share = share_between(plain, self.knots[k], self.knots[k + 1])
            out[:, k] = np.where(missing, 0.0, (share - center) / deviation)
        if self.has_missing:
            out[:, -1] = missing
        return number_repairs(self.column, numbers)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""
        plain = {"column": self.column, "has_missing": self.has_missing, "unit": self.unit}
        return plain, {"knots": self.knots, "centers": self.centers, "spreads": self.deviations}

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> PiecewiseEncoder:
        """Restore the encoder that `state` described."""
        names = ("knots", "centers", "spreads")
        check_vectors(plain["column"], arrays, *names)
        knots, centers, deviations = (arrays[name] for name in names)
        check_increasing(plain["column"], knots)
        if not len(knots) - 1 == len(centers) == len(deviations) or not (deviations > 0).all():
            raise ValueError(f"'{plain['column']}': its encoder has pieces that do not fit together")
        return cls(
            column=plain["column"],
            knots=knots,
            centers=centers,
            deviations=deviations,
            has_missing=plain["has_missing"],
            unit=plain["unit"],
        )


def fit_pieces(
    name: str, cells: pa.ChunkedArray, decimal: str, weights: np.ndarray | None, *, unit: str = ""
) -> PiecewiseEncoder | None:
    """Cut the range of the finite cells at their quantiles; return None for fewer than two pieces."""
    values = number_values(cells, decimal, unit).values
    finite = np.isfinite(values)
    kept = values[finite]
    knots = choose_knots(kept)
    if len(knots) < 3:
        return None
    of_rows = None if weights is None else weights[finite]
    shares = [share_between(kept, low, high) for low, high in itertools.pairwise(knots)]
    centers = np.array([np.average(share, weights=of_rows) for share in shares])
    squares = [
        np.average((share - center) ** 2, weights=of_rows)
        for share, center in zip(shares, centers, strict=True)
    ]
    return PiecewiseEncoder(
        column=name,
        knots=knots,
        centers=centers,
        deviations=np.maximum(np.sqrt(squares), SMALLEST_SPREAD),
        has_missing=bool((~finite).any()),
        unit=unit,
    )


def choose_knots(values: np.ndarray) -> np.ndarray:  # (n,) -> (k,)
    """Return the knots between pieces: quantiles of the values, and values that many rows share.

    Frequent values are excluded from the quantiles: if a column is nearly always zero, the others count.

    >>> choose_knots(np.array([0.0] * 90 + [1.0] * 5 + [2.0] * 5)).tolist()
    [0.0, 1.0, 2.0]
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 3:
        return distinct
    frequent = counts > len(values) / PIECES
    rest = np.repeat(distinct[~frequent], counts[~frequent])
    quantiles = np.quantile(rest, np.linspace(0, 1, PIECES + 1), method="nearest") if len(rest) else rest
    return np.unique(np.concatenate([distinct[[0, -1]], distinct[frequent], quantiles]))
