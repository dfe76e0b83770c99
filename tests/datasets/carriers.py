"""The same values as each Arrow type stores them and as each program spells them in CSV files.

The spellings were written by hand after the documentation and the output of pandas, polars, DuckDB, Spark,
PostgreSQL and Excel, which need not be installed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A few values, including None, in all their types and spellings."""

    arrays: tuple[pa.Array, ...]
    spellings: Mapping[str, Sequence[str]]
    same_kind: bool = True  # whether the kind that is inferred is the same in all of them
    same_levels: bool = True  # whether cells are equal as categories


UTC = dt.UTC
# Older versions of Arrow have no decimals of 32 and 64 bits.
_SMALL_DECIMALS = [getattr(pa, name)(7, 2) for name in ("decimal32", "decimal64") if hasattr(pa, name)]


def _hours(*hours: float | None) -> list[dt.timedelta | None]:
    return [None if hour is None else dt.timedelta(hours=hour) for hour in hours]


def _as_types(cells: Sequence[Any], *types: pa.DataType) -> tuple[pa.Array, ...]:
    return tuple(pa.array(cells, kind) for kind in types)


def _extension(name: str, storage: pa.Array) -> tuple[pa.Array, ...]:
    """Return an array of an Arrow extension type; older versions lack some of them."""
    make = getattr(pa, name, None)
    return () if make is None else (pa.ExtensionArray.from_storage(make(), storage),)


def _stored_otherwise(array: pa.Array) -> tuple[pa.Array, ...]:
    """Return an array, its dictionary encoding and its run-end encoding."""
    return (array, array.dictionary_encode(), _in_runs(array, pa.int32()))


def _in_runs(array: pa.Array, ends: pa.DataType) -> pa.Array:
    """Return an array in runs of one value; older versions of pyarrow want the ends as Python numbers."""
    places = list(range(1, len(array) + 1))
    return pa.RunEndEncodedArray.from_arrays(places, array, pa.run_end_encoded(ends, array.type))


def _text_types(cells: list[str | None]) -> tuple[pa.Array, ...]:
    view = pa.array(cells, pa.string_view())
    places = pa.array([None if cell is None else place for place, cell in enumerate(cells)], pa.int16())
    return (
        *_stored_otherwise(pa.array(cells)),
        pa.array(cells, pa.large_string()),
        view,
        pa.DictionaryArray.from_arrays(places, pa.array([cell or "" for cell in cells], pa.string_view())),
        _in_runs(view, pa.int64()),
        *_extension("json_", pa.array(cells)),
    )


_FLAGS = [True, None, False, True]
_IDS = [uuid.UUID(int=place * 2**120 + 7) if place else None for place in range(4)]
_STAMPS = [dt.datetime(2024, 5, 1, 8, 30), None, dt.datetime(2024, 5, 2), dt.datetime(2023, 1, 31, 23, 0, 1)]
_ZONED = [None if stamp is None else stamp.replace(tzinfo=UTC) for stamp in _STAMPS]
_DAYS = [dt.date(2024, 5, 1), None, dt.date(1969, 12, 31), dt.date(2100, 2, 28)]
_TIMES = [dt.time(8, 30), None, dt.time(0, 0), dt.time(23, 59, 59)]
_BIG = [2**53, None, 2**53 + 1, 2**53 + 2]

VALUES: dict[str, Values] = {
    "durations": Values(
        arrays=_as_types(_hours(-1, None, 0, 26.5), *(pa.duration(unit) for unit in ("s", "ms", "us", "ns"))),
        spellings={
            "pandas": ["-1 days +23:00:00", "", "0 days 00:00:00", "1 days 02:30:00"],
            "polars": ["-PT1H", "", "PT0S", "P1DT2H30M"],
            "Java": ["PT-1H", "", "PT0S", "PT26H30M"],
            "pandas isoformat": ["P-1DT23H0M0S", "", "P0DT0H0M0S", "P1DT2H30M0S"],
            "Python": ["-1 day, 23:00:00", "", "0 days, 0:00:00", "1 day, 2:30:00"],
            "Spark": [
                "INTERVAL '-0 01:00:00' DAY TO SECOND",
                "",
                "INTERVAL '0 00:00:00' DAY TO SECOND",
                "INTERVAL '1 02:30:00' DAY TO SECOND",
            ],
        },
    ),
    "durations as clocks": Values(
        arrays=_as_types(_hours(-1, None, 0, 26.5), pa.duration("us")),
        spellings={
            "DuckDB": ["-01:00:00", "", "00:00:00", "1 day 02:30:00"],
            "Excel": ["-1:00:00", "", "0:00:00", "26:30:00"],
            "fractions": ["-01:00:00.000", "", "0:00:00.0", "26:30:00.000000"],
        },
        same_levels=False,  # 26:30:00 may be a name
    ),
    "fractions of durations": Values(
        arrays=_as_types([100, None, 3_600_100_000, 350_000], pa.duration("us")),
        spellings={
            "pandas": ["0 days 00:00:00.000100", "", "0 days 01:00:00.100000", "0 days 00:00:00.350000"],
            "polars": ["PT0.0001S", "", "PT1H0.1S", "PT0.350000S"],
        },
    ),
    "nanoseconds of durations": Values(
        arrays=_as_types([100, None, 3_600_000_000_001, 350], pa.duration("ns")),
        spellings={"pandas": ["0 days 00:00:00.000000100", "", "0 days 01:00:00.000000001", "PT0.00000035S"]},
    ),
    "whole days": Values(
        arrays=_as_types(_hours(24, None, 0, 168), pa.duration("s"), pa.duration("ns")),
        spellings={
            "pandas": ["1 days", "", "0 days", "7 days"],
            "DuckDB": ["1 day", "", "0 days", "7 days"],
            "ISO 8601": ["P1D", "", "P0D", "P1W"],
        },
    ),
    "times": Values(
        arrays=_as_types(_TIMES, pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        spellings={
            "pandas": ["08:30:00", "", "00:00:00", "23:59:59"],
            "polars": ["08:30:00.000000000", "", "00:00:00.000000000", "23:59:59.000000000"],
        },
    ),
    "timestamps": Values(
        arrays=_as_types(_STAMPS, *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns"))),
        spellings={
            "pandas": ["2024-05-01 08:30:00", "", "2024-05-02 00:00:00", "2023-01-31 23:00:01"],
            "polars": ["2024-05-01T08:30:00.000000", "", "2024-05-02T00:00:00.000000", "2023-01-31T23:00:01"],
            "Spark": ["2024-05-01T08:30:00.000", "", "2024-05-02T00:00:00.000", "2023-01-31T23:00:01.000"],
        },
    ),
    "timestamps with a zone": Values(
        arrays=_as_types(
            _ZONED, pa.timestamp("s", "UTC"), pa.timestamp("us", "+02:00"), pa.timestamp("ns", "Asia/Tokyo")
        ),
        spellings={
            "pandas": ["2024-05-01 08:30:00+00:00", "", "2024-05-02 00:00:00+00:00", "2023-01-31 23:00:01Z"],
            "Berlin": ["2024-05-01 10:30:00+02:00", "", "2024-05-02 02:00:00+02", "2023-02-01 00:00:01+01"],
            "Spark": ["2024-05-01T08:30:00.000Z", "", "2024-05-02T00:00:00.000Z", "2023-01-31T23:00:01.000Z"],
            "DuckDB": ["2024-05-01 08:30:00+00", "", "2024-05-02 00:00:00+00", "2023-01-31 23:00:01+00"],
        },
    ),
    "days": Values(
        arrays=(*_as_types(_DAYS, pa.date32(), pa.date64()), pa.array(_DAYS).cast(pa.timestamp("ms"))),
        spellings={"all": ["2024-05-01", "", "1969-12-31", "2100-02-28"]},
    ),
    "floats": Values(
        arrays=_as_types([1e5, None, 0.1, -2.5], pa.float64(), pa.float32()),
        spellings={
            "pandas": ["100000.0", "", "0.1", "-2.5"],
            "DuckDB": ["100000", "NULL", ".1", "-2.50"],
            "Spark": ["1.0E5", "", "0.1", "-2.5"],
            "Excel": ["1E+05", "#N/A", "0.10", "-2.5"],
            "polars": ["1e5", "null", "1e-1", "-2.5"],
        },
    ),
    "floats of any size": Values(
        arrays=_as_types([1e16, float("nan"), float("-inf"), 1e-7, 3e-5, float("inf")], pa.float64()),
        spellings={
            "pandas": ["1e+16", "", "-inf", "1e-07", "3e-05", "inf"],
            "polars": ["1e16", "NaN", "-inf", "1e-7", "0.00003", "inf"],
            "Spark": ["1.0E16", "NaN", "-Infinity", "1.0E-7", "3.0E-5", "Infinity"],
            "DuckDB": ["1e16", "nan", "-inf", "1e-07", "3e-05", "inf"],
            "Excel": ["10000000000000000", "", "-Inf", "0.0000001", "0.00003", "Inf"],
        },
    ),
    "half floats": Values(
        arrays=(pa.array([0.1, None, 1.5, 65504.0], pa.float32()).cast(pa.float16()),),
        spellings={"pandas": ["0.1", "", "1.5", "6.55e+04"]},
    ),
    "decimals": Values(
        arrays=_as_types(
            [Decimal("1.50"), None, Decimal("-2.25"), Decimal("100.00")],
            *_SMALL_DECIMALS, pa.decimal128(30, 4), pa.decimal256(60, 2)),
        spellings={"DuckDB": ["1.50", "", "-2.25", "100.00"], "Excel": ["1.5", "", "-2.25", "100"]},
    ),
    "integers": Values(
        arrays=_as_types(
            [3, None, 0, 100], pa.int8(), pa.int16(), pa.int32(), pa.int64(),
            pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float64(), pa.decimal128(5, 0),
        ),
        spellings={"all": ["3", "", "0", "100"], "pandas": ["3.0", "", "0.0", "100.0"]},
    ),
    "run-end encoded numbers": Values(
        arrays=_stored_otherwise(pa.array([3, None, 0, 100]))[::2],
        spellings={"all": ["3", "", "0", "100"]},
    ),
    "integers beyond 2^53": Values(
        arrays=_as_types(_BIG, pa.int64(), pa.uint64(), pa.decimal128(20, 0)),
        spellings={"all": [str(2**53), "", str(2**53 + 1), str(2**53 + 2)]},
    ),
    "truth values": Values(
        arrays=(
            *_stored_otherwise(pa.array(_FLAGS)),
            *_extension("bool8", pa.array([1, None, 0, 1], pa.int8())),
        ),
        spellings={"pandas": ["True", "", "False", "True"], "polars": ["true", "", "false", "true"]},
    ),
    "truth values as numbers or letters": Values(
        arrays=(pa.array(_FLAGS),),
        spellings={"Excel": ["TRUE", "", "FALSE", "TRUE"], "PostgreSQL": ["t", "", "f", "t"]},
        same_levels=False,
    ),
    "text": Values(
        arrays=_text_types(["red", None, "blue", "None"]), spellings={"all": ["red", "", "blue", "None"]}
    ),
    "UUIDs": Values(
        arrays=(
            pa.array([None if cell is None else str(cell) for cell in _IDS]),
            *_extension("uuid", pa.array([cell and cell.bytes for cell in _IDS], pa.binary(16))),
        ),
        spellings={"all": ["" if cell is None else str(cell) for cell in _IDS]},
    ),
}  # fmt: skip


def csv_carriers() -> Iterator[tuple[str, str]]:
    """Return each set of values with each program that writes it."""
    for name, values in VALUES.items():
        for program in values.spellings:
            yield name, program


def unreadable_arrays() -> dict[str, pa.Array]:
    """Return arrays of two cells of each unreadable type."""
    numbers, words = pa.array([1, 2]), pa.array(["x", "y"])
    kinds = pa.array([0, 1], pa.int8())
    data = [b"\xff" * 16, b"ab" * 8]
    return {
        "binary": pa.array(data),
        "large_binary": pa.array(data, pa.large_binary()),
        "binary_view": pa.array(data, pa.binary_view()),
        "fixed_size_binary": pa.array(data, pa.binary(16)),
        "dictionary of binary": pa.array(data).dictionary_encode(),
        "list": pa.array([[1], [2, 3]]),
        "large_list": pa.array([[1], [2, 3]], pa.large_list(pa.int64())),
        "list_view": pa.array([[1], [2, 3]], pa.list_view(pa.int64())),
        "fixed_size_list": pa.array([[1, 2], [2, 3]], pa.list_(pa.int64(), 2)),
        "list of views": pa.array([["x"], ["y"]], pa.list_(pa.string_view())),
        "struct of views": pa.array([{"a": "x"}, {"a": "y"}], pa.struct([("a", pa.string_view())])),
        "map": pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64())),
        "dense_union": pa.UnionArray.from_dense(kinds, pa.array([0, 0], pa.int32()), [numbers, words]),
        "sparse_union": pa.UnionArray.from_sparse(kinds, [numbers, words]),
        "interval": pa.array([pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, 2, 3])]),
        "tensor": pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int64(), [2]), pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))
        ),
    }
