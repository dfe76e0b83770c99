"""Concatenate tables, of which some may be text from CSV files and others typed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.plain_types import is_date, is_number, is_text, plain_array
from xrfm_cli.datasets.cells.spellings import as_text
from xrfm_cli.datasets.cells.units import common_unit
from xrfm_cli.datasets.cells.values import (
    EXACT_INTEGERS,
    Numbers,
    is_placeholder,
    level_values,
    number_values,
    tidy_text,
)
from xrfm_cli.datasets.schema.date_guesses import guess_format
from xrfm_cli.datasets.schema.date_kinds import DATE_ORDER_HINT
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError, did_you_mean


def concatenate_tables(first: Table, *others: Table) -> Table:
    """Return the rows of all tables, one table after the other, with the columns of the first.

    A column that is text in one table and typed in another keeps its values. Raises `SchemaError` if a table
    lacks a column of the first; extra columns are dropped.

    >>> texts, numbers = Table(pa.table({"a": ["1", "2.5"]})), Table(pa.table({"a": [3]}))
    >>> concatenate_tables(texts, numbers).column("a").to_pylist()
    [1.0, 2.5, 3.0]
    """
    tables = (first, *others)
    for table in others:
        for name in first.column_names:
            if not table.has_column(name):
                hint = did_you_mean(name, table.column_names)
                raise SchemaError(f"{table.source}: no column '{name}', which {first.source} has.{hint}")
    faults = {name: fault for table in tables for name, fault in table.faults.items()}
    n_rows = sum(table.n_rows for table in tables)
    is_typed = any(table.is_typed for table in tables)
    columns = {
        name: pa.nulls(n_rows) if name in faults else _joined(name, tables, is_typed=is_typed)
        for name in first.column_names
    }
    return replace(first, data=pa.table(columns), faults=faults, is_typed=is_typed)


def _joined(name: str, tables: tuple[Table, ...], *, is_typed: bool) -> pa.ChunkedArray:
    """Return one column of all tables, with one type."""
    arrays = [plain_array(table.column(name)) for table in tables]
    if is_typed:  # text is literal in the result, so missing-value spellings of text files become null
        arrays = [
            tidy_text(array) if is_text(array.type) and not table.is_typed else array
            for array, table in zip(arrays, tables, strict=True)
        ]
    marks = {table.decimal for table in tables}
    kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
    if len(kinds) <= 1 and (len(marks) == 1 or not any(is_text(kind) for kind in kinds)):
        kind = next(iter(kinds), pa.null())
        return pa.chunked_array([array.cast(kind) for array in arrays])
    if all(is_number(kind) or is_text(kind) for kind in kinds):
        numbers = [_numbers(array, table.decimal) for array, table in zip(arrays, tables, strict=True)]
        largest = max((np.nanmax(np.abs(number.values), initial=0.0) for number in numbers), default=0.0)
        # Beyond 2^53, converting to float would merge distinct whole numbers.
        if not any(number.unreadable.any() for number in numbers) and largest <= EXACT_INTEGERS:
            return pa.chunked_array([pa.array(number.values, from_pandas=True) for number in numbers])
    if any(is_date(kind) for kind in kinds):
        are_times = all(pa.types.is_time(kind) or is_text(kind) for kind in kinds)
        moments = [
            _moments(name, array, table, are_times=are_times)
            for array, table in zip(arrays, tables, strict=True)
        ]
        if all(moment is not None for moment in moments):
            return pa.chunked_array(moments)
    return pa.chunked_array(
        [_text(array, table.decimal, tables[0].decimal) for array, table in zip(arrays, tables, strict=True)]
    )


def _numbers(array: pa.Array, decimal: str) -> Numbers:
    """Return a column as numbers; text may have a unit."""
    if not is_text(array.type):
        return number_values(array)
    words = level_values(array, decimal).values
    return number_values(array, decimal, common_unit(words.filter(pa.array(~is_placeholder(words)))))


def _moments(name: str, array: pa.Array, table: Table, *, are_times: bool) -> pa.Array | None:
    """Return dates as timestamps or times of day as times, or None if the text holds neither."""
    if are_times:
        times = moment_values(array, "time")
        return pa.array(times.values, mask=~times.valid).cast(pa.time64("us"))
    if is_date(array.type):
        moments = moment_values(array, "iso")
    else:
        guess = guess_format(level_values(array).values, table.date_order) if is_text(array.type) else None
        if guess is None:
            return None
        if guess.doubt:
            raise SchemaError(f"{table.source}: column '{name}' {guess.doubt}{DATE_ORDER_HINT}")
        moments = moment_values(array, guess.date_format)
    return pa.array(moments.values, mask=~moments.valid).cast(pa.timestamp("us"))


def _text(array: pa.Array, own_mark: str, wanted_mark: str) -> pa.Array:
    """Return a column as text, with numbers written with the wanted decimal mark."""
    typed = not is_text(array.type)
    text = as_text(array) if typed else array
    if (own_mark if not typed else ".") == wanted_mark:
        return text
    number = pc.match_substring_regex(text, r"^-?[0-9]+[.,][0-9]+$")
    swapped = pc.replace_substring(pc.replace_substring(text, ",", "."), ".", wanted_mark)
    return pc.if_else(number, swapped, text)
