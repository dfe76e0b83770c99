"""Convert pandas and numpy columns to equivalent Arrow columns.

Python objects become numbers, booleans, dates, times, durations or text if all of them have that type. A mix
of text and numbers becomes text. Other objects raise a TypeError with the column and the way out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.values import is_number, is_text
from xrfm_cli.errors import SchemaError

_NUMBERS = (int, float, np.integer, np.floating, Decimal, Fraction)
_BOOLEANS = (bool, np.bool_)
_MOMENTS = (dt.date, np.datetime64)  # dt.datetime and pandas.Timestamp are dates too
_DURATIONS = (dt.timedelta, np.timedelta64)
_WORDS = (str, UUID, dt.time, pd.Interval, pd.Period)  # become text beside cells of another type
_ARROW_UNITS = ("s", "ms", "us", "ns")


def series_column(name: str, series: pd.Series) -> pa.Array | pa.ChunkedArray:
    """Convert a data frame column of any dtype.

    >>> series_column("age", pd.cut(pd.Series([3, 8]), [0, 5, 10])).to_pylist()
    ['(0, 5]', '(5, 10]']
    """
    kind = series.dtype
    if isinstance(kind, pd.SparseDtype):
        series = series.sparse.to_dense()
    elif isinstance(kind, pd.CategoricalDtype):
        return _category_column(name, series)
    elif isinstance(kind, pd.PeriodDtype):
        series = series.dt.to_timestamp()  # a period becomes its start
    elif isinstance(kind, pd.IntervalDtype):
        return array_column(name, series.to_numpy(dtype=object))
    if isinstance(series.dtype, np.dtype):
        return array_column(name, series.to_numpy())
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):  # a dtype that Arrow does not know
        return array_column(name, series.to_numpy(dtype=object))


def _category_column(name: str, series: pd.Series) -> pa.Array:
    """Convert a categorical column: numbers and text to a dictionary (a category), others to plain cells."""
    levels = series_column(name, pd.Series(series.dtype.categories))
    codes = np.asarray(series.cat.codes, dtype=np.int32)
    indices = pa.array(codes, mask=codes < 0)
    if isinstance(levels, pa.ChunkedArray):
        levels = levels.combine_chunks()
    if is_number(levels.type) or is_text(levels.type):
        return pa.DictionaryArray.from_arrays(indices, levels)
    return levels.take(indices)


def array_column(name: str, values: NDArray[Any]) -> pa.Array:
    """Convert a one-dimensional array; masked cells become missing.

    >>> array_column("x0", np.array([1.5, np.nan], dtype=">f8")).to_pylist()
    [1.5, nan]
    """
    if isinstance(values, np.ma.MaskedArray):
        values = without_mask(values)
    kind = values.dtype.kind
    if kind == "O":
        return _object_column(name, values)
    if kind == "c":
        raise SchemaError(f"Complex data not supported: column '{name}'; give its parts as two columns")
    if kind == "V":
        raise TypeError(_refusal(name, f"a record of {values.dtype}"))
    if kind == "S":
        return _named(name, lambda: pa.array(np.char.decode(values, "utf-8").tolist(), pa.string()))
    if kind in "UT":
        return _named(name, lambda: pa.array(values.tolist(), pa.string()))
    return _named(name, lambda: pa.array(np.ascontiguousarray(values.astype(_arrow_dtype(values.dtype)))))


def without_mask(values: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    """Convert a masked array to an object array with None for masked values.

    >>> without_mask(np.ma.MaskedArray([1, 2], [False, True]))
    array([1, None], dtype=object)
    """
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return values.data
    cells = values.data.astype(object)
    cells[mask] = None
    return cells


def _arrow_dtype(kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return the nearest dtype that Arrow supports, in native byte order."""
    if kind.kind == "f" and kind.itemsize not in (4, 8):
        return np.dtype(np.float32 if kind.itemsize < 4 else np.float64)
    if kind.kind in "mM":
        unit = np.datetime_data(kind)[0]
        if unit not in _ARROW_UNITS:
            return np.dtype(f"{kind.kind}8[{'ns' if unit in ('ps', 'fs', 'as') else 's'}]")
    return kind.newbyteorder("=")


def _object_column(name: str, values: NDArray[Any]) -> pa.Array:
    """Convert a column of Python objects."""
    if (
        pd.api.types.infer_dtype(values, skipna=True) == "string"
    ):  # the usual case, without inspecting each cell
        return _named(name, lambda: pa.array(values, pa.string(), from_pandas=True))
    missing = np.asarray(pd.isna(values), dtype=bool)
    present = values[~missing].tolist()
    if not present:
        return pa.nulls(len(values))
    convert = _converter(name, present)

    def converted() -> pa.Array:
        cells = np.full(len(values), None, dtype=object)
        cells[~missing] = np.fromiter(convert(present), dtype=object, count=len(present))
        return pa.array(cells.tolist())

    return _named(name, converted)


def _converter(name: str, present: list[Any]) -> Callable[[list[Any]], Iterable[Any]]:
    """Return a function that converts objects to cells of one Arrow type."""
    for item in present:
        if not isinstance(item, (*_BOOLEANS, *_NUMBERS, *_MOMENTS, *_DURATIONS, *_WORDS)):
            raise TypeError(_refusal(name, type(item).__name__))
    if _are(present, _BOOLEANS):
        return lambda items: map(bool, items)
    if _are(present, _NUMBERS) and not any(isinstance(item, bool) for item in present):
        are_whole = all(
            isinstance(item, int | np.integer) and -(2**63) <= int(item) < 2**63 for item in present
        )
        return lambda items: map(int if are_whole else float, items)
    if _are(present, _DURATIONS):
        return lambda items: (pd.Timedelta(item).to_pytimedelta() for item in items)
    if _are(present, (dt.time,)):
        return iter
    if _are(present, (*_MOMENTS, pd.Period)):
        return lambda items: _moments(name, items)
    return lambda items: map(str, items)


def _are(items: list[Any], kinds: tuple[type, ...]) -> bool:
    return all(isinstance(item, kinds) for item in items)


def _moments(name: str, items: list[Any]) -> Iterable[Any]:
    """Convert dates and times to datetimes without a time zone; those with one are converted to UTC."""
    stamps = [item.to_timestamp() if isinstance(item, pd.Period) else pd.Timestamp(item) for item in items]
    if len({stamp.tzinfo is None for stamp in stamps}) > 1:
        raise SchemaError(
            f"column '{name}': some times have a time zone and some have none; give all of them one"
        )
    return (_in_utc(stamp).to_pydatetime(warn=False) for stamp in stamps)


def _in_utc(stamp: pd.Timestamp) -> pd.Timestamp:
    return stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)


def _named(name: str, convert: Callable[[], pa.Array]) -> pa.Array:
    """Return ``convert()``; Arrow and encoding errors name the column."""
    try:
        return convert()
    except (pa.ArrowException, UnicodeError, OverflowError) as fault:
        fact = str(fault).splitlines()[0]
        raise SchemaError(f"column '{name}': {fact}; convert it, or leave it out with drop") from fault


def _refusal(name: str, what: str) -> str:
    """Return an error message: scikit-learn's wording, the column and the way out."""
    return (
        f"column '{name}': argument must be a string or a number, not {what}; convert the column, "
        "or leave it out with drop"
    )
