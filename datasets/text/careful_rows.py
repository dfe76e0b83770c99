"""Read a text table row by row: accept each row, refuse it with its line, or write it to the rejects file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from xrfm_cli.datasets.cells.decimals import contradiction, forbidden_marks
from xrfm_cli.datasets.dialect import Dialect, ReadOptions
from xrfm_cli.datasets.files.opening import open_bytes
from xrfm_cli.datasets.files.rejects import RejectsFile
from xrfm_cli.datasets.text.encodings import Utf8Stream
from xrfm_cli.datasets.text.quoting import QUOTE_AMID, misses_delimiter, quote_options
from xrfm_cli.datasets.text.records import (
    AFTER_QUOTE,
    COMMENT_OPTIONS,
    OPEN_QUOTE,
    Record,
    Style,
    read_records,
)
from xrfm_cli.datasets.text.row_checks import FOOTER, LastRow, find_contradiction, is_names
from xrfm_cli.errors import FileReadError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.mentions import option
from xrfm_cli.printable import counted
from xrfm_cli.repairs import Repair

_BATCH_ROWS = 8192
# The following rows use that order too, so skipping this row does not help.
REORDERED = "repeats the column names in another order; split the file there"


class _Row(NamedTuple):
    line: int
    cells: list[str]


def careful_batches(
    path: Path, dialect: Dialect, options: ReadOptions, on_event: OnEvent
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file as batches of text, with every row checked."""
    forbidden = forbidden_marks(dialect.decimal, dialect.delimiter)
    last, number, last_line = LastRow(), 0, 0
    for rows in _in_batches(_fitting_rows(path, dialect, options, on_event)):
        columns = zip(*(row.cells for row in rows), strict=True)
        keys = [str(place) for place in range(dialect.width)]
        batch = pa.RecordBatch.from_arrays([pa.array(cells, pa.string()) for cells in columns], names=keys)
        place = find_contradiction(batch, dialect, forbidden)
        if place is not None:
            row, column = rows[place[0]], dialect.names[place[1]]
            fact = contradiction(row.cells[place[1]].strip(), dialect.decimal)
            raise FileReadError(
                f"{path}: row {number + place[0] + 1} (line {row.line}), column '{column}': "
                f"{fact}; give {option('decimal', '.')} or {option('decimal', ',')}"
            )
        last.see(batch)
        number, last_line = number + len(rows), rows[-1].line
        yield batch
    if last.is_doubtful and options.skip_footer is None and number > 1:
        raise FileReadError(
            f"{path}: the last row (line {last_line}) may hold totals, not data; "
            f"{option('skip_footer', 1)} leaves it out, {option('skip_footer', 0)} keeps it"
        )


def _in_batches(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    waiting: list[_Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _BATCH_ROWS:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _fitting_rows(path: Path, dialect: Dialect, options: ReadOptions, on_event: OnEvent) -> Iterator[_Row]:
    """Yield the rows with the right number of cells; count what is skipped."""
    with RejectsFile(path) as rejects, open_bytes(path, dialect.sheet) as raw:
        stream = Utf8Stream(path, raw, dialect.encoding, skip_lines=dialect.skip_lines, is_checked=True)
        lines = io.TextIOWrapper(io.BufferedReader(stream), "utf-8", newline="")
        style = Style(dialect.delimiter, dialect.quote, dialect.escape, dialect.comment, dialect.pads_quotes)
        records = read_records(lines, style, first_line=dialect.skip_lines + 1)
        if options.skip_footer:
            records = _without_last(records, options.skip_footer)
        number = 0
        held: list[tuple[Record, str]] = []  # records that may turn out to be below the table
        after_blank = False
        for record in records:
            if record.is_blank and dialect.width > 1:
                after_blank = True
                continue
            fault = _fault(record, dialect, style)
            if not fault:
                for odd, reason in held:
                    _leave_out(path, odd, reason, number, options, rejects)
                held, after_blank = [], False
                number += 1
                yield _Row(record.line, record.cells)
            elif options.skip_footer is None and _may_be_footer(record, after_blank or bool(held)):
                held.append((record, fault))
            else:
                for odd, reason in [*held, (record, fault)]:
                    _leave_out(path, odd, reason, number, options, rejects)
                held = []
        footer = sum(not record.is_blank for record, _ in held)
    footer = footer or options.skip_footer or 0
    for what, message, count in (
        ("rejected row", f"{path}: rows rejected, written to {rejects.path}", rejects.count),
        ("line under the table", f"{path}: lines below the table skipped", footer),
    ):
        if count:
            repair = Repair("", what, count)  # type: ignore[arg-type]
            on_event(Event(kind="repair", message=message, count=count, repair=repair))


def _fault(record: Record, dialect: Dialect, style: Style) -> str:
    """Explain why a record is not a row of the table; empty if it is one."""
    if record.fault:
        return record.fault
    if record.is_blank:
        return (
            "is empty; in a table of one column it may be a missing cell: write NA there, or remove the line"
        )
    if not dialect.trusts_quotes and misses_delimiter(record, style):
        return f"{QUOTE_AMID} {quote_options(dialect.quote)}"
    found = len(record.cells)
    if found != dialect.width:
        return (
            f"has {counted(found, 'cell')}, but there are {dialect.width} columns "
            f"(delimiter {dialect.delimiter!r}); "
            f"fix the row, give {option('delimiter')}, or skip such rows with {option('bad_rows', 'skip')}"
        )
    cells = [cell.strip() for cell in record.cells]
    if tuple(cells) in dialect.header:
        return f"repeats the column names; remove it, or skip it with {option('bad_rows', 'skip')}"
    if any(is_names(cells, names) for names in dialect.header):
        return REORDERED
    if not dialect.comment and dialect.comment is None and record.lines[0].startswith("#"):
        return f"may be a row or a comment; give {COMMENT_OPTIONS}"
    if len(record.lines) > 1 and dialect.width > 2 and not dialect.trusts_quotes:
        counts = {line.count(dialect.delimiter) for line in record.lines}
        if counts == {dialect.width - 1}:
            return (
                f"holds {len(record.lines)} lines between quotes that look like separate rows; fix the "
                f"quotes, or give {quote_options(dialect.quote)}"
            )
    if dialect.quote and not dialect.pads_quotes:
        for cell in record.cells:
            if (
                cell[:1] in " \t"
                and cell.lstrip().startswith(dialect.quote)
                and cell.strip()[1:].endswith(dialect.quote)
            ):
                return "has blanks before a quote; remove them"
    return ""


def _may_be_footer(record: Record, is_apart: bool) -> bool:
    """Return whether a record has one cell, and follows an empty line or begins with typical footer words."""
    if record.is_blank:
        return True
    if record.fault or record.filled > 1:
        return False
    return is_apart or re.match(FOOTER, record.lines[0].strip()) is not None


def _leave_out(
    path: Path, record: Record, reason: str, number: int, options: ReadOptions, rejects: RejectsFile
) -> None:
    """Reject a record, or stop with an error."""
    if options.bad_rows == "skip" and reason != REORDERED:
        rejects.add(record.line, reason.partition("; ")[0], "".join(record.lines).rstrip("\r\n"))
        return
    verb = ": " if reason.startswith((OPEN_QUOTE, AFTER_QUOTE, QUOTE_AMID)) else " "
    raise FileReadError(f"{path}: row {number + 1} (line {record.line}){verb}{reason}")


def _without_last(records: Iterator[Record], count: int) -> Iterator[Record]:
    """Yield all non-blank records but the last ``count``."""
    waiting: list[Record] = []
    for record in records:
        if record.is_blank:
            continue
        waiting.append(record)
        if len(waiting) > count:
            yield waiting.pop(0)
