"""Read a `Table` from a path: CSV, Parquet or Arrow, compressed or not, one file or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from xrfm_cli.datasets.dialect import ReadOptions
from xrfm_cli.datasets.files.finding import find_files
from xrfm_cli.datasets.parts import part_tables, plan_parts
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import EmptyFileError, OptionError
from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.repairs import Repair, merge_repairs

__all__ = ["ReadOptions", "read_chunks", "read_table"]

_DEFAULTS = ReadOptions()
_BATCH_ROWS = 65_536


def read_table(
    path: str | Path,
    options: ReadOptions = _DEFAULTS,
    *,
    columns: Sequence[str] | None = None,
    on_event: OnEvent = ignore_event,
) -> Table:
    """Read a whole table into memory.

    ``path`` is a CSV, TSV, Parquet or Arrow file (compressed if it ends in ``.gz``, ``.zst``, ``.bz2`` or
    ``.xz``), a glob pattern, or a folder of Parquet files; several files are joined in order of their names.
    ``-`` is standard input. CSV cells stay text until a schema interprets them. A column that not all files
    share is listed in `Table.faults`. A faulty file raises `FileReadError` with a one-line message; skipped
    rows are counted in an event.

    >>> from xrfm_cli.datasets.sample_tables import sample_path
    >>> read_table(sample_path("autos.csv"), columns=["make", "price"]).column_names
    ('make', 'price')
    """
    repairs: list[Repair] = []

    def hear(event: Event) -> None:
        repairs.extend([event.repair] if event.repair is not None else [])
        on_event(event)

    pieces = list(_pieces(path, options, columns, hear))
    data = pa.concat_tables([piece.data for piece in pieces])
    return replace(
        pieces[0],
        data=data.combine_chunks(),
        source=str(path),
        repairs=merge_repairs(repairs),
    )


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
    parts = plan_parts(found, str(path), options, columns)
    n_rows = 0
    for part in parts.files:
        for piece in part_tables(parts, part, options, columns, on_event, min(chunk_rows, _BATCH_ROWS)):
            if piece.n_rows:
                n_rows += piece.n_rows
                yield piece if columns is None else piece.select(columns)
    if not n_rows:
        raise EmptyFileError(f"{path}: has column names but no rows")
