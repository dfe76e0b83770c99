"""Parquet and Arrow files become tables, whole or in pieces of bounded size."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xrfm_cli.datasets.errors import FileReadError, SchemaError, did_you_mean
from xrfm_cli.datasets.headers import check_names
from xrfm_cli.datasets.opening import (
    ARROW_MAGIC,
    PARQUET_MAGIC,
    open_bytes,
    refuse_other_formats,
    seekable_path,
    split_compression,
)
from xrfm_cli.datasets.plain_types import plain_columns
from xrfm_cli.datasets.table import Table

PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
ARROW_ENDINGS = (".arrow", ".feather", ".ipc")
_BATCH_ROWS = 65_536
_BUFFER_BYTES = 1 << 14  # of each column: a row group may be as large as the file, and columns are many
_INT96 = {"coerce_int96_timestamp_unit": "us"}  # Spark's timestamps; nanoseconds end in 2262
# What Arrow raises about bytes that make no sense: sizes and names of columns may be damaged too.
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
    """Turn what Arrow raises about a broken file into one line."""
    try:
        yield
    except _DAMAGE as error:
        fact = str(error).strip().splitlines()[0][:160] if str(error).strip() else "it breaks off"
        raise FileReadError(
            f"{path}: is no complete {what} file ({fact}); copy or write the file again"
        ) from None


def arrow_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet or Arrow file, from its metadata alone where it has them."""
    with seekable_path(path) as plain:
        _refuse_by_head(path, plain)
        if _is_parquet(path):
            with _explained(path, "Parquet"), pq.ParquetFile(plain, **_INT96) as file:
                return file.schema_arrow
        with _explained(path, "Arrow"):
            return _open_ipc(_mapped(plain)).schema


def arrow_tables(
    path: Path, columns: Sequence[str] | None, schema: pa.Schema | None = None, batch_rows: int = _BATCH_ROWS
) -> Iterator[Table]:
    """The file in pieces of at most ``batch_rows`` rows, cast to ``schema`` where one is given."""
    n_rows = 0
    with seekable_path(path) as plain:
        _refuse_by_head(path, plain)
        batches = _parquet_batches if _is_parquet(path) else _ipc_batches
        for batch in batches(path, plain, columns, batch_rows):
            n_rows += batch.num_rows
            table = pa.Table.from_batches([batch])
            aligned = table if schema is None else table.select(schema.names).cast(schema)
            yield Table(plain_columns(aligned), str(path))
    if n_rows == 0:
        raise FileReadError(f"{path}: has columns but no rows")


def _is_parquet(path: Path) -> bool:
    _, ending = split_compression(path)
    if ending in PARQUET_ENDINGS or ending in ARROW_ENDINGS:
        return ending in PARQUET_ENDINGS
    with open_bytes(path) as file:
        return bool(file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC)


def _refuse_by_head(path: Path, plain: Path) -> None:
    """Refuse files that are of another format, by their first bytes."""
    try:
        with plain.open("rb") as file:
            head = file.read(256)
    except FileNotFoundError:
        raise FileReadError(f"{path}: there is no such file") from None
    except OSError as error:
        raise FileReadError(f"{path}: cannot be read: {error.strerror}") from None
    if not head:
        raise FileReadError(f"{path}: the file is empty")
    parquet = _is_parquet(path)
    expected = "Parquet" if parquet else "Arrow"
    magic = PARQUET_MAGIC if parquet else ARROW_MAGIC
    if not head.startswith(magic):
        refuse_other_formats(path, head, expected=expected)
        raise FileReadError(f"{path}: is no {expected} file; if it is CSV, rename it to end in .csv")


def _check_columns(path: Path, schema: pa.Schema, columns: Sequence[str] | None) -> None:
    if not schema.names:
        raise FileReadError(f"{path}: has no columns")
    check_names(str(path), tuple(schema.names))
    for name in columns or ():
        if name not in schema.names:
            raise SchemaError(f"{path}: no column '{name}'.{did_you_mean(name, schema.names)}")


def _parquet_batches(
    path: Path, plain: Path, columns: Sequence[str] | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with (
        _explained(path, "Parquet"),
        pq.ParquetFile(plain, buffer_size=_BUFFER_BYTES, pre_buffer=False, **_INT96) as file,
    ):
        _check_columns(path, file.schema_arrow, columns)
        wanted = None if columns is None else list(columns)
        for batch in file.iter_batches(batch_size=batch_rows, columns=wanted, use_threads=False):
            pa.default_memory_pool().release_unused()  # each page leaves pieces behind
            batch.validate(full=True)
            yield batch if wanted is None else batch.select(wanted)


def _mapped(plain: Path) -> mmap.mmap:
    with plain.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _open_ipc(mapped: mmap.mmap) -> Any:
    """A reader of the IPC file format, or of the IPC stream format."""
    source = pa.BufferReader(pa.py_buffer(mapped))
    return (pa.ipc.open_file if mapped[:6] == b"ARROW1" else pa.ipc.open_stream)(source)


def _ipc_batches(
    path: Path, plain: Path, columns: Sequence[str] | None, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    with _explained(path, "Arrow"):
        mapped = _mapped(plain)
        reader = _open_ipc(mapped)
        _check_columns(path, reader.schema, columns)
        count = getattr(reader, "num_record_batches", None)
        batches = reader if count is None else (reader.get_batch(i) for i in range(count))
        for batch in batches:
            batch.validate()
            kept = batch if columns is None else batch.select(list(columns))
            for start in range(0, kept.num_rows, batch_rows):
                rows = kept.slice(start, batch_rows)
                # Offsets are mapped as they are in the file: wrong ones would be read beyond its end.
                rows.validate(full=True)
                yield rows
                _forget(mapped)


def _forget(mapped: mmap.mmap) -> None:
    """Let go of the pages that were read: they count as memory, and come again where they are needed."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
