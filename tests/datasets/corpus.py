"""Polluted files with their clean truth: what spreadsheets, warehouses and scripts write, fault by fault.

A `Sheet` is a table and the way it is written. A fault changes a sheet; faults compose, unless they set the same
thing. `render` gives the bytes of the file, `judge` says whether a reading of it is right, refused or wrong.
The faults cover those of Pollock (Vitagliano et al., VLDB 2023), of csv-spectrum and of the usual test
collections of CSV parsers, and spellings of cells beside.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xrfm_cli.datasets import ReadOptions, Table, infer_schema, read_table
from xrfm_cli.datasets.dates import moment_values
from xrfm_cli.datasets.errors import InputError
from xrfm_cli.datasets.values import number_values, tidy_text

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
    """A table, how it is written, and what a reader should make of it."""

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
    slot: str  # faults of one slot exclude each other
    change: Callable[[Sheet], Sheet]
    outcome: Literal["right", "refused", "not wrong"] = "right"
    settle: ReadOptions | None = None  # with these, the file is read right


def render(sheet: Sheet) -> bytes:
    """The bytes of a sheet's file."""
    header = (sheet.names,) if sheet.header is None else sheet.header
    lines = [_line(row, ("text",) * len(row), sheet) for row in header]
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
    cells = []
    for cell, kind in zip(row, kinds, strict=True):
        spelled = cell
        if kind != "text" or not cell:
            spelled = sheet.missing if not cell else _spell(cell, kind, sheet)
        if sheet.header is not None and kinds == ("text",) * len(row):
            spelled = cell
        cells.append(_quoted(spelled, sheet))
    return (sheet.delimiter + sheet.pad).join(cells)


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


def judge(sheet: Sheet, path: Path, options: ReadOptions | None = None) -> tuple[Verdict, str]:
    """Write the sheet, read it, and compare with its truth; the verdict and what was found."""
    path = path.with_name(path.name + sheet.ending)
    path.write_bytes(render(sheet))
    try:
        table = read_table(path, options or ReadOptions())
        difference = _difference(table, sheet)
    except InputError as error:
        assert "\n" not in str(error)
        return "refused", str(error)
    return ("wrong", difference) if difference else ("right", "")


def _difference(table: Table, sheet: Sheet) -> str:
    """The first thing that differs from the truth, or an empty text."""
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
    """A change that sets fields of a sheet."""
    return lambda sheet: replace(sheet, **changes)


def pairs(faults: tuple[Fault, ...]) -> Iterator[tuple[Fault, Fault]]:
    """Faults two by two that can be in one file."""
    return ((one, other) for one, other in combinations(faults, 2) if one.slot != other.slot)


def _cells(change: Callable[[int, int, str], str]) -> Callable[[Sheet], Sheet]:
    """A change of single cells: (row, column, cell) to cell."""

    def apply(sheet: Sheet) -> Sheet:
        rows = tuple(
            tuple(change(row, place, cell) for place, cell in enumerate(cells))
            for row, cells in enumerate(sheet.rows)
        )
        return replace(sheet, rows=rows)

    return apply


def _edit(change: Callable[[list[str], Sheet], list[str]]) -> Callable[[Sheet], Sheet]:
    """A change of the lines of the table; it comes after those made before."""

    def apply(sheet: Sheet) -> Sheet:
        before = sheet.edit
        return replace(sheet, edit=lambda lines: change(before(lines), sheet))

    return apply


def _plain_words(row: int, place: int, cell: str) -> str:
    """Cells that need no quotes."""
    return (
        cell.replace(",", "").replace('"', "").replace(";", "").replace("|", "")
        if KINDS[place] == "text"
        else cell
    )


def _european(day: str) -> str:
    year, month, date = day.split("-")
    return f"{date}.{month}.{year}"


def _american(day: str) -> str:
    year, month, date = day.split("-")
    return f"{month}/{date}/{year}"


def _named(day: str) -> str:
    year, month, date = day.split("-")
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{int(date)} {names[int(month) - 1]} {year}"


def _early_days(row: int, place: int, cell: str) -> str:
    """Dates whose days are at most 12, out of order."""
    return (
        f"2023-{(row * 5) % 12 + 1:02}-{(row * 7) % 12 + 1:02}" if KINDS[place] == "date" and cell else cell
    )


def _three_digits(row: int, place: int, cell: str) -> str:
    """Numbers with three decimals, none below one: 1.250 might be grouped."""
    if KINDS[place] != "number":
        return cell
    return f"{row + 1}.{125 + row}" if place == 1 else f"{row % 3}"


FAULTS: tuple[Fault, ...] = (
    Fault(name="plain", slot="nothing", change=with_()),
    *(
        Fault(name=f"delimiter {name}", slot="delimiter", change=with_(delimiter=mark))
        for name, mark in (("semicolon", ";"), ("tab", "\t"), ("pipe", "|"))
    ),
    Fault(name="delimiter caret", slot="delimiter", change=with_(delimiter="^"), outcome="not wrong",
          settle=ReadOptions(delimiter="^")),
    Fault(name="delimiter colon", slot="delimiter", change=with_(delimiter=":"), outcome="not wrong",
          settle=ReadOptions(delimiter=":")),
    Fault(name="delimiter and blank", slot="pad", change=with_(pad=" ")),
    Fault(name="quotes everywhere", slot="quote", change=with_(quotes_all=True)),
    Fault(name="single quotes", slot="quote", change=with_(quote="'", quotes_all=True)),
    Fault(name="escaped quotes", slot="quote", change=with_(escape="\\")),
    Fault(name="escaped delimiters", slot="quote",
          change=lambda sheet: replace(_cells(lambda r, p, c: c.replace('"', ""))(sheet), quote="", escape="\\"),
          outcome="not wrong", settle=ReadOptions(quote="", escape="\\")),
    Fault(name="CRLF", slot="line end", change=with_(line_end="\r\n")),
    Fault(name="CR", slot="line end", change=with_(line_end="\r")),
    Fault(name="no last line end", slot="end", change=with_(ends_line=False)),
    Fault(name="empty lines at the end", slot="after", change=with_(after=("", "", ""))),
    Fault(name="empty lines amid", slot="amid", change=with_(amid=((2, ""), (5, "")))),
    *(
        Fault(name=f"encoding {name}", slot="encoding", change=with_(encoding=name))
        for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252")
    ),
    *(
        Fault(name=f"encoding {name}", slot="encoding", change=with_(encoding=name), outcome="not wrong",
              settle=ReadOptions(encoding=name))
        for name in ("mac_roman", "cp850")
    ),
    Fault(name="decimal comma", slot="decimal", change=with_(decimal=",")),
    Fault(name="decimal comma, points group", slot="decimal", change=with_(decimal=",", groups=".")),
    Fault(name="commas group", slot="decimal", change=with_(groups=",")),
    Fault(name="blanks group", slot="decimal", change=with_(groups=" ")),
    Fault(name="narrow blanks group", slot="decimal", change=with_(groups="\u202f", encoding="utf-8")),
    Fault(name="apostrophes group", slot="decimal", change=with_(groups="’", encoding="utf-8")),
    Fault(name="decimal mark of two meanings", slot="decimal",
          change=lambda sheet: replace(_cells(_three_digits)(sheet), decimal=",", groups=""), outcome="refused",
          settle=ReadOptions(decimal=",")),
    Fault(name="title", slot="before", change=with_(before=("Report of the year",))),
    Fault(name="title and empty line", slot="before", change=with_(before=("Report of the year", ""))),
    Fault(name="several remarks", slot="before",
          change=with_(before=("Report of the year", "Source: warehouse", "", "Printed by hand", ""))),
    Fault(name="padded title", slot="before",
          change=with_(before=(("Report", "", "", "", ""),))),
    Fault(name="comments first", slot="before", change=with_(before=("# made by a script", "# version 2, final"))),
    Fault(name="Excel's sep=", slot="before", change=with_(names_delimiter=True)),
    Fault(name="comments amid", slot="amid", change=with_(amid=((1, "# a remark"), (4, "# another")))),
    Fault(name="count of rows after", slot="after", change=with_(after=("(8 rows)",))),
    Fault(name="source after an empty line", slot="after", change=with_(after=("", "Source: the office"))),
    Fault(name="totals after", slot="after",
          change=with_(after=(("Total", "9", "9", "", ""),)),
          outcome="refused", settle=ReadOptions(skip_footer=1)),
    Fault(name="cells of several lines", slot="cells",
          change=_cells(lambda row, place, cell: f"{cell}\nand more" if place == 4 and row % 3 == 0 else cell)),
    Fault(name="cells with line ends of Windows", slot="cells",
          change=_cells(lambda row, place, cell: f"{cell}\r\nand more" if place == 4 and row % 3 == 0 else cell)),
    Fault(name="words that need no quotes", slot="cells", change=_cells(_plain_words)),
    Fault(name="blanks around cells", slot="cells", change=_cells(lambda row, place, cell: f" {cell} " if place == 0 else cell)),
    Fault(name="long cell", slot="cells", change=_cells(lambda row, place, cell: "x" * 20_000 if (row, place) == (3, 4) else cell)),
    Fault(name="commas in names", slot="names", change=with_(names=("town, part", "size", "count", "day", "note"))),
    Fault(name="lines in names", slot="names", change=with_(names=("town", "size\n[m]", "count", "day", "note"))),
    Fault(name="empty name", slot="names",
          change=with_(names=("Unnamed: 0", "size", "count", "day", "note"), header=(("", *NAMES[1:]),))),
    Fault(name="names twice", slot="names", change=with_(header=(("size", *NAMES[1:]),)), outcome="refused"),
    Fault(name="long name", slot="names", change=with_(names=("n" * 5000, *NAMES[1:]))),
    Fault(name="spanning names", slot="names",
          change=with_(header=(("", "measured", "", "noted", ""), NAMES),
                       names=("town", "measured size", "measured count", "noted day", "noted note"))),
    Fault(name="units under names", slot="names", change=with_(header=(NAMES, ("-", "kg", "pieces", "date", "text"))),
          outcome="refused"),
    Fault(name="two rows of names", slot="names", change=with_(header=(NAMES, ("Stadt", "Größe", "Anzahl", "Tag", "Notiz"))),
          outcome="refused"),
    Fault(name="no names", slot="names", change=with_(header=()), outcome="refused"),
    Fault(name="names again amid", slot="amid", change=_edit(lambda lines, sheet: [*lines[:4], lines[0], *lines[4:]]),
          outcome="refused", settle=ReadOptions(bad_rows="skip")),
    Fault(name="second table", slot="after",
          change=with_(after=("", ("a", "b"), ("1", "2"))),
          outcome="refused"),
    Fault(name="second table of equal width", slot="after",
          change=with_(after=("", ("a", "b", "c", "d", "e"), ("x", "1", "2", "", ""))),
          outcome="refused"),
    *(
        Fault(name=f"missing as {word}", slot="missing", change=with_(missing=word))
        for word in ("NA", "N/A", "NULL", "nan", "#N/A", "?", "\\N")
    ),
    Fault(name="missing as -", slot="missing", change=lambda sheet: replace(
        _cells(lambda row, place, cell: cell or ("none" if KINDS[place] == "text" else ""))(sheet), missing="-")),
    Fault(name="days first", slot="dates", change=with_(spell_day=_european)),
    Fault(name="months first", slot="dates", change=with_(spell_day=_american)),
    Fault(name="months by name", slot="dates", change=with_(spell_day=_named)),
    Fault(name="dates without dashes", slot="dates", change=with_(spell_day=lambda day: day.replace("-", ""))),
    Fault(name="dates with times", slot="dates", change=with_(spell_day=lambda day: f"{day}T00:00:00Z")),
    Fault(name="dates of two meanings", slot="dates",
          change=lambda sheet: replace(_cells(_early_days)(sheet), spell_day=_european), outcome="refused",
          settle=ReadOptions(date_order="dmy")),
    Fault(name="dollars", slot="units", change=with_(spell_number=lambda number: f"${number}")),
    Fault(name="euros", slot="units", change=with_(spell_number=lambda number: f"{number} €", encoding="utf-8")),
    Fault(name="kilograms", slot="units", change=with_(spell_number=lambda number: f"{number} kg")),
    Fault(name="gzip", slot="pack", change=with_(pack=gzip.compress, ending=".csv.gz")),
    Fault(name="bzip2", slot="pack", change=with_(pack=bz2.compress, ending=".csv.bz2")),
    Fault(name="xz", slot="pack", change=with_(pack=lzma.compress, ending=".tsv.xz")),
)  # fmt: skip


def _at(row: int, change: Callable[[str, Sheet], str]) -> Callable[[Sheet], Sheet]:
    """A change of one line of the table; line 0 holds the names."""
    return _edit(
        lambda lines, sheet: [change(line, sheet) if n == row else line for n, line in enumerate(lines)]
    )


def row_faults() -> Iterator[Fault]:
    """Faults of single rows, in every row and, for quotes, in every column: what Pollock has most of."""
    for row in range(1, len(ROWS) + 1):
        for name, change in (
            ("a cell less", lambda line, sheet: line.rpartition(sheet.delimiter)[0]),
            ("a cell more", lambda line, sheet: line + sheet.delimiter + "more"),
            ("an empty cell more", lambda line, sheet: line + sheet.delimiter),
            ("a delimiter first", lambda line, sheet: sheet.delimiter + line),
            ("another delimiter", lambda line, sheet: line.replace(sheet.delimiter, ";")),
            ("cut off", lambda line, sheet: line[: len(line) // 2]),
        ):
            yield Fault(name=f"row {row}: {name}", slot="row", change=_at(row, change), outcome="not wrong")
        for place in range(len(NAMES)):
            for name, where in (("opening", "first"), ("closing", "last")):

                def misquote(line: str, sheet: Sheet, place: int = place, where: str = where) -> str:
                    cells = line.split(sheet.delimiter)
                    cell = cells[place]
                    cells[place] = sheet.quote + cell if where == "first" else cell + "x" + sheet.quote + "y"
                    return sheet.delimiter.join(cells)

                if where == "last":
                    continue  # a quote inside a word is a letter like others
                yield Fault(name=f"row {row}, column {place + 1}: {name} quote alone", slot="row",
                            change=_at(row, misquote), outcome="not wrong")  # fmt: skip
