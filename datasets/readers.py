"""Read a `Table` from a path: CSV, Parquet or Arrow, compressed or not, one file or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from xrfm_cli.datasets.dialect import ReadOptions
from xrfm_cli.datasets.files.finding import find_files
from xrfm_cli.datasets.files.opening import PARQUET_ENDINGS, split_compression
from xrfm_cli.datasets.files.streams import is_stream
from xrfm_cli.datasets.parts import part_tables, plan_parts
from xrfm_cli.datasets.scratch import Scratch, byte_size
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import EmptyFileError, FileReadError, OptionError
from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.remote import fetch, local_path
from xrfm_cli.repairs import Repair, merge_repairs

__all__ = ["ReadOptions", "read_chunks", "read_table"]

TYPICAL_COMPRESSION = 5  # of text, to estimate its size before it is read
_DEFAULTS = ReadOptions()
_BATCH_ROWS = 65_536
_SMALL_BATCH_ROWS = 8_192  # of a table that may be larger than the memory, and have thousands of columns


def read_table(
    path: str | Path,
    options: ReadOptions = _DEFAULTS,
    *,
    columns: Sequence[str] | None = None,
    on_event: OnEvent = ignore_event,
    scratch: Scratch | None = None,
) -> Table:
    """Read a whole table into memory, or into files of ``scratch`` if it is too large.

    ``path`` is a CSV, TSV, Parquet or Arrow file (compressed if it ends in ``.gz``, ``.zst``, ``.bz2`` or
    ``.xz``), a glob pattern, or a folder of Parquet files; several files are joined in order of their names.
    ``-`` is standard input, and a URL such as ``s3://bucket/cars.csv`` a file or a folder there. CSV cells
    stay text until a schema interprets them. A column that not all files share is listed in `Table.faults`. A
    faulty file raises `FileReadError` with a one-line message; skipped rows are counted in an event.

    >>> from xrfm_cli.datasets.sample_tables import sample_path
    >>> read_table(sample_path("autos.csv"), columns=["make", "price"]).column_names
    ('make', 'price')
    """
    path = local_path(path)
    fetch(Path(path), again=True)
    repairs: list[Repair] = []

    def hear(event: Event) -> None:
        repairs.extend([event.repair] if event.repair is not None else [])
        on_event(event)

    pieces = _pieces(path, options, columns, hear, _BATCH_ROWS if scratch is None else _SMALL_BATCH_ROWS)
    first = next(pieces)
    data, is_whole = _held(first, pieces, None if scratch is None else scratch.held_bytes)
    if scratch is None or is_whole:
        return replace(first, data=data.combine_chunks(), source=str(path), repairs=merge_repairs(repairs))
    needed = estimate_bytes(path, data)
    scratch.check_room(needed, f"{path} as columns")
    message = (
        f"{path}: is larger than {byte_size(data) / 2**20:,.0f} MiB, so its columns are kept in files in "
    )
    on_event(Event(kind="note", message=f"{message}{scratch.folder} (about {needed / 2**20:,.0f} MiB)"))
    data = scratch.table(data.schema, chain([data], (piece.data for piece in pieces)))
    return replace(first, data=data, source=str(path), repairs=merge_repairs(repairs), scratch=scratch)


def _held(first: Table, pieces: Iterator[Table], most_bytes: int | None) -> tuple[pa.Table, bool]:
    """Join the pieces until they are larger than ``most_bytes``; return whether they all fit."""
    held, size = [first.data], byte_size(first.data)
    while most_bytes is None or size <= most_bytes:
        piece = next(pieces, None)
        if piece is None:
            return pa.concat_tables(held), True
        held.append(piece.data)
        size += byte_size(piece.data)
    return pa.concat_tables(held), False


def estimate_bytes(path: str | Path, start: pa.Table) -> int:
    """Estimate the bytes of a whole table in Arrow's format, from its files and its first rows."""
    total = 0
    for file in find_files(path).files:
        codec, ending = split_compression(file)
        if is_stream(file) or not file.is_file():
            return byte_size(start)
        if codec is None and ending in PARQUET_ENDINGS:
            total += int(pq.read_metadata(file).num_rows * byte_size(start) / max(start.num_rows, 1))
        else:
            total += file.stat().st_size * (1 if codec is None else TYPICAL_COMPRESSION)
    return max(total, byte_size(start))


def read_chunks(
    path: str | Path,
    options: ReadOptions = _DEFAULTS,
    *,
    chunk_rows: int,
    columns: Sequence[str] | None = None,
    on_event: OnEvent = ignore_event,
) -> Iterator[Table]:
    """Read a table as consecutive tables of ``chunk_rows`` rows; the last one may be shorter.

    Memory is bounded by the chunk, not by the file. Types and values are the same as from `read_table`.
    """
    if chunk_rows < 1:
        raise OptionError(f"chunk_rows {chunk_rows} is not positive")
    path = local_path(path)
    fetch(Path(path), again=True)
    waiting: list[pa.Table] = []
    n_waiting = 0
    model: Table | None = None
    for piece in _pieces(path, options, columns, on_event, chunk_rows):
        model = piece
        start = 0
        while start < piece.n_rows:
            part = piece.data.slice(start, chunk_rows - n_waiting)
            waiting.append(part)
            n_waiting += part.num_rows
            start += part.num_rows
            if n_waiting == chunk_rows:
                yield replace(piece, data=pa.concat_tables(waiting).combine_chunks(), source=str(path))
                waiting, n_waiting = [], 0
    if n_waiting and model is not None:
        yield replace(model, data=pa.concat_tables(waiting).combine_chunks(), source=str(path))


def _pieces(
    path: str | Path,
    options: ReadOptions,
    columns: Sequence[str] | None,
    on_event: OnEvent,
    chunk_rows: int = _BATCH_ROWS,
) -> Iterator[Table]:
    """Yield the non-empty pieces of all files in order, with shared columns, types and decimal mark."""
    found = find_files(path)
    for line in found.warnings:
        on_event(Event(kind="fallback", message=line))
    before = {file: _state(file) for file in found.files if not is_stream(file)}
    parts = plan_parts(found, str(path), options, columns)
    n_rows = 0
    for part in parts.files:
        for piece in part_tables(parts, part, options, columns, on_event, min(chunk_rows, _BATCH_ROWS)):
            if piece.n_rows:
                n_rows += piece.n_rows
                yield piece if columns is None else piece.select(columns)
        if part.path in before and _state(part.path) != before[part.path]:
            raise FileReadError(f"{part.path}: has changed while it was read; read it when it is complete")
    if not n_rows:
        raise EmptyFileError(f"{path}: has column names but no rows")


def _state(file: Path) -> tuple[int, int] | None:
    """Return the size and the time of the last change of a file; None if it is gone."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
