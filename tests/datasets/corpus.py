"""Polluted files with the correct tables: faults of spreadsheets, warehouses and scripts, one by one.

A `Sheet` is a table and the way it is written. A `Fault` changes a sheet; faults compose, unless they set the
same thing. `render` gives the bytes of the file, `verdict_on` compares what was read with the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xrfm_cli.datasets import ReadOptions, Table, infer_schema, read_table
from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.values import number_values, tidy_text
from xrfm_cli.errors import InputError

Verdict = Literal["right", "refused", "wrong"]
Row = tuple[str, ...]

KINDS = ("text", "number", "number", "date", "text")
NAMES = ("town", "size", "count", "day", "note")
ROWS: tuple[Row, ...] = (
    ("Wien", "0.25", "12", "2023-01-31", "plain"),
    ("São Paulo", "1234.5", "", "2023-02-28", "a, b"),
    ("Graz", "-3.125", "1500", "2023-03-15", 'say "hi" now'),
    ("Linz", "", "7", "", ""),
    ("Köln", "12.75", "0", "2024-02-29", "x; y | z"),
    ("Bern", "1000000.5", "31", "2023-12-24", "it's"),
    ("Oslo", "2.5", "2750", "2023-06-06", "tab free"),
    ("Rom", "0.5", "44", "2023-07-13", "last one"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table, how it is written, and what a reader should return for it."""

    names: Row = NAMES
    rows: tuple[Row, ...] = ROWS
    kinds: Row = KINDS
    header: tuple[Row, ...] | None = None  # rows of names where they are not the one of ``names``
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""  # empty: quotes are doubled
    quotes_all: bool = False
    pad: str = ""  # after a delimiter
    line_end: str = "\n"
    ends_line: bool = True
    encoding: str = "utf-8"
    decimal: str = "."
    groups: str = ""
    missing: str = ""
    missing_text: str | None = None  # in columns of text, where it is another
    before: tuple[str | Row, ...] = ()  # lines before the table, as they stand, or their cells
    after: tuple[str | Row, ...] = ()  # lines after it
    names_delimiter: bool = False  # in a first line sep=, as Excel does
    amid: tuple[tuple[int, str], ...] = ()  # lines before a row
    spell_number: Callable[[str], str] = str
    spell_day: Callable[[str], str] = str
    edit: Callable[[list[str]], list[str]] = list  # the lines of the table, changed last
    pack: Callable[[bytes], bytes] = bytes
    ending: str = ".csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a file differs from a plain one."""

    name: str
    slot: str  # faults of one slot exclude each other, those of "alone" all others
    change: Callable[[Sheet], Sheet]
    outcome: Literal["right", "refused", "not wrong"] = "right"
    settle: ReadOptions | None = None  # with these, the file is read right


def render(sheet: Sheet) -> bytes:
    """Return the bytes of a sheet's file."""
    header = (sheet.names,) if sheet.header is None else sheet.header
    lines = [_line(row, ("name",) * len(row), sheet) for row in header]
    table = [_line(row, sheet.kinds, sheet) for row in sheet.rows]
    for place, line in sorted(sheet.amid, reverse=True):
        table.insert(place, line)
    lines = sheet.edit([*lines, *table])
    around = [
        [line if isinstance(line, str) else sheet.delimiter.join(line) for line in part]
        for part in (sheet.before, sheet.after)
    ]
    hint = [f"sep={sheet.delimiter}"] if sheet.names_delimiter else []
    text = sheet.line_end.join([*hint, *around[0], *lines, *around[1]])
    return sheet.pack((text + (sheet.line_end if sheet.ends_line else "")).encode(sheet.encoding))


def _line(row: Row, kinds: Row, sheet: Sheet) -> str:
    cells = (_quoted(_spelled(cell, kind, sheet), sheet) for cell, kind in zip(row, kinds, strict=True))
    return (sheet.delimiter + sheet.pad).join(cells)


def _spelled(cell: str, kind: str, sheet: Sheet) -> str:
    if kind == "name":
        return cell
    if not cell:
        return sheet.missing if kind != "text" or sheet.missing_text is None else sheet.missing_text
    return cell if kind == "text" else _spell(cell, kind, sheet)


def _spell(cell: str, kind: str, sheet: Sheet) -> str:
    if kind == "date":
        return sheet.spell_day(cell)
    whole, point, part = cell.partition(".")
    if sheet.groups:
        sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
        whole = sign + f"{int(digits):,}".replace(",", sheet.groups)
    return sheet.spell_number(whole + (sheet.decimal if point else "") + part)


def _quoted(cell: str, sheet: Sheet) -> str:
    if not sheet.quote:
        return "".join(
            sheet.escape + sign if sign in (sheet.delimiter, sheet.escape) else sign for sign in cell
        )
    special = (sheet.delimiter, sheet.quote, "\n", "\r", *([sheet.escape] if sheet.escape else []))
    if not sheet.quotes_all and not any(sign in cell for sign in special):
        return cell
    if sheet.escape:
        cell = cell.replace(sheet.escape, sheet.escape * 2)
    return sheet.quote + cell.replace(sheet.quote, (sheet.escape or sheet.quote) + sheet.quote) + sheet.quote


def verdict_on(sheet: Sheet, path: Path, options: ReadOptions | None = None) -> tuple[Verdict, str]:
    """Write the sheet, read it, and compare with the correct table; return the verdict and the details."""
    path = path.with_name(path.name + sheet.ending)
    path.write_bytes(render(sheet))
    try:
        difference = _difference(read_table(path, options or ReadOptions()), sheet)
    except InputError as error:
        return "refused", str(error)
    return ("wrong", difference) if difference else ("right", "")


def _difference(table: Table, sheet: Sheet) -> str:
    """Return the first difference from the correct table, or an empty text."""
    if table.column_names != sheet.names:
        return f"names {table.column_names}, not {sheet.names}"
    if table.n_rows != len(sheet.rows):
        return f"{table.n_rows} rows, not {len(sheet.rows)}"
    schema = infer_schema(table)
    for place, (name, kind) in enumerate(zip(sheet.names, sheet.kinds, strict=True)):
        found: list[Any]
        wanted: list[Any]
        cells = [row[place] for row in sheet.rows]
        column = table.column(name)
        if kind == "number":
            found = number_values(column, table.decimal, schema.column(name).unit).values.tolist()
            wanted = [float(cell) if cell else float("nan") for cell in cells]
            if schema.column(name).kind not in ("numeric", "identifier", "constant"):
                return f"column '{name}' is {schema.column(name).kind}"
        elif kind == "date":
            if schema.column(name).kind != "datetime":
                return f"column '{name}' is {schema.column(name).kind}"
            moments = moment_values(column, schema.column(name).datetime_format or "iso")
            found = np.where(
                moments.valid, moments.values.astype("datetime64[us]"), np.datetime64("NaT")
            ).tolist()
            wanted = [np.datetime64(cell, "us").item() if cell else None for cell in cells]
        else:
            found = tidy_text(column.combine_chunks()).to_pylist()
            wanted = [cell.strip() or None for cell in cells]
        for row, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if one != other and not (one != one and other != other):
                return f"row {row + 1}, column '{name}': {one!r}, not {other!r}"
    return ""


def with_(**changes: Any) -> Callable[[Sheet], Sheet]:
    """Return a change that sets fields of a sheet."""
    return lambda sheet: replace(sheet, **changes)


def pairs(faults: Iterable[Fault]) -> Iterator[tuple[Fault, Fault]]:
    """Return pairs of faults that can be in one file."""
    return (
        (one, other)
        for one, other in combinations(faults, 2)
        if one.slot != other.slot and "alone" not in (one.slot, other.slot)
    )


def polluted(*faults: Fault) -> Sheet:
    """Return the plain sheet with faults applied in order."""
    sheet = Sheet()
    for fault in faults:
        sheet = fault.change(sheet)
    return sheet


def can_render(sheet: Sheet) -> bool:
    """Return whether the sheet's encoding has all of its characters."""
    try:
        render(sheet)
    except UnicodeEncodeError:
        return False
    return True
