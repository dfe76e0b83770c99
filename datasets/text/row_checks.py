"""Checks while Arrow parses, such as misplaced quotes, repeated names, totals and the other decimal mark."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.decimals import forbidden_marks
from xrfm_cli.datasets.cells.values import to_mask
from xrfm_cli.datasets.dialect import Dialect

_TOTAL = r"(?i)^\s*(?:grand\s+)?(?:totals?|sum|summe|gesamt|insgesamt|average|mean)\s*:?\s*$"
# How footer lines below a table begin.
FOOTER = (
    r"(?i)^[\W_]*(?:totals?|sum|sources?|notes?|end|eof|generated|exported|created|report|copyright|©|page"
    r"|\(?\d+\s+(?:rows?|records?|lines?))\b|^[#*]|^[-+|=]{3,}\s*$"
)
_OVERLAP = 64  # bytes of the previous block that a pattern may need


class RowChecks:
    """Check the bytes and the batches of one file; anything ambiguous is left to the careful reader."""

    def __init__(self, dialect: Dialect, *, keeps_last: bool) -> None:
        self._dialect, self._keeps_last = dialect, keeps_last
        self._forbidden = forbidden_marks(dialect.decimal, dialect.delimiter)
        self._odd_quotes = _odd_quotes(dialect)
        self._quote = dialect.quote.encode()
        self._tail = b""
        self._quotes, self._has_odd_quotes = 0, False
        self._last = LastRow()

    def see(self, data: bytes) -> None:
        """Check bytes before Arrow parses them."""
        if not self._quote:
            return
        count = data.count(self._quote)
        self._quotes += count
        if count and not self._has_odd_quotes:
            seen = self._tail + data
            self._has_odd_quotes = any(pattern.search(seen) for pattern in self._odd_quotes)
        self._tail = data[-_OVERLAP:] or self._tail

    def doubts(self, batch: pa.RecordBatch) -> bool:
        """Return whether a batch holds something ambiguous."""
        if self._has_odd_quotes or any(_holds_names(batch, row) for row in self._dialect.header):
            return True
        if self._quotes and not self._dialect.trusts_quotes and _has_rows_in_cells(batch, self._dialect):
            return True
        first = batch.column(0)
        if self._dialect.comment != "":
            sign = self._dialect.comment or "#"
            if _may_hold(first, sign) and pc.any(pc.starts_with(first, sign)).as_py():
                return True
        if not self._keeps_last:
            self._last.see(batch)
        return bool(find_contradiction(batch, self._dialect, self._forbidden) is not None)

    def doubts_end(self) -> bool:
        """Return whether the file ends with an open quote, or with a row that may hold totals."""
        return self._quotes % 2 == 1 or self._last.is_doubtful


class LastRow:
    """Whether the last row may not be data."""

    def __init__(self) -> None:
        self._totals = 0
        self._row: pa.RecordBatch | None = None

    def see(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        if batch.num_rows:
            self._totals += int(to_mask(pc.match_substring_regex(batch.column(0), _TOTAL)).sum())
            self._row = batch.slice(batch.num_rows - 1)

    @property
    def is_doubtful(self) -> bool:
        """Return whether the last row seen may not be data."""
        if self._row is None:
            return False
        last = [column[0].as_py() for column in self._row.columns]
        is_total = re.match(_TOTAL, last[0]) is not None
        is_remark = len(last) > 2 and not any(last[1:]) and re.match(FOOTER, last[0]) is not None
        return (is_total and self._totals == 1) or is_remark


def find_contradiction(batch: pa.RecordBatch, dialect: Dialect, forbidden: str) -> tuple[int, int] | None:
    """Return the first (row, column) whose number contradicts the file's decimal mark, or None."""
    sign = "." if dialect.decimal == "," else ","
    for place in dialect.numeric_places:
        cells = batch.column(place)
        one_sign = dialect.decimal or dialect.delimiter == ","
        if one_sign and not _may_hold(cells, sign):
            continue
        found = to_mask(pc.match_substring_regex(pc.utf8_trim_whitespace(cells), forbidden))
        if found.any():
            return int(found.argmax()), place
    return None


def _may_hold(cells: pa.Array, sign: str) -> bool:
    """Return whether the bytes of a column contain a character: a quick test that is nearly always enough."""
    data = cells.buffers()[2]
    return data is not None and sign.encode() in data.to_pybytes()


def _odd_quotes(dialect: Dialect) -> tuple[re.Pattern[bytes], ...]:
    """Return patterns of quotes that no CSV writer produces: inside text, after an empty cell, after blanks.

    Each pattern begins with a plain byte, which `re` finds many times faster than a set of bytes.
    """
    quote, mark = (re.escape(sign.encode()) for sign in (dialect.quote, dialect.delimiter))
    text = rb"[^" + mark + quote + rb"\r\n]"
    pairs = rb"(?:" + quote + quote + rb")*"
    inside_text = quote + rb"(?<=" + text + quote + rb")" + pairs + text
    after_empty = quote + rb"(?<![^" + mark + rb"\r\n]" + quote + rb")" + quote + pairs + text
    return tuple(map(re.compile, (inside_text, after_empty, mark + rb"[ \t]+" + quote)))


def _holds_names(batch: pa.RecordBatch, names: Sequence[str]) -> bool:
    """Return whether a row repeats the column names, in any order."""
    known = pa.array(names, pa.string())
    rows = pa.array(range(0))
    for place in range(len(names)):
        cells = batch.column(place) if place == 0 else batch.column(place).take(rows)
        found = pc.indices_nonzero(pc.is_in(pc.utf8_trim_whitespace(cells), value_set=known))
        rows = found if place == 0 else rows.take(found)
        if not len(rows):
            return False
    return any(
        is_names([cell.strip() for cell in row.values()], names) for row in batch.take(rows).to_pylist()
    )


def is_names(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether the cells of a row are the column names, in any order.

    >>> is_names(["b", "a"], ["a", "b"]), is_names(["a", "a"], ["a", "b"])
    (True, False)
    """
    return sorted(cells) == sorted(names)


def _has_rows_in_cells(batch: pa.RecordBatch, dialect: Dialect) -> bool:
    """Return whether a cell with several lines holds what looks like rows of the table."""
    if dialect.width < 3:
        return False
    for place in range(dialect.width):
        cells = batch.column(place)
        if not _may_hold(cells, "\n"):
            continue
        for cell in cells.filter(pc.match_substring(cells, "\n")).to_pylist():
            counts = [line.count(dialect.delimiter) for line in cell.splitlines()]
            counts[0] += place
            counts[-1] += dialect.width - 1 - place
            if all(count == dialect.width - 1 for count in counts):
                return True
    return False
