"""Columns whose kind an option or a schema file gives: every cell must fit it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.dates import DATE_ORDERS, DateFormat, moment_values
from xrfm_cli.datasets.cells.plain_types import is_date, is_number, plain_array
from xrfm_cli.datasets.cells.units import common_unit
from xrfm_cli.datasets.cells.values import level_values, number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.schema.columns import UNUSED_KINDS, ColumnSchema
from xrfm_cli.datasets.schema.date_guesses import guess_format
from xrfm_cli.datasets.schema.date_kinds import DATE_ORDER_HINT
from xrfm_cli.datasets.schema.kinds import find_unreadable
from xrfm_cli.datasets.schema.word_kinds import boolean_pair
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError
from xrfm_cli.mentions import as_flag, option


def declared_column(table: Table, given: ColumnSchema) -> ColumnSchema:
    """Build a column whose kind was given by an option or file, which is its reason; every cell must fit."""
    name, kind, column = given.name, given.kind, table.column(given.name)
    by_option = given.reason == as_flag(kind)
    way_out = f"leave out {option(kind, name)}" if by_option else f"change {given.reason}"
    if kind in UNUSED_KINDS and given.role == "feature":
        raise SchemaError(
            f"{given.reason}: column '{name}' is a feature, but a model cannot use kind \"{kind}\"; give "
            'it another kind, or the role "dropped"'
        )
    levels = pa.array([], pa.string())
    if kind in ("numeric", "boolean", "categorical"):
        keeps_words = table.is_typed and kind == "categorical"
        levels = word_levels(column, table.decimal, is_typed=keeps_words).values
    if kind == "boolean" and boolean_pair(levels) is None:
        raise SchemaError(
            f"{table.source}: column '{name}' does not have two values that mean no and yes; {way_out}"
        )
    date_format = given.datetime_format
    if kind == "datetime" and date_format is None:
        date_format = _declared_format(table, name)
    unit = given.unit or (common_unit(levels) if kind == "numeric" else "")
    row = find_unreadable(column, kind, table.decimal, date_format, unit)
    if row >= 0:
        what = "number" if kind == "numeric" else "date"
        raise SchemaError(
            f"{table.source}: row {row + 1}, column '{name}': '{column[row].as_py()}' is not a {what}; "
            f"fix or empty the cell, or {way_out}"
        )
    count = len(levels) if kind == "categorical" else 0
    return replace(given, datetime_format=date_format, levels_count=count, unit=unit)


def _declared_format(table: Table, name: str) -> DateFormat:
    """Return the date format of a column that the user declares as dates."""
    array = plain_array(table.column(name))
    if is_date(array.type):
        return "iso"
    numbers = number_values(array, table.decimal)
    finite = numbers.values[np.isfinite(numbers.values)]
    if len(finite) and not numbers.unreadable.any():
        return _numeric_format(finite)
    guess = None if is_number(array.type) else guess_format(level_values(array).values, table.date_order)
    if guess is not None and guess.doubt:
        raise SchemaError(f"{table.source}: column '{name}' {guess.doubt}{DATE_ORDER_HINT}")
    if guess is None:
        formats: tuple[DateFormat, ...] = ("iso", "day first", "month first", "month name", "time")
        if table.date_order is not None:
            formats = ("iso", DATE_ORDERS[table.date_order], "month name", "time")
        for known in formats:
            moments = moment_values(array, known)
            if moments.valid.sum() > 0.5 * len(array):
                return known
        return "iso"
    return guess.date_format


def _numeric_format(finite: np.ndarray) -> DateFormat:
    """Guess the unit of whole numbers that stand for dates, from their size."""
    size = float(np.abs(finite).max())
    if finite.min() >= 1e7 and size < 3e7 and (np.trunc(finite) == finite).all():
        return "digits"
    scales: tuple[tuple[float, DateFormat], ...] = (
        (1e11, "epoch s"),
        (1e14, "epoch ms"),
        (1e17, "epoch us"),
    )
    return next((name for limit, name in scales if size < limit), "epoch ns")
