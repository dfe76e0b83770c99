"""Read Parquet and Arrow files as tables, whole or in pieces of bounded size."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xrfm_cli.datasets.cells.plain_types import plain_columns
from xrfm_cli.datasets.column_names import check_names
from xrfm_cli.datasets.files.common_types import common_types, convert
from xrfm_cli.datasets.files.opening import (
    ARROW_ENDINGS,
    ARROW_MAGIC,
    PARQUET_ENDINGS,
    PARQUET_MAGIC,
    map_bytes,
    open_bytes,
    refuse_other_formats,
    seekable_path,
    split_compression,
)
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import EmptyFileError, FileReadError, SchemaError, did_you_mean

_BATCH_ROWS = 65_536
_BUFFER_BYTES = 1 << 14  # per column: a row group may be as large as the file, and there may be many columns
_SEARCH_BYTES = 1 << 24  # searched at a time, since pages in use count as memory
_INT96 = {"coerce_int96_timestamp_unit": "us"}  # Spark's timestamps; nanoseconds overflow in 2262
# Errors that Arrow raises for damaged files: sizes and column names may be damaged too.
_DAMAGE = (
    pa.ArrowIndexError,
    pa.ArrowInvalid,
    pa.ArrowKeyError,
    pa.ArrowMemoryError,
    pa.ArrowNotImplementedError,
    pa.ArrowSerializationError,
    pa.ArrowTypeError,
    OSError,
    UnicodeDecodeError,
)


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Convert Arrow's errors about a damaged file to one line."""
    try:
        yield
    except _DAMAGE as error:
        fact = str(error).strip().splitlines()[0][:160] if str(error).strip() else "it breaks off"
        raise FileReadError(
            f"{path}: is not a complete {what} file ({fact}); copy or write the file again"
        ) from None


def arrow_types(path: Path) -> dict[str, pa.DataType]:
    """Return the columns of a Parquet or Arrow file; raise `EmptyFileError` if it has no rows."""
    _refuse_by_head(path)
    if _is_parquet(path):
        with (
            seekable_path(path) as plain,
            _explained(path, "Parquet"),
            pq.ParquetFile(plain, **_INT96) as file,
        ):
            schema, has_rows = file.schema_arrow, file.metadata.num_rows > 0
    else:
        mapped = map_bytes(path)
        with _explained(path, "Arrow"):
            source = _source(mapped)
            reader = _open_ipc(source)
            schema, has_rows = reader.schema, any(batch.num_rows for batch in _stored_batches(reader))
            if not has_rows:
                _check_end(path, reader, source)
    if not has_rows:
        raise EmptyFileError(f"{path}: has column names but no rows")
    _check_columns(path, schema, None)
    return {field.name: field.type for field in plain_columns(schema.empty_table()).schema}


def arrow_tables(
    path: Path,
    columns: Sequence[str] | None,
    types: Mapping[str, pa.DataType] | None = None,
    batch_rows: int = _BATCH_ROWS,
) -> Iterator[Table]:
    """Yield the file in pieces of at most ``batch_rows`` rows, with the ``types`` shared by all files."""
    _refuse_by_head(path)
    is_parquet = _is_parquet(path)
    batches = _parquet_batches if is_parquet else _ipc_batches
    for batch in batches(path, columns, batch_rows):
        with _explained(path, "Parquet" if is_parquet else "Arrow"):
            table = plain_columns(pa.Table.from_batches([batch]))
            arrays = [
                convert(column.combine_chunks(), (types or {}).get(name, common_types([column.type])[0]))
                for name, column in zip(table.column_names, table.columns, strict=True)
            ]
        yield Table(pa.table(arrays, names=table.column_names), str(path), is_typed=True)


def _is_parquet(path: Path) -> bool:
    _, ending = split_compression(path)
    if ending in PARQUET_ENDINGS or ending in ARROW_ENDINGS:
        return ending in PARQUET_ENDINGS
    with open_bytes(path) as file:
        return bool(file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC)


def _refuse_by_head(path: Path) -> None:
    """Refuse files of another format, by their first bytes."""
    with open_bytes(path) as file:
        head = file.read(256)
    if not head:
        raise EmptyFileError(f"{path}: the file is empty")
    parquet = _is_parquet(path)
    expected = "Parquet" if parquet else "Arrow"
    magic = PARQUET_MAGIC if parquet else ARROW_MAGIC
    if not head.startswith(magic):
        refuse_other_formats(path, head, expected=expected)
        raise FileReadError(f"{path}: is not in {expected} format; if it is CSV, rename it to end in .csv")
    if not head.startswith(ARROW_MAGIC[1]):
        _refuse_joined(path, PARQUET_MAGIC if parquet else ARROW_MAGIC[0], expected)


def _refuse_joined(path: Path, magic: bytes, what: str) -> None:
    """Refuse concatenated files: only the last footer would be read, with the rows of the first file.

    Such files begin and end with the same bytes, so the bytes occur twice in a row where two files meet.
    """
    with map_bytes(path) as mapped:
        for start in range(0, len(mapped), _SEARCH_BYTES):
            _check_length(path, mapped)
            if mapped.find(magic * 2, start, start + _SEARCH_BYTES + len(magic) * 2) >= 0:
                raise FileReadError(
                    f"{path}: holds several concatenated {what} files, of which only one would be read; "
                    "write them as one file, or give a folder or a quoted pattern of several files"
                )
            _forget(mapped)


def _check_columns(path: Path, schema: pa.Schema, columns: Sequence[str] | None) -> None:
    if not schema.names:
        raise FileReadError(f"{path}: has no columns")
    check_names(str(path), tuple(schema.names))
    for name in columns or ():
        if schema.get_field_index(name) < 0:
            raise SchemaError(f"{path}: no column '{name}'.{did_you_mean(name, schema.names)}")


def _parquet_batches(path: Path, columns: Sequence[str] | None, batch_rows: int) -> Iterator[pa.RecordBatch]:
    with (
        seekable_path(path) as plain,
        _explained(path, "Parquet"),
        pq.ParquetFile(plain, buffer_size=_BUFFER_BYTES, pre_buffer=False, **_INT96) as file,
    ):
        _check_columns(path, file.schema_arrow, columns)
        wanted = None if columns is None else list(columns)
        for batch in file.iter_batches(batch_size=batch_rows, columns=wanted, use_threads=False):
            pa.default_memory_pool().release_unused()  # each page leaves memory behind
            batch.validate(full=True)
            yield batch if wanted is None else batch.select(wanted)


def _source(mapped: mmap.mmap) -> pa.BufferReader:
    return pa.BufferReader(pa.py_buffer(mapped))


def _open_ipc(source: pa.BufferReader) -> Any:
    """Return a reader of the IPC file format or of the IPC stream format."""
    is_file = source.read(len(ARROW_MAGIC[0])) == ARROW_MAGIC[0]
    source.seek(0)
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source)


def _stored_batches(reader: Any) -> Iterator[pa.RecordBatch]:
    count = getattr(reader, "num_record_batches", None)
    yield from reader if count is None else (reader.get_batch(place) for place in range(count))


def _ipc_batches(path: Path, columns: Sequence[str] | None, batch_rows: int) -> Iterator[pa.RecordBatch]:
    mapped = map_bytes(path)
    with _explained(path, "Arrow"):
        source = _source(mapped)
        reader = _open_ipc(source)
        _check_columns(path, reader.schema, columns)
        for batch in _stored_batches(reader):
            batch.validate()
            kept = batch if columns is None else batch.select(list(columns))
            for start in range(0, kept.num_rows, batch_rows):
                rows = kept.slice(start, batch_rows)
                # Offsets are mapped from the file unchecked: wrong ones would read beyond its end.
                _check_length(path, mapped)
                rows.validate(full=True)
                copied = _copy(rows)
                _forget(mapped)
                yield copied
        _check_end(path, reader, source)


def _copy(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows in memory of their own; unlike ``take``, this copies every type, such as views of text."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def _check_end(path: Path, reader: Any, source: pa.BufferReader) -> None:
    """Refuse bytes after the end of an Arrow stream."""
    if isinstance(reader, pa.RecordBatchStreamReader) and source.tell() < source.size():
        raise FileReadError(
            f"{path}: has {source.size() - source.tell():,} bytes after the end of its Arrow stream, "
            "which may hold more rows; write one stream, or give a quoted pattern of several files"
        )


def _check_length(path: Path, mapped: mmap.mmap) -> None:
    """Refuse a file that has become shorter: the system ends a process that reads a page that is gone."""
    if mapped.size() < len(mapped):
        raise FileReadError(f"{path}: has changed while it was read; read it when it is complete")


def _forget(mapped: mmap.mmap) -> None:
    """Release the pages read so far: they count as memory, and are reloaded if needed."""
    if sys.platform != "win32" and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
