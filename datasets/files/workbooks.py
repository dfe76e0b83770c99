"""Read a sheet of an Excel or LibreOffice workbook as CSV, so that cells have the same meaning."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrfm_cli.errors import EmptyFileError, FileReadError, OptionError, did_you_mean

WORKBOOK_ENDINGS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
EXACT_DIGITS = 15  # of a number in Excel


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One sheet of a workbook."""

    name: str
    others: tuple[str, ...]
    text: bytes  # CSV in UTF-8


def is_workbook(path: Path) -> bool:
    """Return whether the name of a file ends as a workbook's.

    >>> is_workbook(Path("sales.XLSX")), is_workbook(Path("sales.csv"))
    (True, False)
    """
    return path.suffix.lower() in WORKBOOK_ENDINGS


def read_sheet(path: Path, name: str | None = None) -> Sheet:
    """Return a sheet by its name or its number from 1; by default the first one."""
    status = path.stat()
    return _read(path, name, (status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=1)  # the start of a table is read before the table
def _read(path: Path, name: str | None, status: tuple[int, int]) -> Sheet:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise FileReadError(
            f"{path}: Excel files need python-calamine: pip install 'xrfm-cli[excel]', or save it as CSV"
        ) from None
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            names = list(workbook.sheet_names)
            chosen = _choose(path, names, name)
            rows = workbook.get_sheet_by_name(chosen).to_python(skip_empty_area=True)
    except CalamineError as fault:
        raise FileReadError(
            f"{path}: cannot be read as a workbook: {fault}; save the sheet as CSV"
        ) from fault
    if not rows:
        raise EmptyFileError(f"{path}: the sheet '{chosen}' is empty")
    others = tuple(other for other in names if other != chosen)
    return Sheet(name=chosen, others=others, text=_as_csv(rows))


def _choose(path: Path, names: Sequence[str], name: str | None) -> str:
    if name is None or name in names:
        return names[0] if name is None else name
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return names[int(name) - 1]
    raise OptionError(f"{path}: no sheet '{name}'; there are {', '.join(names)}.{did_you_mean(name, names)}")


def _as_csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_titles_alone(list(map(_cell, row)) for row in rows))
    return text.getvalue().encode("utf-8", "backslashreplace")


def _titles_alone(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield the rows; single cells above the table have no empty cells beside them, as titles of a CSV."""
    has_begun = False
    for row in rows:
        has_begun = has_begun or len(row) <= 2 or sum(map(bool, row)) > 1
        yield row if has_begun else [cell for cell in row if cell] or [""]


def _cell(value: Any) -> str:
    """Return a cell as CSV has it.

    >>> [_cell(value) for value in (3.0, 0.1, True, "007", dt.date(2024, 1, 2), dt.timedelta(hours=30), "")]
    ['3', '0.1', 'True', '007', '2024-01-02', '1 days 06:00:00', '']
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**EXACT_DIGITS:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):  # as pandas writes it
        rest = value - dt.timedelta(days=value.days)
        return f"{value.days} days {dt.datetime.min + rest:%H:%M:%S.%f}".removesuffix(".000000")
    return str(value)
