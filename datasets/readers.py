"""A path becomes a `Table`: CSV, Parquet or Arrow, compressed or not, one file or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from xrfm_cli.datasets.arrow_files import ARROW_ENDINGS, PARQUET_ENDINGS, arrow_schema, arrow_tables
from xrfm_cli.datasets.csv_files import csv_tables
from xrfm_cli.datasets.dialect import ReadOptions
from xrfm_cli.datasets.errors import FileReadError, OptionError
from xrfm_cli.datasets.events import Event, OnEvent, ignore_event
from xrfm_cli.datasets.opening import (
    ARROW_MAGIC,
    PARQUET_MAGIC,
    is_stream,
    open_bytes,
    split_compression,
)
from xrfm_cli.datasets.partitions import read_partitions, with_partitions
from xrfm_cli.datasets.rejects import ENDING as REJECTS_ENDING
from xrfm_cli.datasets.repairs import Repair, merge_repairs
from xrfm_cli.datasets.sniffing import sniff
from xrfm_cli.datasets.table import Table

__all__ = ["ReadOptions", "read_chunks", "read_table"]

_DEFAULTS = ReadOptions()


def read_table(
    path: str | Path,
    options: ReadOptions = _DEFAULTS,
    *,
    columns: Sequence[str] | None = None,
    on_event: OnEvent = ignore_event,
) -> Table:
    """Read a whole table into memory.

    ``path`` is a CSV, TSV, Parquet or Arrow file, with ``.gz``, ``.zst``, ``.bz2`` or ``.xz`` if
    compressed, a glob pattern, or a folder of Parquet files; several files are joined in order of their
    names. ``-`` is standard input. CSV cells stay text until a schema says what they are. What is wrong with
    a file raises `FileReadError`, one line; rows that are left out are counted in an event.

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
    notes = tuple(dict.fromkeys(note for piece in pieces for note in piece.notes))
    return replace(
        pieces[0],
        data=data.combine_chunks(),
        source=str(path),
        notes=notes,
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
    """Read a table as consecutive tables of ``chunk_rows`` rows, the last one of the rest.

    Memory is bounded by the chunk, not by the file. Types and values are those of `read_table`.
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
    chunk_rows: int = 65_536,
) -> Iterator[Table]:
    """The pieces of all files in order, with the same columns, types and decimal mark."""
    files = find_files(path)
    partitions = read_partitions(Path(path), files)
    wanted: Sequence[str] | None = None
    if columns is not None:
        wanted, columns = columns, [name for name in columns if name not in partitions]
    schema = _common_schema(files, columns)
    if len(files) > 1 and schema is None:
        options = _common_decimal(files, options)
    first: Table | None = None
    for file in files:
        if _is_arrow(file):
            pieces = arrow_tables(file, columns, schema, min(chunk_rows, 65_536))
        else:
            pieces = csv_tables(file, options, columns, on_event)
        for piece in pieces:
            piece = with_partitions(piece, file, partitions)
            if first is not None:
                piece = _aligned(piece, first)
            first = first or piece
            if wanted is not None:
                piece = piece.select(wanted)
            yield piece


def _aligned(piece: Table, first: Table) -> Table:
    """A piece with the columns of the first file, or `FileReadError` where they differ."""
    if piece.source == first.source:
        return piece
    if set(piece.column_names) != set(first.column_names):
        odd = sorted(set(piece.column_names) ^ set(first.column_names))[0]
        has, lacks = (piece, first) if odd in piece.column_names else (first, piece)
        raise FileReadError(
            f"{lacks.source}: no column '{odd}', which {has.source} has; give files with the same columns"
        )
    return piece.select(first.column_names)


def find_files(path: str | Path) -> tuple[Path, ...]:
    """The files that a path, a glob pattern or a folder stands for, sorted by name."""
    text = str(path)
    place = Path(path)
    if is_stream(place):
        return (place,)
    if place.is_dir():
        found = sorted(
            file
            for file in place.rglob("*")
            if file.suffix.lower() in PARQUET_ENDINGS and not file.name.startswith(("_", "."))
        )
        if not found:
            raise FileReadError(
                f"{text}: the folder holds no Parquet file; quote a pattern such as '{text}/*.csv'"
            )
        return tuple(found)
    if any(mark in text for mark in "*?[") and not place.exists():
        found = sorted(
            file for file in _expand(place) if file.is_file() and not file.name.endswith(REJECTS_ENDING)
        )
        if not found:
            raise FileReadError(f"{text}: no file matches the pattern")
        kinds = {_is_arrow(file) for file in found}
        if len(kinds) > 1:
            raise FileReadError(f"{text}: the pattern matches CSV and other files; match one format")
        return tuple(found)
    return (place,)


def _expand(pattern: Path) -> Iterator[Path]:
    """The files that a glob pattern matches."""
    parts = pattern.parts
    first = next(place for place, part in enumerate(parts) if any(mark in part for mark in "*?["))
    return Path(*parts[:first]).glob(str(Path(*parts[first:])))


def _is_arrow(path: Path) -> bool:
    """Whether a file is Parquet or Arrow: by its ending, or where that says nothing by its first bytes."""
    codec, ending = split_compression(path)
    if ending in PARQUET_ENDINGS or ending in ARROW_ENDINGS:
        return True
    if not is_stream(path) and (
        ending in (".csv", ".tsv", ".txt") or codec is not None or not path.is_file()
    ):
        return False
    with open_bytes(path) as file:
        return file.read(6).startswith((PARQUET_MAGIC, *ARROW_MAGIC))


def _common_decimal(files: Sequence[Path], options: ReadOptions) -> ReadOptions:
    """Options with the decimal mark that all CSV files share."""
    marks: dict[str, Path] = {}
    for file in files:
        dialect = sniff(file, options)
        if dialect.decimal or not dialect.doubt:
            marks.setdefault(dialect.decimal, file)
    marks.pop("", None)
    if len(marks) > 1:
        raise FileReadError(
            f"{marks[',']}: has the decimal mark ',', but {marks['.']} has '.'; give --decimal"
        )
    return replace(options, decimal=next(iter(marks), None))


def _common_schema(files: Sequence[Path], columns: Sequence[str] | None) -> pa.Schema | None:
    """The types that all Arrow files share, widened where they differ; None for CSV."""
    if not _is_arrow(files[0]) or len(files) == 1:
        return None
    schemas: list[pa.Schema] = []
    for file in files:
        schema = arrow_schema(file)
        missing = set(schema.names) ^ set(schemas[0].names) if schemas else set()
        if missing:
            raise FileReadError(
                f"{file}: column '{sorted(missing)[0]}' is not in this and the first file {files[0]}; "
                "give files with the same columns"
            )
        schemas.append(schema.remove_metadata())
    try:
        common = pa.unify_schemas(schemas, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise FileReadError(f"{files[0]}: files differ in type: {str(error).splitlines()[0]}") from None
    names = common.names if columns is None else [name for name in columns if name in common.names]
    return pa.schema([common.field(name) for name in names])
