"""Find target leakage: columns that copy the target in other units or under other names."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.schema.columns import ColumnSchema, TableSchema
from xrfm_cli.datasets.table import Table

LEAST_ROWS = 50  # fewer rows may agree by chance
LEAST_DISTINCT = 20  # values of a numeric target: fewer are easily ordered by another column
LEVEL_ROWS = 5  # average rows per level, at least: a level of one row always has one class


def find_copies(
    table: Table, schema: TableSchema, y_true: NDArray[np.float64], *, classes: int
) -> tuple[str, ...]:
    """Return the names of features that determine the target of every row.

    Args:
        table: the training rows.
        schema: the columns; only features are checked.
        y_true: the targets ``(n,)``, values or class codes.
        classes: number of classes, 0 for a regression.

    For a regression, these are numeric columns that order the rows exactly as the target does, or in reverse;
    for classes, columns whose levels each have one class. Neither is certain to be leakage: only someone who
    knows the table can tell whether the column is known at prediction time.

    >>> import pyarrow as pa
    >>> from xrfm_cli.datasets import infer_schema
    >>> fee = np.arange(100) ** 1.5
    >>> table = Table(pa.table({"fee": fee, "with_tax": 1.2 * fee + 3, "rooms": np.arange(100) % 7}))
    >>> find_copies(table, infer_schema(table), fee, classes=0)
    ('fee', 'with_tax')
    """
    tells = _tells_class if classes else _tells_value
    # Free text is skipped: nearly every row has a different one.
    features = (column for column in schema.features if column.kind != "text")
    return tuple(column.name for column in features if tells(table, column, y_true))


def _tells_value(table: Table, column: ColumnSchema, y_true: NDArray[np.float64]) -> bool:
    """Return whether a numeric column orders the rows as the target does."""
    cells = table.column(column.name)
    if column.kind == "categorical" and len(pc.unique(cells)) < LEAST_DISTINCT:
        return False
    numbers = number_values(cells, table.decimal, column.unit)
    known = np.isfinite(numbers.values) & np.isfinite(y_true)
    if known.sum() < max(LEAST_ROWS, 0.5 * len(y_true)):
        return False
    values, targets = numbers.values[known], y_true[known]
    steps, wanted_steps = _directions(values), _directions(targets)
    if not ((steps == wanted_steps).all() or (steps == -wanted_steps).all()):
        return False  # most columns stop here, before the sort
    places = np.unique(values, return_inverse=True)[1]
    wanted = np.unique(targets, return_inverse=True)[1]
    if wanted.max() + 1 < LEAST_DISTINCT or places.max() != wanted.max():
        return False
    return bool((places == wanted).all() or (places.max() - places == wanted).all())


def _directions(values: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return whether each value is above (1), equal to (0) or below (-1) the one before, int8 (n - 1,).

    Values are compared, not subtracted: a difference of large numbers is beyond float64.
    """
    return (values[1:] > values[:-1]).astype(np.int8) - (values[1:] < values[:-1])


def _tells_class(table: Table, column: ColumnSchema, y_true: NDArray[np.float64]) -> bool:
    """Return whether every level of a column has a single class."""
    codes = _level_codes(table, column)
    known = (codes >= 0) & (y_true >= 0)
    codes, classes = codes[known], y_true[known].astype(np.int64)
    if len(codes) < LEAST_ROWS or len(codes) < LEVEL_ROWS * len(np.unique(codes)):
        return False
    pairs = np.unique(codes * (classes.max() + 1) + classes)
    return len(pairs) == len(np.unique(codes)) and len(np.unique(classes)) > 1


def _level_codes(table: Table, column: ColumnSchema) -> NDArray[np.int64]:
    """Return the code of each cell's value, int64 (n,), -1 where missing."""
    cells = table.column(column.name)
    if column.kind == "datetime":
        moments = moment_values(cells, column.datetime_format or "iso")
        return np.where(moments.valid, np.unique(moments.values, return_inverse=True)[1], -1)
    if column.kind != "numeric":
        return word_levels(cells, table.decimal, is_typed=table.is_typed).codes
    values = number_values(cells, table.decimal, column.unit).values
    distinct, codes = np.unique(values, return_inverse=True)  # NaN sorts last
    return np.where(np.isnan(values), -1, codes) if len(distinct) else np.empty(0, dtype=np.int64)
