"""CSV files become tables of text, whole or in pieces of bounded size."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.csv as pacsv

from xrfm_cli.datasets.errors import FileReadError, SchemaError, did_you_mean
from xrfm_cli.datasets.opening import open_bytes
from xrfm_cli.datasets.sniffing import (
    Dialect,
    ReadOptions,
    looks_like_data,
    parse_rows,
    sniff,
    undecodable,
)
from xrfm_cli.datasets.table import Table

_BLOCK_BYTES = 1 << 20
_RAW_BYTES = 1 << 18
_LARGEST_BLOCK_BYTES = 256 << 20


def csv_tables(path: Path, options: ReadOptions, columns: Sequence[str] | None) -> Iterator[Table]:
    """The file in pieces as they are parsed; at least one row in total, or `FileReadError`."""
    dialect = sniff(path, options)
    wanted = _wanted_places(path, dialect, columns)
    notes = [dialect.describe(str(path))]
    if looks_like_data(dialect.names):
        notes.append(f"{path}: the first row is taken as names of columns, although it holds numbers")
    n_rows = 0
    for batch in _batches(path, dialect, wanted):
        n_rows += batch.num_rows
        named = pa.Table.from_batches([batch]).rename_columns([dialect.names[place] for place in wanted])
        yield Table(named, str(path), tuple(notes), dialect.decimal or ".")
    if n_rows == 0:
        raise _no_rows(path)


def _no_rows(path: Path) -> FileReadError:
    return FileReadError(f"{path}: has names of columns but no rows")


def _wanted_places(path: Path, dialect: Dialect, columns: Sequence[str] | None) -> list[int]:
    """Where the wanted columns are."""
    if columns is None:
        return list(range(len(dialect.names)))
    for name in columns:
        if name not in dialect.names:
            raise SchemaError(f"{path}: no column '{name}'.{did_you_mean(name, dialect.names)}")
    return [dialect.names.index(name) for name in columns]


def _batches(path: Path, dialect: Dialect, wanted: list[int]) -> Iterator[pa.RecordBatch]:
    """Record batches of text; a fault of the file becomes a `FileReadError` that names the row.

    A row that is larger than a block starts the file again with larger blocks, after the rows already given.
    """
    given, block_bytes = 0, _BLOCK_BYTES
    while True:
        skip = given
        try:
            for batch in _parse(path, dialect, wanted, block_bytes):
                fresh = batch.slice(min(skip, batch.num_rows))
                skip = max(skip - batch.num_rows, 0)
                given += fresh.num_rows
                if fresh.num_rows:
                    yield fresh
            return
        except pa.ArrowInvalid as error:
            if "straddling object" not in str(error) or block_bytes >= _LARGEST_BLOCK_BYTES:
                _explain(path, dialect, error)
        block_bytes *= 4


def _parse(path: Path, dialect: Dialect, wanted: list[int], block_bytes: int) -> Iterator[pa.RecordBatch]:
    """Record batches of text as Arrow parses them."""
    keys = [str(place) for place in range(len(dialect.names))]  # own names: Arrow's must be unique
    quote: Any = dialect.quote or False
    read = pacsv.ReadOptions(
        column_names=keys, skip_rows=dialect.skip_lines, skip_rows_after_names=1, block_size=block_bytes
    )
    parse = pacsv.ParseOptions(
        delimiter=dialect.delimiter, quote_char=quote, double_quote=bool(quote), newlines_in_values=True
    )
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(keys, pa.string()),
        include_columns=[keys[place] for place in wanted],
        strings_can_be_null=False,
        quoted_strings_can_be_null=False,
        null_values=[],
    )
    with open_bytes(path) as raw:
        stream = _Utf8Stream(path, raw, dialect)
        with pacsv.open_csv(pa.PythonFile(stream, mode="r"), read, parse, convert) as reader:
            yield from reader
    if stream.quotes % 2:
        _find_open_quote(path, dialect)


class _Utf8Stream(io.RawIOBase):
    """The bytes of a file as UTF-8, with a count of the quotes that passed: odd means one may be open."""

    def __init__(self, path: Path, raw: Any, dialect: Dialect) -> None:
        self._path, self._raw, self._encoding = path, raw, dialect.encoding
        self._decoder = None
        if codecs.lookup(dialect.encoding).name != "utf-8":
            self._decoder = codecs.getincrementaldecoder(dialect.encoding)()
        self._ready, self._lines, self._ended = b"", 1, False
        self._quote, self.quotes = dialect.quote.encode("utf-8"), 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """``size`` bytes of UTF-8, fewer at the end only: Arrow takes what it gets for a whole block."""
        parts, length = [self._ready], len(self._ready)
        while not self._ended and (size < 0 or length < size):
            block = self._next_block()
            parts.append(block)
            length += len(block)
        data = b"".join(parts)
        size = length if size < 0 else size
        data, self._ready = data[:size], data[size:]
        self.quotes += data.count(self._quote) if self._quote else 0
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer``; the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _next_block(self) -> bytes:
        block: bytes = self._raw.read(_RAW_BYTES)
        self._ended = not block
        if self._decoder is None:
            return block
        try:
            text = self._decoder.decode(block, self._ended)
        except UnicodeDecodeError:
            raise undecodable(self._path, block, self._encoding, self._lines) from None
        first = self._lines == 1
        self._lines += text.count("\n")
        return (text.lstrip("\ufeff") if first else text).encode("utf-8")


def _explain(path: Path, dialect: Dialect, error: Exception) -> NoReturn:
    """Raise what is wrong with the file in the words of its user."""
    _find_undecodable(path, dialect)
    _find_ragged_row(path, dialect)
    _find_open_quote(path, dialect)
    fact = str(error).splitlines()[0]
    raise FileReadError(
        f"{path}: cannot be read as CSV with delimiter {dialect.delimiter!r}: {fact}"
    ) from None


def _find_undecodable(path: Path, dialect: Dialect) -> None:
    """Read the file once more for the first line that is not in its encoding."""
    line = 1
    decoder = codecs.getincrementaldecoder(dialect.encoding)()
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                raise undecodable(path, block, dialect.encoding, line) from None
            line += block.count(b"\n")


def _find_ragged_row(path: Path, dialect: Dialect) -> None:
    """Read the file once more for the first row with too few or too many cells."""
    with _python_rows(path, dialect) as rows:
        before, number = 0, -1
        try:
            for row in rows:
                start, before = before + 1, rows.line_num
                number += bool(row)
                if row and len(row) != len(dialect.names):
                    _refuse_row(path, dialect, number, start, rows.line_num, len(row))
        except csv.Error:
            _refuse_quote(path, number + 1, before + 1 + dialect.skip_lines)
        if number < 1:
            raise _no_rows(path)


def _find_open_quote(path: Path, dialect: Dialect) -> None:
    """Read the file once more for a quote that is open at its end; other odd quotes are text."""
    with _python_rows(path, dialect, strict=True) as rows:
        before, number = 0, -1
        try:
            for row in rows:
                before, number = rows.line_num, number + bool(row)
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                _refuse_quote(path, number + 1, before + 1 + dialect.skip_lines)


@contextmanager
def _python_rows(path: Path, dialect: Dialect, *, strict: bool = False) -> Iterator[Any]:
    """The rows of the file by the standard library's reader, which knows where it is."""
    with open_bytes(path) as raw:
        buffered = io.BufferedReader(_Utf8Stream(path, raw, dialect))
        text = io.TextIOWrapper(buffered, "utf-8", newline="")
        for _ in range(dialect.skip_lines):
            text.readline()
        yield parse_rows(text, dialect.delimiter, dialect.quote, strict=strict)


def _refuse_row(path: Path, dialect: Dialect, number: int, start: int, end: int, found: int) -> NoReturn:
    line = start + dialect.skip_lines
    if end - start > 20:
        _refuse_quote(path, number, line)
    raise FileReadError(
        f"{path}: row {number} (line {line}) has {found} cells, but there are {len(dialect.names)} columns "
        f"(delimiter {dialect.delimiter!r}); mend the row or give the delimiter"
    )


def _refuse_quote(path: Path, number: int, line: int) -> NoReturn:
    raise FileReadError(
        f"{path}: row {number} (line {line}): a quote is opened and not closed; close it, double it or say "
        "that nothing is quoted"
    )
