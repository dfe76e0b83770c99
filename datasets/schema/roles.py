"""The columns that say how much each row counts, what it belongs to and when it was."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.scale import to_order_one
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.schema.columns import TableSchema
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError

ONE_ROW = 1.0  # where no weight is as large, as of weights that add to one, none is a number of rows
MOST_MEAN = 1e6  # above, a weight cannot be meant as a number of rows either
LEAST_SHARE = 1e-12  # of the largest weight; sums of 32 bits have seven digits


def read_weights(table: Table, schema: TableSchema) -> np.ndarray | None:
    """The weights of the rows, float64 (n,), or None where no column has that role.

    A weight of 2 counts like two rows, unless all weights are below 1 or their mean is above a million: then
    weights are divided by their mean, as they cannot be numbers of rows. Taken as such, weights that add to
    one would leave all rows together less to say than the prior. A weight of less than a trillionth of the
    largest is 0. A weight that is missing, negative, infinite or no number raises `SchemaError` naming the
    row, and so do weights that are all zero.
    """
    columns = schema.with_role("weight")
    if not columns:
        return None
    name = columns[0].name
    values = number_values(table.column(name), table.decimal).values
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        row = int(bad[0])
        cell = table.column(name)[row].as_py()
        raise SchemaError(
            f"{table.source}: row {row + 1}, weight '{name}': {cell!r} is no weight; give 0 or more"
        )
    if len(values) and not values.any():
        raise SchemaError(f"{table.source}: weight '{name}' is 0 in every row; give some rows a weight")
    return _in_range(values) if values.any() else values


def _in_range(weights: np.ndarray) -> np.ndarray:
    """Weights that models can compute with in 32 bits."""
    scaled, exponent = to_order_one(weights)
    scaled = np.where(scaled < LEAST_SHARE * scaled.max(), 0.0, scaled)
    mean = float(scaled.mean())
    is_ordinary = np.ldexp(scaled.max(), exponent) >= ONE_ROW and np.ldexp(mean, exponent) <= MOST_MEAN
    return np.ldexp(scaled, exponent) if is_ordinary else scaled / mean


def read_groups(table: Table, schema: TableSchema) -> np.ndarray | None:
    """The groups of the rows as codes, int64 (n,), or None where no column has that role.

    A cell without a value raises `SchemaError` naming the row: such a row belongs to nobody.
    """
    columns = schema.with_role("group")
    if not columns:
        return None
    name = columns[0].name
    codes = word_levels(table.column(name), table.decimal, is_typed=table.is_typed).codes
    _refuse_missing(table, name, "group", codes < 0)
    return codes


def read_time(table: Table, schema: TableSchema) -> np.ndarray | None:
    """When each row was: int64 (n,) microseconds since 1970, or float64 (n,) for a column of numbers.

    None where no column has that role. A cell without a time raises `SchemaError` naming the row, and so
    does a column of another kind.
    """
    columns = schema.with_role("time")
    if not columns:
        return None
    column = columns[0]
    cells = table.column(column.name)
    if column.kind == "datetime":
        moments = moment_values(cells, column.datetime_format or "iso")
        _refuse_missing(table, column.name, "time", ~moments.valid)
        return moments.values
    numbers = number_values(cells, table.decimal)
    if numbers.unreadable.all() or (column.kind != "numeric" and numbers.unreadable.any()):
        raise SchemaError(
            f"{table.source}: time '{column.name}' is {column.kind} ({column.reason}); "
            "choose dates or numbers"
        )
    _refuse_missing(table, column.name, "time", np.isnan(numbers.values))
    return numbers.values


def _refuse_missing(table: Table, name: str, role: str, missing: np.ndarray) -> None:
    rows = np.flatnonzero(missing)
    if len(rows):
        raise SchemaError(f"{table.source}: row {int(rows[0]) + 1}, {role} '{name}' has no value; fill it in")
