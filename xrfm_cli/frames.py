"""Tables of Python become a ``Table``: data frames as they are, arrays with names ``x0 x1 ...``.

Whatever speaks Arrow's PyCapsule interface (polars, DuckDB, ibis, pyarrow itself) comes as its columns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, check_array, column_or_1d

from xrfm_cli.datasets import Table
from xrfm_cli.datasets.plain_types import plain_columns


class ArrowStream(Protocol):
    """A data frame of any library that speaks Arrow's PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as a stream of Arrow."""


TableLike: TypeAlias = pd.DataFrame | pa.Table | ArrowStream | ArrayLike
ColumnLike: TypeAlias = pd.Series | pa.ChunkedArray | pa.Array | ArrayLike


def as_arrow(frame: TableLike) -> Any:
    """Frames of other libraries as a pyarrow Table; DataFrames of pandas and arrays as they are.

    >>> as_arrow(pa.table({"age": [41]}).to_reader()).column_names
    ['age']
    """
    if isinstance(frame, pd.DataFrame) or not hasattr(frame, "__arrow_c_stream__"):
        return frame
    return plain_columns(pa.table(frame))


def table_of(frame: TableLike) -> Table:
    """The columns of a data frame or of a two-dimensional array.

    >>> table_of(np.zeros((2, 3))).column_names
    ('x0', 'x1', 'x2')
    """
    frame = as_arrow(frame)
    if isinstance(frame, pa.Table):
        return Table(frame)
    if isinstance(frame, pd.DataFrame):
        named = frame.set_axis([str(name) for name in frame.columns], axis=1)
        return Table(pa.Table.from_pandas(named, preserve_index=False).replace_schema_metadata(None))
    matrix = check_array(frame, dtype=None, ensure_all_finite=False)
    return Table(pa.table({f"x{place}": arrow_column(matrix[:, place]) for place in range(matrix.shape[1])}))


def training_table(
    features: Table, y: NDArray[Any], sample_weight: ColumnLike | None
) -> tuple[Table, str, str | None]:
    """The features with the target and the weights as columns of their own; their names as well."""
    target = free_name("target", features)
    data = features.data.append_column(target, arrow_column(y))
    if sample_weight is None:
        return replace(features, data=data), target, None
    weight = free_name("weight", features)
    weights = _check_sample_weight(sample_weight, np.empty((features.n_rows, 1)), dtype=np.float64)
    return replace(features, data=data.append_column(weight, pa.array(weights))), target, weight


def checked_target(estimator: BaseEstimator, y: ColumnLike | None, rows: int) -> NDArray[Any]:
    """The target as an array (n,) without missing values; ValueError in scikit-learn's words otherwise."""
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    if isinstance(y, pa.Array):
        y = pa.chunked_array([y])  # whose to_numpy copies what it must
    found = column_or_1d(y.to_numpy() if hasattr(y, "to_numpy") else y, warn=True)
    assert_all_finite(found, input_name="y")
    if len(found) != rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[rows, len(found)]}")
    return found


def free_name(wish: str, table: Table) -> str:
    """A column name that the table does not have yet.

    >>> free_name("target", table_of(np.zeros((1, 1))))
    'target'
    """
    name = wish
    while name in table.column_names:
        name += "_"
    return name


def arrow_column(values: NDArray[Any]) -> pa.Array:
    """A column of an array; objects that are neither numbers nor text are refused."""
    if values.dtype.kind in "US":
        return pa.array(values.astype(str).tolist())
    if values.dtype.kind != "O":
        return pa.array(np.ascontiguousarray(values))
    strange = [item for item in values if not isinstance(item, str | int | float | bool | np.generic | None)]
    if strange:
        raise TypeError(f"argument must be a string or a number, not {type(strange[0]).__name__}")
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # numbers and texts in one column: as texts
        return pa.array([None if item is None else str(item) for item in values])
