"""Read the weight, offset, group and time columns."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.scale import to_order_one
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.schema.columns import TableSchema
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError, did_you_mean

ONE_ROW = 1.0  # if no weight reaches this, as with weights that sum to one, weights cannot be row counts
MOST_MEAN = 1e6  # a larger mean cannot be a row count either
LEAST_SHARE = 1e-12  # of the largest weight; float32 sums have seven digits


def read_weights(table: Table, schema: TableSchema) -> np.ndarray | None:
    """Return the row weights, float64 (n,), or None if no column has that role.

    A weight of 2 counts like two rows, unless all weights are below 1 or their mean is above a million: such
    weights cannot be row counts and are divided by their mean. Taken as row counts, weights that sum to one
    would have less influence together than the prior. A weight below a trillionth of the largest becomes 0.
    Raises `SchemaError`, naming the row, for a weight that is missing, negative, infinite or not a number,
    and if all weights are zero.
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
            f"{table.source}: row {row + 1}, weight '{name}': {cell!r} is not a weight; give 0 or more"
        )
    if len(values) and not values.any():
        raise SchemaError(f"{table.source}: weight '{name}' is 0 in every row; give some rows a weight")
    return _in_range(values) if values.any() else values


def _in_range(weights: np.ndarray) -> np.ndarray:
    """Scale weights so that models can compute with them in float32."""
    scaled, exponent = to_order_one(weights)
    scaled = np.where(scaled < LEAST_SHARE * scaled.max(), 0.0, scaled)
    mean = float(scaled.mean())
    is_ordinary = np.ldexp(scaled.max(), exponent) >= ONE_ROW and np.ldexp(mean, exponent) <= MOST_MEAN
    return np.ldexp(scaled, exponent) if is_ordinary else scaled / mean


def read_offset(table: Table, schema: TableSchema, *, before: int = 0) -> np.ndarray | None:
    """Return the exposure of each row, float64 (n,), or None if no column has that role.

    Raises `SchemaError` if the table lacks the column, and for an exposure that is missing or not a finite
    number above 0. It names the row; ``before`` rows of the source precede the table.
    """
    columns = schema.with_role("offset")
    if not columns:
        return None
    name = columns[0].name
    if not table.has_column(name):
        raise SchemaError(
            f"{table.source}: no column '{name}', the exposure that predictions are multiplied by."
            f"{did_you_mean(name, table.column_names)}"
        )
    values = number_values(table.column(name), table.decimal).values
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        cell = table.column(name)[int(bad[0])].as_py()
        given = "no value" if cell is None or not str(cell).strip() else repr(cell)
        row = before + int(bad[0]) + 1
        raise SchemaError(f"{table.source}: row {row}, offset '{name}': {given}; give a number above 0")
    return values


def read_groups(table: Table, schema: TableSchema) -> np.ndarray | None:
    """Return the group of each row as codes, int64 (n,), or None if no column has that role.

    Raises `SchemaError`, naming the row, for a missing cell, since such a row belongs to no group.
    """
    columns = schema.with_role("group")
    if not columns:
        return None
    name = columns[0].name
    codes = word_levels(table.column(name), table.decimal, is_typed=table.is_typed).codes
    _refuse_missing(table, name, "group", codes < 0)
    return codes


def read_time(table: Table, schema: TableSchema) -> np.ndarray | None:
    """Return the time of each row: int64 (n,) microseconds since 1970, or float64 (n,) for a numeric column.

    Returns None if no column has that role. Raises `SchemaError`, naming the row, for a missing cell, and for
    a column that holds neither dates nor numbers.
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
