"""Convert data frames and arrays to a ``Table``; the columns of an array are named ``x0 x1 ...``.

Any library that supports Arrow's PyCapsule interface works: polars, DuckDB, ibis, pyarrow itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, check_array, column_or_1d

from xrfm_cli.datasets import Table
from xrfm_cli.datasets.cells.plain_types import plain_array, plain_columns
from xrfm_cli.datasets.column_names import free_name, tidy_name
from xrfm_cli.errors import InputError, SchemaError, TargetError
from xrfm_cli.estimators.columns import array_column, series_column, without_mask


class ArrowStream(Protocol):
    """A data frame of any library that supports Arrow's PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the rows as an Arrow stream."""


TableLike: TypeAlias = pd.DataFrame | pa.Table | ArrowStream | ArrayLike
ColumnLike: TypeAlias = pd.Series | pa.ChunkedArray | pa.Array | ArrayLike


def as_frame(data: TableLike) -> Any:
    """Return a pandas DataFrame (also for a record array), a pyarrow Table or a two-dimensional array.

    Frames of other libraries become a pyarrow Table. Anything else that is not a two-dimensional array raises
    scikit-learn's errors.

    >>> as_frame(pa.table({"age": [41]}).to_reader()).column_names
    ['age']
    """
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, np.ndarray) and data.dtype.names is not None and data.ndim == 1:
        return pd.DataFrame({name: pd.Series(data[name]) for name in data.dtype.names})
    if hasattr(data, "__arrow_c_stream__") and not isinstance(data, pd.Series | pa.ChunkedArray):
        return plain_columns(_arrow_table(data))
    found = check_array(data, dtype=None, ensure_all_finite=False)
    if isinstance(data, np.ma.MaskedArray):  # scikit-learn would use the values under the mask
        return np.ma.MaskedArray(found, mask=np.ma.getmaskarray(data))
    return found


def _arrow_table(data: Any) -> pa.Table:
    """Return a table of any library as one of pyarrow.

    Libraries that convert by themselves, such as polars, do so: before version 25, pyarrow crashes when it
    imports a dictionary of string views from an Arrow stream.
    """
    if not isinstance(data, pa.Table) and callable(convert := getattr(data, "to_arrow", None)):
        data = convert()
    return data if isinstance(data, pa.Table) else pa.table(data)


def table_of(data: TableLike, *, names: Sequence[str] | None = None, unread: Container[str] = ()) -> Table:
    """Return the columns of a data frame or a two-dimensional array as a ``Table``.

    ``names`` renames the columns by position. Columns in ``unread`` become empty, so they may hold anything.

    >>> table_of(np.zeros((2, 3))).column_names
    ('x0', 'x1', 'x2')
    """
    frame = as_frame(data)
    names = column_names(frame) if names is None else names
    _check_names(names)
    columns = [
        pa.nulls(len(frame)) if name in unread else _column(frame, place, name)
        for place, name in enumerate(names)
    ]
    return Table(pa.Table.from_arrays(columns, names=list(names)), is_typed=True)


def column_names(frame: Any) -> list[str]:
    """Return the column names of what `as_frame` returned; ``x0 x1 ...`` for an array."""
    if isinstance(frame, pa.Table):
        return list(frame.column_names)
    if isinstance(frame, pd.DataFrame):
        return [str(name) for name in frame.columns]
    return [f"x{place}" for place in range(frame.shape[1])]


def _column(frame: Any, place: int, name: str) -> pa.Array | pa.ChunkedArray:
    """Return one column of what `as_frame` returned."""
    if isinstance(frame, pa.Table):
        return frame.column(place)
    if isinstance(frame, pd.DataFrame):
        return series_column(name, frame.iloc[:, place])
    return array_column(name, frame[:, place])


def is_named(frame: Any) -> bool:
    """Return whether the columns of what `as_frame` returned have names of their own."""
    return isinstance(frame, pa.Table | pd.DataFrame)


def _check_names(names: Sequence[str]) -> None:
    """Refuse a frame without columns, or with duplicate column names."""
    if not names:
        raise SchemaError("Found array with 0 feature(s): there is no column to learn from")
    for name, count in Counter(names).items():
        if count > 1:
            raise SchemaError(f"{count} columns are named '{name}'; rename them or leave all but one out")


def training_table(
    features: Table, y: NDArray[Any], sample_weight: ColumnLike | None, *, name: str = "target"
) -> tuple[Table, str, str | None]:
    """Return the features with target and weight columns appended, and the names of those columns."""
    target = free_name(name, features.column_names)
    data = features.data.append_column(target, array_column(target, y))
    if sample_weight is None:
        return replace(features, data=data), target, None
    weight = free_name("weight", data.column_names)
    given = _one_column(sample_weight)
    if np.asarray(given).dtype.kind in "mM":
        raise InputError(f"sample_weight has dtype {given.dtype}; give numbers of 0 or more")
    weights = _check_sample_weight(given, np.empty((features.n_rows, 1)), dtype=np.float64)
    return replace(features, data=data.append_column(weight, pa.array(weights))), target, weight


def target_name(y: ColumnLike) -> str:
    """Return the name of a target that is a named column, as the command would read it; else ``target``.

    >>> target_name(pd.Series([1.0, 2.0], name="price")), target_name(pd.DataFrame({"rent": [1.0]}))
    ('price', 'rent')
    >>> target_name(np.zeros(3)), target_name(pd.Series([1.0], name=0))
    ('target', 'target')
    """
    name = getattr(y, "name", None)
    if name is None and hasattr(y, "columns") and len(y.columns) == 1:
        name = y.column_names[0] if isinstance(y, pa.Table) else y.columns[0]
    return (tidy_name(name) if isinstance(name, str) else "") or "target"


def checked_target(estimator: BaseEstimator, y: ColumnLike | None, rows: int) -> NDArray[Any]:
    """Return the target as an array (n,); raise scikit-learn's ValueError for missing or unusable values."""
    if y is None:
        name = type(estimator).__name__
        raise TargetError(f"This {name} estimator requires y to be passed, but the target y is None.")
    found = column_or_1d(_one_column(y), warn=True)
    if len(found) != rows:
        raise TargetError(f"Found input variables with inconsistent numbers of samples: {[rows, len(found)]}")
    missing = np.asarray(pd.isna(found), dtype=bool)
    if missing.any():
        row = int(np.flatnonzero(missing)[0]) + 1
        raise TargetError(f"Input y contains NaN: row {row} has no value; leave out the rows without one")
    if found.dtype.kind in "mMcV":
        fact = "Complex data not supported" if found.dtype.kind == "c" else "Unknown label type"
        raise TargetError(f"{fact}: y has dtype {found.dtype}; give numbers, booleans or text")
    assert_all_finite(found, input_name="y")
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _one_column(y: Any) -> Any:
    """Convert one column of any library to an array; masked values become None."""
    if isinstance(y, np.ma.MaskedArray):
        return without_mask(y)
    if isinstance(y, np.ndarray) and y.dtype.kind == "T":
        return y.astype(object)
    if isinstance(y, pa.Table) and y.num_columns == 1:
        y = y.column(0)
    if isinstance(y, pa.Array | pa.ChunkedArray):
        return plain_array(y).to_numpy(zero_copy_only=False)
    if isinstance(y, pd.Series | pd.DataFrame):
        return np.asarray(y)
    if hasattr(y, "to_numpy"):
        return y.to_numpy()
    if hasattr(y, "__arrow_c_stream__"):
        return _one_column(pa.chunked_array(y))
    if hasattr(y, "__arrow_c_array__"):
        return _one_column(pa.array(y))
    return y


def plain_labels(y: NDArray[Any]) -> NDArray[Any]:
    """Convert labels (n,) that are Python objects to an array of booleans, numbers or text.

    Raises ValueError for other types and for a mix of types.

    >>> plain_labels(np.array([True, False], dtype=object))
    array([ True, False])
    """
    if y.dtype.kind != "O":
        return y
    kinds = {_label_kind(item) for item in y}
    if len(kinds) > 1:
        shown = " and ".join(sorted(kinds))
        raise TargetError(f"Unknown label type: y holds {shown}; give one type, as astype(str) does")
    return y if kinds == {"text"} else np.array(y.tolist())


def _label_kind(label: Any) -> str:
    """Return the type of a label in words."""
    for kinds, words in (
        ((bool, np.bool_), "booleans"),
        ((int, float, np.integer, np.floating), "numbers"),
        ((str,), "text"),
    ):
        if isinstance(label, kinds):
            return words
    name = type(label).__name__
    raise TargetError(
        f"Unknown label type: y holds {name}; give numbers, booleans or text, as astype(str) does"
    )
