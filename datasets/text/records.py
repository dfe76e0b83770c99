"""Split text into records: rows of cells with their line numbers."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from xrfm_cli.mentions import option

_LONGEST_CELL = 256 << 20  # characters
_MOST_LINES = 5000  # of one record; more come from an unclosed quote

OPEN_QUOTE = (
    "a quote is opened and not closed; close or double it, or give "
    f"{option('quote', 'none')} if nothing is quoted"
)
AFTER_QUOTE = (
    "text follows a closing quote; double the quotes inside a cell, or give "
    f"{option('quote')} or {option('escape')}"
)
COMMENT_OPTIONS = f"{option('comment', '#')} or {option('comment', 'none')}"


class Record(NamedTuple):
    """A row of a text table; if there is a fault, ``cells`` is not reliable."""

    line: int  # its first line, from 1
    cells: list[str]
    lines: tuple[str, ...]  # as in the file
    fault: str = ""

    @property
    def is_blank(self) -> bool:
        """Return whether the line is empty or holds only blanks."""
        return not self.fault and (not self.cells or (len(self.cells) == 1 and not self.cells[0].strip()))

    @property
    def filled(self) -> int:
        """Return the number of cells that are not blank."""
        return sum(1 for cell in self.cells if cell.strip())


class Style(NamedTuple):
    """The options for splitting lines into cells."""

    delimiter: str
    quote: str = '"'
    escape: str = ""
    comment: str | None = ""
    pads_quotes: bool = False


def read_records(lines: Iterable[str], style: Style, *, first_line: int = 1) -> Iterator[Record]:
    r"""Yield all records of ``lines``, which keep their line ends; comment lines are skipped.

    A quote that is never closed affects only its own line: reading continues with the next one.

    >>> [(record.line, record.cells) for record in read_records(["a,b\n", '"1\n', '2",3\n'], Style(","))]
    [(1, ['a', 'b']), (2, ['1\n2', '3'])]
    """
    source = _Lines(lines, style, first_line)
    while True:
        reader = _csv_reader(source, style)
        try:
            while source.begin():
                start = source.number + 1
                yield Record(start, next(reader), tuple(source.taken))
            return
        except (csv.Error, _EndlessRecordError) as error:
            is_open = isinstance(error, _EndlessRecordError) or "expected after" not in str(error)
            taken = source.taken
            source.give_back(taken[1:])
            yield Record(start, [], (taken[0],), OPEN_QUOTE if is_open else AFTER_QUOTE)
        except StopIteration:
            return


def _csv_reader(source: Iterable[str], style: Style) -> Iterator[list[str]]:
    """Return the standard library's reader; an empty quote means that nothing is quoted."""
    csv.field_size_limit(_LONGEST_CELL)
    return csv.reader(
        source,
        delimiter=style.delimiter,
        quotechar=style.quote or None,
        quoting=csv.QUOTE_MINIMAL if style.quote else csv.QUOTE_NONE,
        escapechar=style.escape or None,
        skipinitialspace=style.pads_quotes,
        strict=True,
    )


class _EndlessRecordError(Exception):
    """A record spans more lines than any cell has."""


class _Lines:
    """Lines one by one, which remembers those of the current record and can go back."""

    def __init__(self, lines: Iterable[str], style: Style, first_line: int) -> None:
        self._lines, self._waiting = iter(lines), deque[str]()
        self._comment, self._tidy = style.comment, _tidier(style)
        self.number, self.taken = first_line - 1, list[str]()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _MOST_LINES:
            raise _EndlessRecordError
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line if self._tidy is None else self._tidy(line)

    def begin(self) -> bool:
        """Go to the next record; return False at the end."""
        self.taken = []
        for line in self._lines if not self._waiting else ():
            self._waiting.append(line)
            break
        while self._comment and self._waiting and self._waiting[0].startswith(self._comment):
            self._waiting.popleft()
            self.number += 1
            if not self._waiting:
                self._waiting.extend([line for line in [next(self._lines, None)] if line is not None])
        return bool(self._waiting)

    def give_back(self, lines: list[str]) -> None:
        """Put lines back to be read again."""
        self._waiting.extendleft(reversed(lines))
        self.number -= len(lines)


def _tidier(style: Style) -> Callable[[str], str] | None:
    """Return a function that prepares a line for the standard library's reader, or None if none is needed."""
    mark, quote = re.escape(style.delimiter), re.escape(style.quote)
    changes: list[tuple[re.Pattern[str], str]] = []
    if style.pads_quotes and quote:
        changes.append((re.compile(rf"(?<!{quote}){quote}(?!{quote})[ \t]+(?={mark}|[\r\n]|$)"), style.quote))
    if style.escape:  # databases write \N for a missing cell
        changes.append(
            (re.compile(rf"(?:(?<=^)|(?<={mark})){re.escape(style.escape)}N(?={mark}|[\r\n]|$)"), "")
        )
    if not changes:
        return None

    def tidy(line: str) -> str:
        for pattern, wanted in changes:
            line = pattern.sub(wanted, line)
        return line

    return tidy
