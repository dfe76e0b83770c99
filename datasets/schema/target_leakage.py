"""Columns that tell the target of every row: copies of it, in other units or under other names."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.schema.columns import ColumnSchema, TableSchema
from xrfm_cli.datasets.table import Table

LEAST_ROWS = 50  # fewer agree by chance
LEAST_DISTINCT = 20  # values of a numeric target: fewer are easily ordered by another column
LEVEL_ROWS = 5  # rows a level, on average, at least: a level of one row always has one class


def find_copies(
    table: Table, schema: TableSchema, truth: NDArray[np.float64], *, classes: int
) -> tuple[str, ...]:
    """Names of features from which the target of every row follows.

    Args:
        table: the training rows.
        schema: the columns; features are looked at.
        truth: the target ``(n,)``, values or class codes.
        classes: number of classes, 0 for a regression.

    For a regression these are numbers that order the rows exactly as the target does, or the other way
    round; for classes, columns each of whose levels has one class. Either may be no leak: only who knows the
    table can tell whether the column is known when predictions are made.

    >>> import pyarrow as pa
    >>> from xrfm_cli.datasets import infer_schema
    >>> fee = np.arange(100) ** 1.5
    >>> table = Table(pa.table({"fee": fee, "with_tax": 1.2 * fee + 3, "rooms": np.arange(100) % 7}))
    >>> find_copies(table, infer_schema(table), fee, classes=0)
    ('fee', 'with_tax')
    """
    tells = _tells_class if classes else _tells_value
    # Free text is left out: nearly every row has its own.
    features = (column for column in schema.features if column.kind != "text")
    return tuple(column.name for column in features if tells(table, column, truth))


def _tells_value(table: Table, column: ColumnSchema, truth: NDArray[np.float64]) -> bool:
    """Whether a column of numbers orders the rows as the target does."""
    cells = table.column(column.name)
    if column.kind == "categorical" and len(pc.unique(cells)) < LEAST_DISTINCT:
        return False
    numbers = number_values(cells, table.decimal, column.unit)
    known = np.isfinite(numbers.values) & np.isfinite(truth)
    if known.sum() < max(LEAST_ROWS, 0.5 * len(truth)):
        return False
    values, targets = numbers.values[known], truth[known]
    steps, wanted_steps = values[1:] - values[:-1], targets[1:] - targets[:-1]
    steps, wanted_steps = np.sign(steps), np.sign(wanted_steps)
    if not ((steps == wanted_steps).all() or (steps == -wanted_steps).all()):
        return False  # most columns end here, without being sorted
    places = np.unique(values, return_inverse=True)[1]
    wanted = np.unique(targets, return_inverse=True)[1]
    if wanted.max() + 1 < LEAST_DISTINCT or places.max() != wanted.max():
        return False
    return bool((places == wanted).all() or (places.max() - places == wanted).all())


def _tells_class(table: Table, column: ColumnSchema, truth: NDArray[np.float64]) -> bool:
    """Whether every level of a column has one class."""
    codes = _level_codes(table, column)
    known = (codes >= 0) & (truth >= 0)
    codes, classes = codes[known], truth[known].astype(np.int64)
    if len(codes) < LEAST_ROWS or len(codes) < LEVEL_ROWS * len(np.unique(codes)):
        return False
    pairs = np.unique(codes * (classes.max() + 1) + classes)
    return len(pairs) == len(np.unique(codes)) and len(np.unique(classes)) > 1


def _level_codes(table: Table, column: ColumnSchema) -> NDArray[np.int64]:
    """Which distinct value each cell holds, int64 (n,), -1 where it is missing."""
    cells = table.column(column.name)
    if column.kind != "numeric":
        return word_levels(cells, table.decimal, is_typed=table.is_typed).codes
    values = number_values(cells, table.decimal, column.unit).values
    distinct, codes = np.unique(values, return_inverse=True)  # NaN comes last
    return np.where(np.isnan(values), -1, codes) if len(distinct) else np.empty(0, dtype=np.int64)
