"""Profile of the training table, column by column, for the model file.

A column is divided into bins: numbers, dates and text lengths at deciles, categories by level. The number of
training rows in each bin is enough to tell later whether another table looks different.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import ColumnSchema, Kind, Table, TableSchema, typed_table
from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.plain_types import is_text, plain_array
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import find_words
from xrfm_cli.datasets.encoders.categorical import boolean_values, level_counts
from xrfm_cli.datasets.encoders.free_text import text_lengths

BINS = 10  # of numbers: the usual number of a population stability index
# Levels of categories with a bin of their own; the others share one. There are at most this many; rarer
# levels are left out, because selecting them would bias their counts.
MAX_LEVELS, LEAST_ROWS, LEAST_SHARE = 20, 5, 0.02
BOOLEANS = ("false", "true")
OTHERS, MISSING = "other levels", "missing"

Values = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """One column of the training table: its bins and the number of rows in each.

    A column has either ``edges``, the inclusive upper ends of bins of numbers, or a bin for each of its
    ``levels`` and one for all others. The last bin is for missing cells; a cell that cannot be read counts
    as missing.
    """

    schema: ColumnSchema
    edges: tuple[float, ...]  # increasing; microseconds since 1970 for dates, characters for text
    levels: tuple[str, ...]
    counts: tuple[int, ...]
    low: float | None  # smallest and largest number or date; None if there is none
    high: float | None

    @property
    def column(self) -> str:
        """Return the name of the column."""
        return self.schema.name

    @property
    def kind(self) -> Kind:
        """Return the kind of the column."""
        return self.schema.kind

    @property
    def has_levels(self) -> bool:
        """Return whether bins are levels, not ranges of numbers."""
        return self.kind in ("categorical", "boolean")

    @property
    def is_ranged(self) -> bool:
        """Return whether values outside the training range are counted; lengths of texts have no range."""
        return self.kind in ("numeric", "datetime")

    @property
    def bin_names(self) -> tuple[str, ...]:
        """Return what each bin holds, in words.

        >>> bins = {"edges": (30.0, 50.5), "levels": (), "counts": (4, 4, 3, 0)}
        >>> age = ColumnSchema(name="age", kind="numeric")
        >>> ColumnProfile(schema=age, low=18.0, high=77.0, **bins).bin_names
        ('up to 30', 'above 30 to 50.5', 'above 50.5', 'missing')
        """
        if self.has_levels:
            return (*self.levels, OTHERS, MISSING)
        ends = [self.spell(edge) for edge in self.edges]
        if not ends:
            return ("any value", MISSING)
        middle = [f"above {low} to {high}" for low, high in pairwise(ends)]
        return (f"up to {ends[0]}", *middle, f"above {ends[-1]}", MISSING)

    def spell(self, value: float) -> str:
        """Return a number or date of this column as text."""
        if self.kind == "datetime":
            moment = str(np.datetime64(int(value), "us").astype("datetime64[s]"))
            return moment.removesuffix("T00:00:00")
        # An exponent is for what would need many zeros.
        number = f"{value:.0f}" if 1e6 <= abs(value) < 1e12 else f"{value:.6g}"
        return number + (" characters" if self.kind == "text" else "")

    def values(self, table: Table) -> Values:
        """Return a table's column as numbers, float64 (n,), NaN if missing; for columns with ``edges``."""
        cells = table.column(self.column)
        if is_text(plain_array(cells.slice(0, 1)).type):
            schema = TableSchema(columns=(self.schema,))
            cells = typed_table(table.select([self.column]), schema).column(self.column)
        if self.kind == "datetime":
            moments = moment_values(cells, self.schema.datetime_format or "iso")
            return np.where(moments.valid, moments.values.astype(np.float64), np.nan)
        if self.kind == "text":
            return text_lengths(cells)
        numbers = number_values(cells, table.decimal, self.schema.unit).values
        return np.where(np.isfinite(numbers), numbers, np.nan)

    def bins_of_values(self, values: Values) -> Codes:
        """Return the bin of each number, int64 (n,)."""
        places = np.searchsorted(np.array(self.edges), values, side="left")
        return np.where(np.isnan(values), len(self.edges) + 1, places).astype(np.int64)

    def bins_of_levels(self, table: Table) -> Codes:
        """Return the bin of each cell of a column with ``levels``, int64 (n,)."""
        cells = table.column(self.column)
        if self.kind == "boolean":
            codes = boolean_values(cells, table.decimal)
        else:
            codes = find_words(cells, table.decimal, self.levels)
        others = len(self.levels)
        return np.where(codes == -1, others + 1, np.where(codes < 0, others, codes))

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        own = {name: getattr(self, name) for name in ("edges", "levels", "counts", "low", "high")}
        return {"column": self.column, **own}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any], columns: Mapping[str, ColumnSchema]) -> ColumnProfile:
        """Rebuild from the output of :meth:`to_json`.

        Raises ValueError or KeyError for facts that do not come from a table.
        """
        profile = cls(
            schema=columns[facts["column"]],
            edges=tuple(float(edge) for edge in facts["edges"]),
            levels=tuple(str(level) for level in facts["levels"]),
            counts=tuple(int(count) for count in facts["counts"]),
            low=None if facts["low"] is None else float(facts["low"]),
            high=None if facts["high"] is None else float(facts["high"]),
        )
        profile._check()
        return profile

    def _check(self) -> None:
        """Raise ValueError if bins and counts do not fit together."""
        numbers = [number for number in (self.low, *self.edges, self.high) if number is not None]
        if not np.isfinite(numbers).all() or numbers != sorted(numbers):
            raise ValueError(f"the profile of '{self.column}' is out of order")
        if len(self.counts) != len(self.bin_names) or min(self.counts) < 0:
            raise ValueError(f"the profile of '{self.column}' has counts for other bins")
        for number in numbers:
            self.spell(number)  # fails for a date outside the calendar


def profile_table(table: Table, schema: TableSchema) -> tuple[ColumnProfile, ...]:
    """Profile the features, in the order of the schema, except the time column, which always drifts.

    >>> import pyarrow as pa
    >>> from xrfm_cli.datasets import infer_schema
    >>> table = Table(pa.table({"age": ["41", "29", ""], "city": ["Graz", "Linz", "Graz"]}))
    >>> [profile.counts for profile in profile_table(table, infer_schema(table))]
    [(1, 1, 1), (3, 0)]
    """
    profiles = []
    for column in schema.features:
        if column.role == "time":
            continue
        levels = _levels(table, column)
        empty = ColumnProfile(schema=column, edges=(), levels=levels, counts=(), low=None, high=None)
        profiles.append(_counted(empty, table))
    return tuple(profiles)


def _levels(table: Table, column: ColumnSchema) -> tuple[str, ...]:
    """Return the frequent levels of a category, sorted by text; empty for a column with bins of numbers."""
    if column.kind == "boolean":
        return BOOLEANS
    if column.kind != "categorical":
        return ()
    texts, counts, _ = level_counts(table, column.name)
    first = np.sort(np.argsort(-counts, kind="stable")[:MAX_LEVELS])
    least = max(LEAST_ROWS, LEAST_SHARE * table.n_rows)
    return tuple(texts[place] for place in first if counts[place] >= least)


def _counted(profile: ColumnProfile, table: Table) -> ColumnProfile:
    """Return the profile with its bins and their row counts."""
    if profile.has_levels:
        in_bins = np.bincount(profile.bins_of_levels(table), minlength=len(profile.bin_names))
        return replace(profile, counts=tuple(in_bins.tolist()))
    values = profile.values(table)
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return replace(profile, counts=(0, len(values)))
    edges = _edges(known)
    ends = [0, *np.searchsorted(known, edges, side="right").tolist(), len(known)]
    counts = [*np.diff(ends).tolist(), len(values) - len(known)]
    low, high = float(known[0]), float(known[-1])
    return replace(profile, edges=edges, counts=tuple(counts), low=low, high=high)


def _edges(known: Values) -> tuple[float, ...]:
    """Return the upper ends of all bins but the last: each value if there are few, else deciles.

    >>> _edges(np.array([1.0, 1.0, 2.0, 5.0]))
    (1.0, 2.0)
    """
    changes = np.flatnonzero(known[1:] != known[:-1])
    if len(changes) < BINS:
        return tuple(known[changes].tolist())
    places = [-(-k * len(known) // BINS) - 1 for k in range(1, BINS)]  # of the inverted distribution function
    deciles = np.unique(known[places])
    return tuple(deciles[deciles < known[-1]].tolist())
