"""Write result tables block by block, as CSV, Parquet or Arrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xrfm_cli.datasets.cells.plain_types import is_readable
from xrfm_cli.datasets.cells.spellings import as_text
from xrfm_cli.datasets.files.opening import ARROW_ENDINGS
from xrfm_cli.errors import OptionError
from xrfm_cli.files import open_whole, utf8
from xrfm_cli.terminal import streams

GROUP_BLOCKS = 8  # blocks in a Parquet row group
MOST_WHOLE = 1e15  # larger floats have 16 digits or more, which an exponent shortens
QUOTED = r'[",\r\n]'


class TableWriter(Protocol):
    """A writer for the blocks of a result."""

    def write(self, block: pa.Table) -> None:
        """Append rows; every block has the same columns."""


class WriterBehind:
    """A writer that writes each block in a thread while the next one is computed, in order.

    Errors are raised by the next write, or when leaving the context.
    """

    def __init__(self, writer: TableWriter) -> None:
        self._writer = writer
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writing")
        self._pending: Future[None] | None = None

    def write(self, block: pa.Table) -> None:
        """Wait for the previous block and start writing this one."""
        self._wait()
        self._pending = self._pool.submit(self._writer.write, block)

    def __enter__(self) -> WriterBehind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self._wait()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()


class CsvWriter:
    """Write CSV: quotes only if needed, empty cells for missing values, numbers that read back equal."""

    def __init__(self, stream: BinaryIO | streams.GuardedStream) -> None:
        self._stream = stream
        self._has_header = False

    def write(self, block: pa.Table) -> None:
        """Append rows; write the header before the first."""
        cells = [_as_text(name, _decoded(block.column(name))) for name in block.column_names]
        if not self._has_header:
            header = io.StringIO()
            csv.writer(header, lineterminator="\n").writerow(block.column_names)
            self._stream.write(utf8(header.getvalue()))
            self._has_header = True
        lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
        text = "\n".join(lines.to_pylist())
        self._stream.write(f"{text}\n".encode())


class ParquetWriter:
    """Write Parquet, with a row group for every few blocks."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def write(self, block: pa.Table) -> None:
        """Append rows."""
        if self._writer is None:
            self._writer = _open_parquet(self._stream, block.schema)
        self._waiting.append(block)
        if len(self._waiting) == GROUP_BLOCKS:
            self._flush()

    def close(self) -> None:
        """Write the waiting blocks and the file's footer."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if self._waiting and self._writer is not None:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting = []


def _open_parquet(stream: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a Parquet writer; OptionError for types that Parquet lacks, such as unions and intervals."""
    try:
        return pq.ParquetWriter(stream, schema)
    except pa.ArrowNotImplementedError as fault:
        odd = next((field for field in schema if not is_readable(field.type)), schema[0])
        raise OptionError(
            f"column '{odd.name}' holds {odd.type}, which cannot be written as Parquet; give --output a name "
            "that ends in .arrow"
        ) from fault


class ArrowWriter:
    """Write an Arrow file (the IPC file format), with one record batch per block."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._writer: pa.RecordBatchFileWriter | None = None

    def write(self, block: pa.Table) -> None:
        """Append rows."""
        plain = pa.table({name: _decoded(block.column(name)) for name in block.column_names})
        if self._writer is None:
            self._writer = pa.ipc.new_file(self._stream, plain.schema)
        self._writer.write_table(plain)

    def close(self) -> None:
        """Write the file's footer."""
        if self._writer is not None:
            self._writer.close()


BINARY_WRITERS: dict[str, type[ParquetWriter] | type[ArrowWriter]] = {
    ".parquet": ParquetWriter,
    **dict.fromkeys(ARROW_ENDINGS, ArrowWriter),
}


@contextmanager
def open_output(path: str | None) -> Iterator[TableWriter]:
    """Open a writer for the ending of ``path``; without a path, write CSV to standard output."""
    if path is None:
        out = streams.rows()
        yield CsvWriter(out)
        out.flush()
        return
    with open_whole(Path(path)) as stream:
        binary_writer = BINARY_WRITERS.get(Path(path).suffix)
        if binary_writer is not None:
            with closing(binary_writer(stream)) as writer, WriterBehind(writer) as behind:
                yield behind
        else:
            with WriterBehind(CsvWriter(stream)) as behind:
                yield behind


def _decoded(column: pa.ChunkedArray) -> pa.Array:
    """Return one array; decode a dictionary, because an Arrow file needs the same one in every block."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # older Arrow returns a chunked array for no chunks
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _as_text(name: str, column: pa.Array) -> pa.Array:
    """Format the cells of a column as CSV text."""
    if not is_readable(column.type):
        raise OptionError(
            f"column '{name}' holds {column.type}, which cannot be written as CSV; "
            "write .parquet or .arrow with --output"
        )
    if pa.types.is_boolean(column.type):
        return pc.if_else(column, "True", "False")  # Python's spelling, as in probability_True
    # Floats have the fewest digits that read back equal; other types are spelled as cells are compared.
    text = _float_text(column) if pa.types.is_floating(column.type) else as_text(column)
    needs_quotes = pc.match_substring_regex(text, QUOTED)
    if not pc.any(needs_quotes).as_py():
        return text
    doubled = pc.replace_substring(text, '"', '""')
    return pc.if_else(needs_quotes, pc.binary_join_element_wise('"', doubled, '"', ""), text)


def _float_text(column: pa.Array) -> pa.Array:
    """Format floats; whole numbers, such as identifiers with gaps, have no exponent."""
    text = pc.cast(column, pa.string())
    has_exponent = pc.match_substring(text, "e+")
    if not pc.any(has_exponent).as_py():
        return text
    is_whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), MOST_WHOLE))
    whole = pc.cast(pc.cast(pc.if_else(is_whole, column, 0), pa.int64()), pa.string())
    return pc.if_else(pc.and_(is_whole, has_exponent), whole, text)
