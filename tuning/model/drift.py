"""Drift monitor: how far the predicted rows have moved from the training rows.

The population stability index compares the shares ``p`` of the training rows in the bins of a column with the
shares ``q`` of other rows: the sum of ``(q - p) ln(q / p)``. By convention 0.1 is some change and 0.25 much.
If nothing has changed, the index of ``n`` and ``m`` rows is about ``(1/n + 1/m)`` times a chi-squared
variable, with a degree of freedom for every bin but one. So few rows have a large index by chance alone.

Yurdakul, Naranjo: Statistical properties of the population stability index, Journal of Risk Model Validation
14 (2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import Table
from xrfm_cli.tuning.model.profile import ColumnProfile

CHANCE = 0.001  # how often an unchanged column may exceed the chance level
HALF_A_ROW = 0.5  # added to every bin with rows in one of the two tables, so that logarithms are finite

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observed:
    """Counts of one column in the rows so far."""

    counts: Counts  # (bins,) of its profile
    below: int = 0  # the training rows' smallest value
    above: int = 0  # their largest


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfRange:
    """Values of a column outside the range of its training values."""

    column: str
    low: str
    high: str
    below: int
    above: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BinChange:
    """A bin's share of the training rows and of the other rows."""

    bin: str
    training: float
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """The drift of one column."""

    column: str
    index: float  # population stability index
    by_chance: float  # exceeded by one in a thousand unchanged columns
    largest_change: BinChange  # the bin that adds most to the index

    def exceeds(self, threshold: float) -> bool:
        """Return whether the column has moved further than the threshold and the chance level."""
        return self.index > max(threshold, self.by_chance)


def nothing_observed(profiles: Sequence[ColumnProfile]) -> tuple[Observed, ...]:
    """Return the empty counts before the first row."""
    return tuple(Observed(counts=np.zeros(len(profile.counts), dtype=np.int64)) for profile in profiles)


def observe(profiles: Sequence[ColumnProfile], table: Table) -> tuple[Observed, ...]:
    """Count the rows of a table by the bins of each profile; the table has all their columns."""
    return tuple(_observed(profile, table) for profile in profiles)


def add_observed(first: Sequence[Observed], second: Sequence[Observed]) -> tuple[Observed, ...]:
    """Add the counts of two parts of a table."""
    return tuple(
        Observed(counts=one.counts + two.counts, below=one.below + two.below, above=one.above + two.above)
        for one, two in zip(first, second, strict=True)
    )


def values_out_of_range(
    profiles: Sequence[ColumnProfile], observed: Sequence[Observed]
) -> tuple[OutOfRange, ...]:
    """Return the columns with values outside the range of the training rows."""
    return tuple(
        OutOfRange(
            column=profile.column,
            low=profile.spell(profile.low),
            high=profile.spell(profile.high),
            below=seen.below,
            above=seen.above,
        )
        for profile, seen in zip(profiles, observed, strict=True)
        if profile.low is not None and profile.high is not None and seen.below + seen.above
    )


def column_drifts(profiles: Sequence[ColumnProfile], observed: Sequence[Observed]) -> tuple[ColumnDrift, ...]:
    """Return the drift of every column, largest first; empty if no row was observed."""
    drifts = [
        _drift(profile, seen)
        for profile, seen in zip(profiles, observed, strict=True)
        if seen.counts.sum() and sum(profile.counts)
    ]
    return tuple(sorted(drifts, key=lambda drift: -drift.index))


def stability_parts(training: Counts, now: Counts) -> NDArray[np.float64]:
    """Return every bin's term of the population stability index, (bins,); 0 for a bin without any row.

    >>> print(stability_parts(np.array([50, 50, 0]), np.array([50, 50, 0])).sum())
    0.0
    >>> print(round(stability_parts(np.array([500, 500]), np.array([200, 800])).sum(), 2))
    0.41
    """
    used = (training + now) > 0
    p, q = (np.where(used, counts + HALF_A_ROW, 1.0) for counts in (training, now))
    p, q = p / p[used].sum(), q / q[used].sum()
    return np.where(used, (q - p) * np.log(q / p), 0.0)


def _observed(profile: ColumnProfile, table: Table) -> Observed:
    below = above = 0
    if profile.has_levels:
        codes = profile.bins_of_levels(table)
    else:
        values = profile.values(table)
        codes = profile.bins_of_values(values)
        if profile.is_ranged and profile.low is not None and profile.high is not None:
            below, above = int((values < profile.low).sum()), int((values > profile.high).sum())
    counts = np.bincount(codes, minlength=len(profile.counts)).astype(np.int64)
    return Observed(counts=counts, below=below, above=above)


def _drift(profile: ColumnProfile, seen: Observed) -> ColumnDrift:
    from scipy.special import chdtri  # only ``--check-drift`` needs it

    training = np.array(profile.counts, dtype=np.int64)
    parts = stability_parts(training, seen.counts)
    degrees = int(((training + seen.counts) > 0).sum()) - 1
    rows = 1 / training.sum() + 1 / seen.counts.sum()
    largest = int(np.argmax(parts))
    return ColumnDrift(
        column=profile.column,
        index=float(parts.sum()),
        by_chance=float(chdtri(degrees, CHANCE) * rows) if degrees else 0.0,
        largest_change=BinChange(
            bin=profile.bin_names[largest],
            training=float(training[largest] / training.sum()),
            now=float(seen.counts[largest] / seen.counts.sum()),
        ),
    )
