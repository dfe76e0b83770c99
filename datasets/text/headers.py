"""Find where a table begins and its column names; refuse rows that may be either names or data."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xrfm_cli.datasets.cells.decimals import is_missing_word, is_number_like
from xrfm_cli.datasets.column_names import check_names, tidy_name
from xrfm_cli.datasets.dialect import ReadOptions
from xrfm_cli.datasets.text.records import Record
from xrfm_cli.errors import FileReadError
from xrfm_cli.mentions import option
from xrfm_cli.printable import counted

_MOST_PREAMBLE_RECORDS = 30
_LEAST_LEVEL_ROWS = 10  # with fewer rows, a level may be absent
_RULER = re.compile(r"(?=.*(?:-{3}|={3}))[-=+|:,;\s]+")
_COUNTED = re.compile(r"\(\d{1,2}\)")  # a name such as (1), not a negative number
# R omits the name above the row names; other programs end every line but the first with a delimiter.
_NAME_HINT = (
    "if it is the header, add the missing name, or remove the delimiter from the ends of the other "
    "lines; if not, "
)
_DATE_LIKE = re.compile(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The column names, from header rows that end on ``last_line``."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # as in the file, without blanks around cells
    last_line: int
    has_ruler: bool = False  # a line of dashes follows the names


def find_table_start(path: Path, records: Sequence[Record], width: int) -> int:
    """Return the index of the first record of the table, after any lines with a title or remarks.

    A record is such a line if it has at most one filled cell, or two when the table has at least four
    columns. Raises `FileReadError` if other records of another width come first.
    """
    if width < 2:
        return 0
    first = next((place for place, record in enumerate(records) if _is_row(record, width)), 0)
    if first + 1 < len(records) and width > 2 and records[first].filled == 1:
        after = records[first + 1 :]  # a title that a spreadsheet padded with delimiters
        title = next((place for place, record in enumerate(after) if record.filled != 1), None)
        if title is not None and _is_row(after[title], width) and after[title].filled >= width - 1:
            first += title + 1
    before = records[:first]
    remarks = [
        record
        for record in before
        if not record.fault and (record.filled <= 1 or (record.filled == 2 and width >= 4))
    ]
    if len(remarks) < len(before) or len(before) > min(_MOST_PREAMBLE_RECORDS, len(records) - len(before)):
        odd = next((record for record in before if record not in remarks), before[0])
        if len(before) <= 0.5 * len(records):
            lacks_name = odd is before[-1] and len(odd.cells) == width - 1
            raise FileReadError(
                f"{path}: line {odd.line} has {counted(len(odd.cells), 'cell')}, most have {width}; "
                + (_NAME_HINT if lacks_name else "")
                + f"{option('skip_rows')} gives the number of lines to skip before the header, 0 if "
                "there are none"
            )
        return 0
    return first


def _is_row(record: Record, width: int) -> bool:
    return not record.fault and len(record.cells) == width


def find_header(
    path: Path, records: Sequence[Record], width: int, options: ReadOptions, after_blank: Collection[int]
) -> Header:
    """Find the column names in the first ``records`` that belong to the table.

    Raises `FileReadError` if the first row may be data, or later rows more names, unless the options give the
    number of header rows. ``after_blank`` holds the lines that follow an empty line.
    """
    rows = [record for record in records if _is_row(record, width) and not _is_ruler(record)]
    if not rows:
        raise FileReadError(f"{path}: line {records[0].line}: {records[0].fault}")
    if options.header_rows is not None:
        count = options.header_rows
        if count > len(rows):
            raise FileReadError(
                f"{path}: has {counted(len(rows), 'row')}, fewer than the {count} header rows"
            )
    else:
        count = _count_header_rows(path, rows, after_blank)
    names = _joined_names([row.cells for row in rows[:count]], width)
    check_names(str(path), names)
    last_line = rows[count - 1].line + len(rows[count - 1].lines) - 1 if count else 0
    below = next((record for record in records if record.line > last_line), None)
    has_ruler = count > 0 and below is not None and _is_ruler(below)
    return Header(
        names=names,
        rows=tuple(tuple(_stripped(row)) for row in rows[:count]),
        last_line=below.line if has_ruler and below is not None else last_line,
        has_ruler=has_ruler,
    )


def _is_ruler(record: Record) -> bool:
    """Return whether a record is a line of dashes, as databases print it below the header."""
    return len(record.lines) == 1 and _RULER.fullmatch(record.lines[0].strip()) is not None


def _joined_names(rows: Sequence[Sequence[str]], width: int) -> tuple[str, ...]:
    """Return one name per column: empty names are numbered, names of several rows are joined by blanks."""
    if not rows:
        return tuple(f"column {place + 1}" for place in range(width))
    filled = [list(row) for row in rows]
    for row in filled[:-1]:  # a name that spans several columns is in the first of them
        for place in range(1, width):
            row[place] = row[place].strip() or row[place - 1].strip()
    joined = []
    for place in range(width):
        parts = dict.fromkeys(
            " ".join(row[place].split()) if len(rows) > 1 else tidy_name(row[place]) for row in filled
        )
        joined.append(" ".join(part for part in parts if part) or f"Unnamed: {place}")
    return tuple(joined)


def _count_header_rows(path: Path, rows: Sequence[Record], after_blank: Collection[int]) -> int:
    """Return the number of header rows: 1, or 2 if names in the first row span columns."""
    header, names = rows[0], _stripped(rows[0])
    data = [row for row in rows[1:] if _stripped(row) != names]  # repeated headers are refused later
    if not data:
        return 1
    numeric = _numeric_places(data)
    labels = next((place for place, row in enumerate(data) if not _is_label_row(row, numeric)), len(data))
    for row in data[labels:]:
        stands_out = len(numeric) > 1 or row.line in after_blank
        if stands_out and _is_label_row(row, numeric):
            raise FileReadError(
                f"{path}: line {row.line} looks like a header among data rows; if the table begins "
                f"there, give {option('skip_rows', row.line - 1)}, if it is data, {option('header_rows', 1)}"
            )
    if 0 < labels < len(data):
        spans = 2 <= header.filled < len(header.cells) or _has_repeats(header.cells)
        joined = _joined_names([header.cells, data[0].cells], len(header.cells))
        if labels == 1 and spans and len(set(joined)) == len(joined):
            return 2
        raise FileReadError(
            f"{path}: line {data[0].line} may be column names or units, not data; give "
            f"{option('header_rows', labels + 1)} if it is, 1 if it is data "
            f"(or {option('skip_rows')} if the table begins later)"
        )
    for fact in _data_in_header(names, data, frozenset(numeric)):
        raise FileReadError(
            f"{path}: line {header.line} may be data, not a header: {fact}; give "
            f"{option('header_rows', 0)} if it is data, 1 if it is the header"
        )
    return 1


def _numeric_places(rows: Sequence[Record]) -> tuple[int, ...]:
    """Return the columns with at least two numbers that are also most of the non-missing cells."""
    found = []
    for place in range(len(rows[0].cells)):
        cells = [row.cells[place] for row in rows if not is_missing_word(row.cells[place])]
        numbers = sum(is_number_like(cell) for cell in cells)
        if numbers >= 2 and numbers > 0.5 * len(cells):
            found.append(place)
    return tuple(found)


def _is_label_row(row: Record, numeric: Sequence[int]) -> bool:
    """Return whether a row has words where other rows have numbers, and no number or missing cell there."""
    if not numeric or any(is_number_like(cell) for cell in row.cells):
        return False
    words = [place for place in numeric if not is_missing_word(row.cells[place])]
    return len(words) == len(numeric) or (len(words) > 0 and len(words) == row.filled and len(numeric) > 1)


def _has_repeats(cells: Sequence[str]) -> bool:
    present = [cell.strip() for cell in cells if cell.strip()]
    return len(set(present)) < len(present)


def _data_in_header(names: Sequence[str], data: Sequence[Record], numeric: Collection[int]) -> Iterator[str]:
    """Yield evidence that a header row is data: a number over numbers, a date, a value of its own column."""
    odd = [
        place
        for place, name in enumerate(names)
        if (
            is_number_like(name)
            and not _COUNTED.fullmatch(name)
            and (place in numeric or len(data) == 1)
            and _has_unit_of(name, [row.cells[place] for row in data])
        )
        or _DATE_LIKE.match(name)
    ]
    if odd and not _is_series([names[place] for place in odd], [row.cells[odd[0]] for row in data]):
        yield f"it has '{names[odd[0]]}' in column {odd[0] + 1}"
    again = [place for place, name in enumerate(names) if name and _line_with(name, data, place)]
    again = [place for place in again if not is_number_like(names[place])]
    if len(again) > sum(_is_apart(names[place], data, place, numeric) for place in range(len(names))):
        line = _line_with(names[again[0]], data, again[0])
        yield f"'{names[again[0]]}' is a value of its own column in line {line} too"


def _line_with(name: str, data: Sequence[Record], place: int) -> int:
    """Return the line of the first row with this name in the same column; 0 if there is none."""
    return next((row.line for row in data if row.cells[place].strip() == name), 0)


def _is_apart(name: str, data: Sequence[Record], place: int, numeric: Collection[int]) -> bool:
    """Return whether a name differs in kind from the cells below: a word over numbers or repeated levels."""
    if not name or is_missing_word(name):
        return False
    if place in numeric:
        return not is_number_like(name)
    levels = {row.cells[place].strip() for row in data}
    return name not in levels and len(data) >= _LEAST_LEVEL_ROWS and len(levels) <= 0.5 * len(data)


def _has_unit_of(name: str, below: Sequence[str]) -> bool:
    """Return whether a name such as 5 or 5 kg fits the cells below; 2nd and 3P% over plain numbers do not."""
    letters = re.sub(r"[^A-Za-z]", "", name)
    return any(letters in cell for cell in below)


def _stripped(record: Record) -> list[str]:
    return [cell.strip() for cell in record.cells]


def _is_series(names: Sequence[str], below: Sequence[str]) -> bool:
    """Return whether names count the columns from 0, or are years over cells that are not years.

    >>> _is_series(["0", "1", "2"], ["5"]), _is_series(["1990", "1995"], ["3.5"])
    (True, True)
    """
    if not all(re.fullmatch(r"\d{1,6}", name) for name in names):
        return False
    values = [int(name) for name in names]
    if values == list(range(len(values))) and len(values) > 2:
        return True
    are_years = all(1900 <= value <= 2100 for value in values)
    return are_years and values == sorted(set(values)) and not all(_is_year(cell) for cell in below)


def _is_year(cell: str) -> bool:
    return re.fullmatch(r"(?:19|20)\d\d|2100", cell.strip()) is not None
