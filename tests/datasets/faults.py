"""The faults of the corpus.

They are those of Pollock (Vitagliano et al., VLDB 2023), of csv-spectrum and of the usual test collections of
CSV parsers, and spellings of numbers, dates and missing cells beside.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.datasets.corpus import KINDS, NAMES, ROWS, Fault, Row, Sheet, with_
from xrfm_cli.datasets import ReadOptions

Change = Callable[[Sheet], Sheet]


def right(name: str, slot: str, change: Change) -> Fault:
    """Return a fault with which the file must be read correctly."""
    return Fault(name=name, slot=slot, change=change)


def refused(name: str, slot: str, change: Change, settle: ReadOptions | None = None) -> Fault:
    """Return a fault that makes a file ambiguous; with ``settle`` it is read correctly."""
    return Fault(name=name, slot=slot, change=change, outcome="refused", settle=settle)


def unsure(name: str, slot: str, change: Change, settle: ReadOptions | None = None) -> Fault:
    """Return a fault with which the file may be read correctly or refused."""
    return Fault(name=name, slot=slot, change=change, outcome="not wrong", settle=settle)


def of_cells(change: Callable[[int, int, str], str]) -> Change:
    """Return a change of single cells by (row, column, cell)."""

    def apply(sheet: Sheet) -> Sheet:
        rows = (
            tuple(change(row, place, cell) for place, cell in enumerate(cells))
            for row, cells in enumerate(sheet.rows)
        )
        return replace(sheet, rows=tuple(rows))

    return apply


def of_lines(change: Callable[[list[str], Sheet], list[str]]) -> Change:
    """Return a change of the lines of the table, names first, after all earlier changes."""

    def apply(sheet: Sheet) -> Sheet:
        before = sheet.edit
        return replace(sheet, edit=lambda lines: change(before(lines), sheet))

    return apply


def both(one: Change, other: Change) -> Change:
    return lambda sheet: other(one(sheet))


def of_notes(change: Callable[[str], str]) -> Change:
    """Return a change of every third cell of the last column."""
    return of_cells(lambda row, place, cell: change(cell) if place == 4 and row % 3 == 0 else cell)


def without(signs: str) -> Change:
    """Return a change that removes these characters from text cells."""
    return of_cells(
        lambda row, place, cell: (
            "".join(sign for sign in cell if sign not in signs) if KINDS[place] == "text" else cell
        )
    )


def spelled(template: str) -> Callable[[str], str]:
    """Return a function that formats an ISO date with ``y``, ``m``, ``d``, ``name`` and ``short``."""
    names = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

    def spell(day: str) -> str:
        year, month, date = day.split("-")
        return template.format(y=year, m=month, d=date, name=names[int(month) - 1], short=year[2:])

    return spell


def early_days(row: int, place: int, cell: str) -> str:
    """Replace dates with unsorted ones whose days are at most 12."""
    if KINDS[place] != "date" or not cell:
        return cell
    return f"20{(row * 5) % 12 + 10}-{(row * 5) % 12 + 1:02}-{(row * 7) % 12 + 1:02}"


def three_digits(row: int, place: int, cell: str) -> str:
    """Replace numbers with ones of three decimals, none below one: they could be thousands."""
    if KINDS[place] != "number":
        return cell
    return f"{row + 1}.{125 + row}" if place == 1 else f"{row % 3}"


def header(*rows: Row, names: Row = NAMES) -> Change:
    return with_(header=rows, names=names)


TITLE = "Report of the year"
GERMAN = ("Stadt", "Größe", "Anzahl", "Tag", "Notiz")
FILES: tuple[Fault, ...] = (
    *(right(f"delimiter {m!r}", "delimiter", with_(delimiter=m)) for m in (";", "\t", "|")),
    *(unsure(f"delimiter {m!r}", "delimiter", with_(delimiter=m), ReadOptions(delimiter=m)) for m in "^:~"),
    unsure("delimiter ' '", "delimiter", with_(delimiter=" "), ReadOptions(delimiter=" ")),
    right("blanks after delimiters", "pad", with_(pad=" ")),
    right("quotes everywhere", "quote", with_(quotes_all=True)),
    right("single quotes", "quote", with_(quote="'", quotes_all=True)),
    right("backslashes before quotes", "quote", with_(escape="\\")),
    unsure(
        "backslashes before delimiters",
        "quote",
        both(without('"'), with_(quote="", escape="\\")),
        ReadOptions(quote="", escape="\\"),
    ),
    right("no quotes needed", "cells", without(',";|')),
    right("CRLF", "line end", with_(line_end="\r\n")),
    right("CR", "line end", with_(line_end="\r")),
    right("no last line end", "end", with_(ends_line=False)),
    right("empty lines at the end", "after", with_(after=("", "", ""))),
    right("empty lines amid", "amid", with_(amid=((2, ""), (5, "")))),
    right("lines of blanks amid", "amid", with_(amid=((2, "  "), (5, "   ")))),
    *(
        right(f"encoding {name}", "encoding", with_(encoding=name))
        for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252")
    ),
    *(
        unsure(f"encoding {name}", "encoding", with_(encoding=name), ReadOptions(encoding=name))
        for name in ("mac_roman", "cp850")
    ),
    right("gzip", "pack", with_(pack=gzip.compress, ending=".csv.gz")),
    right("bzip2", "pack", with_(pack=bz2.compress, ending=".csv.bz2")),
    right("xz", "pack", with_(pack=lzma.compress, ending=".tsv.xz")),
)
AROUND: tuple[Fault, ...] = (
    right("title", "before", with_(before=(TITLE,))),
    right("title and empty line", "before", with_(before=(TITLE, ""))),
    right("remarks", "before", with_(before=(TITLE, "Source: office", "", "Printed by hand", ""))),
    right("padded title", "before", with_(before=((TITLE, "", "", "", ""),))),
    right("comments first", "before", with_(before=("# by a script", "# version 2, final"))),
    right("sep=", "before", with_(names_delimiter=True)),
    refused(
        "table before",
        "before",
        with_(before=(("a", "b", "c"), ("1", "2", "3"), ("4", "5", "6"), "")),
        ReadOptions(skip_rows=4),
    ),
    right("comments amid", "amid", with_(amid=((1, "# a remark"), (4, "# another")))),
    right("number of rows after", "after", with_(after=("(8 rows)",))),
    right("source after an empty line", "after", with_(after=("", "Source: the office"))),
    refused("totals after", "after", with_(after=(("Total", "9", "9", "", ""),)), ReadOptions(skip_footer=1)),
    refused(
        "padded remark after",
        "after",
        with_(after=(("Source: office", "", "", "", ""),)),
        ReadOptions(skip_footer=1),
    ),
    unsure("second table, narrower", "after", with_(after=("", ("a", "b"), ("1", "2")))),
    refused(
        "second table, wider", "after", with_(after=("", ("a", "b", "c", "d", "e", "f"), tuple("123456")))
    ),
    refused("second table, as wide", "after", with_(after=("", tuple("abcde"), ("x", "1", "2", "", "")))),
    refused(
        "names again",
        "amid",
        of_lines(lambda lines, sheet: [*lines[:4], lines[0], *lines[4:]]),
        ReadOptions(bad_rows="skip"),
    ),
)
HEADERS: tuple[Fault, ...] = (
    right("delimiters in names", "names", with_(names=("town, part; a|b", *NAMES[1:]))),
    right("lines in names", "names", with_(names=("town", "size\n[m]", *NAMES[2:]))),
    right("empty name", "names", header(("", *NAMES[1:]), names=("Unnamed: 0", *NAMES[1:]))),
    right("long name", "names", with_(names=("n" * 5000, *NAMES[1:]))),
    right("blanks in names", "names", header(tuple(f" {name} " for name in NAMES))),
    right(
        "spanning names",
        "names",
        header(
            ("", "measured", "", "noted", ""),
            NAMES,
            names=("town", "measured size", "measured count", "noted day", "noted note"),
        ),
    ),
    right("a line of dashes under the names", "names", header(NAMES, ("----",) * len(NAMES))),
    refused("names twice", "names", header(("size", *NAMES[1:]))),
    refused("units under names", "names", header(NAMES, ("-", "kg", "pieces", "date", "text"))),
    refused("two rows of names", "names", header(NAMES, GERMAN)),
    refused(
        "three rows of names", "names", header(NAMES, GERMAN, ("ville", "taille", "nombre", "jour", "mot"))
    ),
    refused("no names", "names", header()),
    refused("only names", "alone", with_(rows=())),
    right("two rows", "alone", lambda sheet: replace(sheet, rows=sheet.rows[:2])),
)
CELLS: tuple[Fault, ...] = (
    right("decimal comma", "decimal", with_(decimal=",")),
    right("decimal comma, points between groups", "decimal", with_(decimal=",", groups=".")),
    *(
        right(f"{name} between groups", "decimal", with_(groups=sign))
        for name, sign in (
            ("commas", ","),
            ("blanks", " "),
            ("narrow blanks", "\u202f"),
            ("apostrophes", "’"),
        )
    ),
    refused(
        "decimal mark of two meanings",
        "decimal",
        both(of_cells(three_digits), with_(decimal=",")),
        ReadOptions(decimal=","),
    ),
    right("cells of several lines", "cells", of_notes(lambda cell: f"{cell}\nand more")),
    right("cells of several lines of Windows", "cells", of_notes(lambda cell: f"{cell}\r\nand more")),
    right("JSON in cells", "cells", of_notes(lambda cell: '{"a": [1, 2], "b": "c, d"}')),
    right("quotes in cells", "cells", of_notes(lambda cell: f'"{cell}" and "" more"')),
    right("blanks around cells", "cells", of_cells(lambda r, place, c: f"  {c} " if place == 0 else c)),
    right("long cell", "cells", of_notes(lambda cell: "x" * 20_000)),
    right("#-signs inside", "cells", of_notes(lambda cell: f"{cell} #1")),
    *(
        right(f"missing as {word}", "missing", with_(missing=word))
        for word in ("NA", "N/A", "NULL", "null", "nan", "NaN", "#N/A", "?", "\\N", "#DIV/0!", "<NA>")
    ),
    *(
        right(f"missing as {word}", "missing", with_(missing=word, missing_text=""))
        for word in ("-", "--", ".", "None", "n.a.")
    ),
    right("31.01.2023", "dates", with_(spell_day=spelled("{d}.{m}.{y}"))),
    right("31/01/2023", "dates", with_(spell_day=spelled("{d}/{m}/{y}"))),
    right("01/31/2023", "dates", with_(spell_day=spelled("{m}/{d}/{y}"))),
    right("31 Jan 2023", "dates", with_(spell_day=spelled("{d} {name} {y}"))),
    right("Jan 31, 2023", "dates", with_(spell_day=spelled("{name} {d}, {y}"))),
    right("2023/01/31", "dates", with_(spell_day=spelled("{y}/{m}/{d}"))),
    right("20230131", "dates", with_(spell_day=spelled("{y}{m}{d}"))),
    right("2023-01-31 12:00 AM", "dates", with_(spell_day=spelled("{y}-{m}-{d} 12:00\u202fAM"))),
    right("2023-01-31T00:00:00Z", "dates", with_(spell_day=spelled("{y}-{m}-{d}T00:00:00Z"))),
    right("2023-01-31 01:00+01:00", "dates", with_(spell_day=spelled("{y}-{m}-{d} 01:00:00+01:00"))),
    refused(
        "dates of two meanings",
        "dates",
        both(of_cells(early_days), with_(spell_day=spelled("{d}.{m}.{y}"))),
        ReadOptions(date_order="dmy"),
    ),
    refused(
        "dates of three meanings",
        "dates",
        both(of_cells(early_days), with_(spell_day=spelled("{short}-{m}-{d}"))),
        ReadOptions(date_order="ymd"),
    ),
    right("$5", "units", with_(spell_number=lambda number: f"${number}")),
    right("R$ 5", "units", with_(spell_number=lambda number: f"R$ {number}")),
    right(
        "negative numbers in brackets",
        "units",
        with_(spell_number=lambda number: f"({number[1:]})" if number.startswith("-") else number),
    ),
    right(
        "a minus after the number",
        "units",
        with_(spell_number=lambda number: f"{number[1:]}-" if number.startswith("-") else number),
    ),
    right("5 €", "units", with_(spell_number=lambda number: f"{number} €")),
    right("5kg", "units", with_(spell_number=lambda number: f"{number}kg")),
    right("5 %", "units", with_(spell_number=lambda number: f"{number} %")),
    right("a minus sign of print", "units", with_(spell_number=lambda number: number.replace("-", "\u2212"))),
)
FAULTS = (*FILES, *AROUND, *HEADERS, *CELLS)


def row_faults() -> Iterator[Fault]:
    """Return faults of single rows and cells in every place, as in most of Pollock's files."""
    changes: tuple[tuple[str, Callable[[str, Sheet], str]], ...] = (
        ("a cell less", lambda line, sheet: line.rpartition(sheet.delimiter)[0]),
        ("a cell more", lambda line, sheet: line + sheet.delimiter + "more"),
        ("an empty cell more", lambda line, sheet: line + sheet.delimiter),
        ("a delimiter first", lambda line, sheet: sheet.delimiter + line),
        ("another delimiter", lambda line, sheet: line.replace(sheet.delimiter, "\t")),
        ("no delimiter before quotes", lambda line, sheet: line.replace(sheet.delimiter + '"', '"')),
        (
            "a blank for a delimiter before quotes",
            lambda line, sheet: line.replace(sheet.delimiter + '"', ' "'),
        ),
        ("cut off", lambda line, sheet: line[: len(line) // 2]),
        ("joined to the next", lambda line, sheet: line + sheet.delimiter + line),
    )
    for row in range(1, len(ROWS) + 1):
        for name, change in changes:
            yield unsure(f"row {row}: {name}", "row", _at(row, change))
        for place in range(len(NAMES)):
            yield unsure(f"row {row}, column {place + 1}: a quote alone", "row", _at(row, _misquoted(place)))


def _at(row: int, change: Callable[[str, Sheet], str]) -> Change:
    """Return a change of one line of the table; line 0 holds the names."""
    return of_lines(
        lambda lines, sheet: [change(line, sheet) if n == row else line for n, line in enumerate(lines)]
    )


def _misquoted(place: int) -> Callable[[str, Sheet], str]:
    """Return a line with a quote before a cell that has none."""

    def change(line: str, sheet: Sheet) -> str:
        cells = line.split(sheet.delimiter)
        cells[place] = sheet.quote + cells[place]
        return sheet.delimiter.join(cells)

    return change
