"""Encode dates as elapsed time and the calendar parts that vary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.dates import DateFormat, Moments, moment_values
from xrfm_cli.datasets.encoders.numeric import Scaling, fit_scaling
from xrfm_cli.datasets.encoders.stored_arrays import check_vectors
from xrfm_cli.repairs import Repair

# Each part with its period, its first value, and whether every value gets its own column.
_PARTS: dict[str, tuple[int, int, bool]] = {
    "month": (12, 1, True),
    "day": (31, 1, False),
    "weekday": (7, 0, True),
    "hour": (24, 0, True),
    "minute": (60, 0, False),
}
_MICRO = 1e6


def calendar_part(moments: np.ndarray, part: str) -> np.ndarray:
    """Return one calendar part of microseconds since 1970, int64 (n,); Monday is weekday 0.

    >>> calendar_part(np.array([0]), "weekday").tolist()
    [3]
    """
    seconds = moments // 1_000_000
    days = seconds // 86_400
    if part == "weekday":
        return (days + 3) % 7
    if part == "hour":
        return seconds // 3600 % 24
    if part == "minute":
        return seconds // 60 % 60
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    if part == "month":
        return months.astype(np.int64) % 12 + 1
    return days - months.astype("datetime64[D]").astype(np.int64) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatetimeEncoder:
    """The encoder of one date column.

    Output columns: standardised elapsed time; for each part that varied in training, the sine and cosine of
    its phase and, for months, weekdays and hours, a column for each value seen; an indicator of missing cells
    if training had any. A missing date is zero throughout.
    """

    column: str
    date_format: DateFormat
    scaling: Scaling | None  # of seconds; None if time does not vary or must not be used
    parts: tuple[tuple[str, tuple[int, ...]], ...]  # parts that vary, with the values that have a column
    has_missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""
        names = [] if self.scaling is None else [f"{self.column} elapsed"]
        for part, values in self.parts:
            names += [f"{self.column} {part} sin", f"{self.column} {part} cos"]
            names += [f"{self.column} {part}={value}" for value in values]
        return (*names, f"{self.column} missing") if self.has_missing else tuple(names)

    def part_columns(self) -> dict[str, tuple[slice, dict[int, np.ndarray]]]:
        """Return, for each calendar part, its output columns and the encoding of each of its values."""
        found, place = {}, 0 if self.scaling is None else 1
        for part, values in self.parts:
            period, first, _ = _PARTS[part]
            table = _part_table(part, values)
            known = values or range(first, first + period)
            found[part] = (slice(place, place + table.shape[1]), {value: table[value] for value in known})
            place += table.shape[1]
        return found

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""
        moments = moment_values(cells, self.date_format)
        valid = moments.valid
        place = 0
        if self.scaling is not None:
            out[:, 0] = np.where(valid, self.scaling.apply(moments.values / _MICRO), 0.0)
            place = 1
        for part, values in self.parts:
            table = _part_table(part, values)
            row = np.where(valid, calendar_part(moments.values, part), len(table) - 1)
            out[:, place : place + table.shape[1]] = table[row]
            place += table.shape[1]
        if self.has_missing:
            out[:, place] = ~valid
        unreadable = int(moments.unreadable.sum())
        return (
            Repair(self.column, "missing", int((~valid).sum()) - unreadable),
            Repair(self.column, "unreadable date", unreadable),
        )

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""
        return {
            "column": self.column,
            "date_format": self.date_format,
            "scaling": self.scaling and [self.scaling.unit, self.scaling.center, self.scaling.deviation],
            "parts": [[part, list(values)] for part, values in self.parts],
            "has_missing": self.has_missing,
        }, {}

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> DatetimeEncoder:
        """Restore the encoder that `state` described."""
        scaling = plain["scaling"]
        check_vectors(plain["column"], arrays)
        _check_parts(plain["column"], plain["parts"])
        return cls(
            column=plain["column"],
            date_format=plain["date_format"],
            scaling=None
            if scaling is None
            else Scaling(unit=scaling[0], center=scaling[1], deviation=scaling[2]),
            parts=tuple((part, tuple(values)) for part, values in plain["parts"]),
            has_missing=plain["has_missing"],
        )


def _check_parts(column: str, parts: list[tuple[str, list[int]]]) -> None:
    """Raise ValueError for calendar parts or values that are unknown or repeated."""
    for part, values in parts:
        period, first, _ = _PARTS[part]
        if len(set(values)) != len(values) or not set(values) <= set(range(first, first + period)):
            raise ValueError(f"'{column}': its encoder has values that no {part} has")
    if len({part for part, _ in parts}) != len(parts):
        raise ValueError(f"'{column}': its encoder has a part of the date twice")


@cache
def _part_table(part: str, values: tuple[int, ...]) -> np.ndarray:
    """Return the encoding of each value of a part, float32 (largest + 2, k); the last row means missing.

    Sines come from a table, not from vectorised code, so that a row is encoded alike in any chunk.
    """
    period, first, _ = _PARTS[part]
    table = np.zeros((first + period + 1, 2 + len(values)), dtype=np.float32)
    for value in range(first, first + period):
        angle = 2 * math.pi * (value - first) / period
        table[value, :2] = math.sin(angle), math.cos(angle)
        if value in values:
            table[value, 2 + values.index(value)] = 1.0
    return table


def fit_datetime(
    name: str,
    cells: pa.ChunkedArray,
    date_format: DateFormat,
    weights: np.ndarray | None,
    *,
    with_elapsed: bool,
    with_values: bool = True,
) -> DatetimeEncoder:
    """Fit the elapsed time and find which calendar parts vary.

    Without ``with_values``, a part has its sine and cosine alone.
    """
    moments: Moments = moment_values(cells, date_format)
    kept = moments.values[moments.valid]
    scaling = None
    if with_elapsed:
        scaling = fit_scaling(kept / _MICRO, None if weights is None else weights[moments.valid])
    parts: list[tuple[str, tuple[int, ...]]] = []
    for part, (_, _, own_columns) in _PARTS.items():
        seen = np.unique(calendar_part(kept, part))
        if len(seen) > 1:
            has_columns = with_values and own_columns and len(seen) > 2
            parts.append((part, tuple(int(value) for value in seen) if has_columns else ()))
    return DatetimeEncoder(
        column=name,
        date_format=date_format,
        scaling=scaling,
        parts=tuple(parts),
        has_missing=bool((~moments.valid).any()),
    )
