"""Read CSV files as tables of text, whole or in pieces of bounded size.

Arrow parses well-formed files. If it fails, or a check of its batches finds something ambiguous, the standard
library's reader takes over, which knows the line of every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from xrfm_cli.datasets.dialect import Dialect, ReadOptions
from xrfm_cli.datasets.files.opening import open_bytes
from xrfm_cli.datasets.table import Table
from xrfm_cli.datasets.text.careful_rows import careful_batches
from xrfm_cli.datasets.text.encodings import Utf8Stream
from xrfm_cli.datasets.text.row_checks import RowChecks
from xrfm_cli.errors import FileReadError
from xrfm_cli.events import OnEvent
from xrfm_cli.mentions import option

# Bytes of a block. Arrow reads up to 32 blocks ahead. Blocks are small for few columns, to save memory, and
# large for thousands of columns, since every block costs time for every column.
_LEAST_BLOCK, _MOST_BLOCK, _BLOCK_COLUMN = 1 << 18, 1 << 22, 1 << 13


def csv_tables(
    path: Path, dialect: Dialect, options: ReadOptions, columns: Sequence[str] | None, on_event: OnEvent
) -> Iterator[Table]:
    """Yield the file in pieces as they are parsed."""
    if dialect.doubt:
        raise FileReadError(
            f"{path}: {dialect.doubt}; give {option('decimal', '.')} or {option('decimal', ',')}"
        )
    names = list(dialect.names if columns is None else columns)
    places = {name: place for place, name in enumerate(dialect.names)}
    wanted = [places[name] for name in names]
    for batch in _batches(path, dialect, options, on_event):
        named = pa.Table.from_batches([batch.select(wanted)]).rename_columns(names)
        yield Table(named, str(path), (), dialect.decimal or ".", (), options.date_order)


def _batches(
    path: Path, dialect: Dialect, options: ReadOptions, on_event: OnEvent
) -> Iterator[pa.RecordBatch]:
    """Yield record batches of text: Arrow's while they are unambiguous, then those of the careful reader."""
    given = 0
    if _is_plain(dialect, options):
        row_checks = RowChecks(dialect, keeps_last=options.skip_footer is not None)
        try:
            for batch in _arrow_batches(path, dialect, row_checks):
                if row_checks.doubts(batch):
                    break
                given += batch.num_rows
                yield batch
            else:
                if not row_checks.doubts_end():
                    return
        except pa.ArrowInvalid:
            pass  # the careful reader reports the fault and its line
    skip = given
    for batch in careful_batches(path, dialect, options, on_event):
        fresh = batch.slice(min(skip, batch.num_rows))
        skip = max(skip - batch.num_rows, 0)
        if fresh.num_rows:
            yield fresh


def _is_plain(dialect: Dialect, options: ReadOptions) -> bool:
    """Return whether Arrow supports everything that the file needs."""
    return (
        dialect.width > 1
        and not dialect.escape
        and not dialect.pads_quotes
        and not options.skip_footer
        and options.bad_rows == "stop"
    )


def _arrow_batches(path: Path, dialect: Dialect, row_checks: RowChecks) -> Iterator[pa.RecordBatch]:
    """Yield record batches of text as parsed by Arrow."""
    keys = [str(place) for place in range(dialect.width)]  # our own names, since Arrow's must be unique
    block = min(max(_BLOCK_COLUMN * dialect.width, _LEAST_BLOCK), _MOST_BLOCK)
    read = pacsv.ReadOptions(column_names=keys, block_size=block)
    parse = pacsv.ParseOptions(
        delimiter=dialect.delimiter,
        quote_char=dialect.quote or False,
        double_quote=bool(dialect.quote),
        newlines_in_values=True,
    )
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(keys, pa.string()),
        strings_can_be_null=False,
        quoted_strings_can_be_null=False,
        null_values=[],
    )
    with open_bytes(path, dialect.sheet) as raw:
        stream = _CheckedStream(
            Utf8Stream(path, raw, dialect.encoding, skip_lines=dialect.skip_lines), row_checks
        )
        if not stream.peek():
            return
        with pacsv.open_csv(pa.PythonFile(stream, mode="r"), read, parse, convert) as reader:
            yield from reader


class _CheckedStream:
    """A stream whose bytes are checked as they pass."""

    def __init__(self, stream: Utf8Stream, row_checks: RowChecks) -> None:
        self._stream, self._row_checks, self._first = stream, row_checks, b""
        self.closed = False

    def peek(self) -> bool:
        """Return whether there is anything but line ends."""
        while not self._first.strip(b"\r\n"):
            more = self._stream.read(1 << 16)
            if not more:
                return False
            self._first += more
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._first + self._stream.read(size if size < 0 else max(size - len(self._first), 0))
        data, self._first = (data, b"") if size < 0 else (data[:size], data[size:])
        self._row_checks.see(data)
        return data

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
