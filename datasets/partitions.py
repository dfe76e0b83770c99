"""Columns that the folders of a partitioned data set hold: ``sales/year=2024/month=3/part-0.parquet``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from xrfm_cli.datasets.errors import FileReadError
from xrfm_cli.datasets.table import Table

_MISSING = "__HIVE_DEFAULT_PARTITION__"
Partitions = Mapping[str, Mapping[Path, str | None]]


def read_partitions(root: Path, files: Sequence[Path]) -> Partitions:
    """The values of each partition column by file; none where ``root`` is no folder.

    Raises `FileReadError` where files are partitioned by different columns.

    >>> read_partitions(Path("missing.csv"), [Path("missing.csv")])
    {}
    """
    if not root.is_dir():
        return {}
    by_file = {file: _pairs(file.relative_to(root)) for file in files}
    first = by_file[files[0]]
    for file, pairs in by_file.items():
        if list(pairs) != list(first):
            raise FileReadError(
                f"{file}: its folders name the columns {_listing(pairs)}, those of {files[0]} "
                f"{_listing(first)}; give folders that are partitioned alike"
            )
    return {name: {file: pairs[name] for file, pairs in by_file.items()} for name in first}


def _pairs(place: Path) -> dict[str, str | None]:
    """Names and values of the folders above a file."""
    pairs = (part.partition("=") for part in place.parts[:-1])
    return {
        unquote(name): None if value == _MISSING else unquote(value) for name, sign, value in pairs if sign
    }


def _listing(pairs: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in pairs) or "(none)"


def with_partitions(piece: Table, file: Path, partitions: Partitions) -> Table:
    """A piece of ``file`` with its partition columns, as text, behind its own; one that it has stays."""
    data = piece.data
    for name, values in partitions.items():
        if not piece.has_column(name):
            data = data.append_column(name, pa.array([values[file]] * data.num_rows, pa.string()))
    return replace(piece, data=data)
