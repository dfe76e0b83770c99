"""Tables of Python become a ``Table``: pandas and pyarrow as they are, arrays with names ``x0 x1 ...``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight, check_array

from xrfm_cli.datasets import Table


def table_of(frame: Any) -> Table:
    """The columns of a DataFrame, a pyarrow Table or a two-dimensional array.

    >>> table_of(np.zeros((2, 3))).column_names
    ('x0', 'x1', 'x2')
    """
    if isinstance(frame, pa.Table):
        return Table(frame)
    if hasattr(frame, "columns") and hasattr(frame, "dtypes"):
        named = frame.set_axis([str(name) for name in frame.columns], axis=1)
        return Table(pa.Table.from_pandas(named, preserve_index=False).replace_schema_metadata(None))
    matrix = check_array(frame, dtype=None, ensure_all_finite=False)
    return Table(pa.table({f"x{place}": arrow_column(matrix[:, place]) for place in range(matrix.shape[1])}))


def training_table(features: Table, y: Any, sample_weight: Any) -> tuple[Table, str, str | None]:
    """The features with the target and the weights as columns of their own; their names as well."""
    target = free_name("target", features)
    data = features.data.append_column(target, arrow_column(np.asarray(y)))
    if sample_weight is None:
        return replace(features, data=data), target, None
    weight = free_name("weight", features)
    weights = _check_sample_weight(sample_weight, np.empty((features.n_rows, 1)), dtype=np.float64)
    return replace(features, data=data.append_column(weight, pa.array(weights))), target, weight


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
