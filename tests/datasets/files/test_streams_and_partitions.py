"""Pipes that are read more than once, and columns in the names of folders."""

from __future__ import annotations

import gzip
import io
import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import SchemaOverrides, Table, check_columns, infer_schema, read_chunks, read_table
from xrfm_cli.errors import FileReadError, SchemaError

LINES = b"a;b\n" + b"1,5;x\n2,25;y\n" * 40_000


def as_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> io.BytesIO:
    stream = io.BytesIO(data)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    return stream


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_a_file_like_others(monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    as_input(monkeypatch, gzip.compress(LINES) if packed else LINES)
    table = read_table("-")
    assert (table.n_rows, table.decimal) == (80_000, ",")
    assert read_table("-").data.equals(table.data)  # a second pass


class Endless(io.RawIOBase):
    """A table without an end."""

    begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        lines = b"" if self.begun else b"a,b\n"
        self.begun = True
        lines += b"1,x\n" * ((len(buffer) - len(lines)) // 4)
        buffer[: len(lines)] = lines
        return len(lines)


def test_standard_input_is_read_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    chunks = read_chunks("-", chunk_rows=100)
    assert next(chunks).n_rows == 100
    assert next(chunks).column("b").to_pylist() == ["x"] * 100
    cast("Generator[Table, None, None]", chunks).close()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_typed_tables_on_standard_input(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = pa.table({"a": [1, None], "b": ["x", "y"]}), tmp_path / "data"
    if form == "parquet":
        pq.write_table(data, path)
    else:
        feather.write_feather(data, str(path), compression="uncompressed")
    as_input(monkeypatch, path.read_bytes())
    assert read_table("-").data.equals(data)


def test_a_named_pipe(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no named pipes")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LINES,))
    writer.start()
    assert read_table(pipe).n_rows == 80_000
    writer.join()


def test_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Terminal()))
    with pytest.raises(FileReadError, match="standard input is a terminal"):
        read_table("-")


def partitioned(root: Path) -> Path:
    data = pa.table(
        {"a": [1, 2, 3, 4], "year": [2020, 2020, 2021, None], "town": ["x y", "p/q", "x y", "p/q"]}
    )
    pq.write_to_dataset(data, root, partition_cols=["year", "town"])
    return root


def test_folders_hold_columns(tmp_path: Path) -> None:
    table = read_table(partitioned(tmp_path / "data"))
    rows = sorted(zip(*(table.column(name).to_pylist() for name in ("a", "year", "town")), strict=True))
    assert rows == [(1, "2020", "x y"), (2, "2020", "p/q"), (3, "2021", "x y"), (4, None, "p/q")]
    assert infer_schema(table).column("year").kind == "numeric"
    assert read_table(tmp_path / "data", columns=["year", "a"]).column_names == ("year", "a")
    chunks = list(read_chunks(tmp_path / "data", chunk_rows=3))
    assert [chunk.n_rows for chunk in chunks] == [3, 1]


def test_folders_that_differ_are_refused(tmp_path: Path) -> None:
    root = partitioned(tmp_path / "data")
    pq.write_table(pa.table({"a": [1]}), root / "z.parquet")
    with pytest.raises(SchemaError, match=r"z.parquet: no column 'year', which .*year=2020.*, or leave"):
        infer_schema(read_table(root))
    assert read_table(root, columns=["a"]).n_rows == 5


@pytest.mark.parametrize("cells", [[[1], [2]], [{"x": 1}, {"x": 2}], [b"1", b"2"]])
def test_nested_columns_are_refused_by_name(cells: list[object], tmp_path: Path) -> None:
    pq.write_table(pa.table({"odd": cells, "a": [1.5, 2.5]}), tmp_path / "data.parquet")
    table = read_table(tmp_path / "data.parquet")
    with pytest.raises(SchemaError, match=r"data.parquet: column 'odd' holds .* --drop"):
        infer_schema(table)
    schema = infer_schema(table, SchemaOverrides(drop=("odd",)))
    check_columns(table, schema)


@pytest.mark.parametrize("is_piped", [False, True])
def test_rows_after_the_end_of_an_arrow_stream_are_not_lost(
    is_piped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema([("a", pa.int64())])) as writer:
        writer.write_table(pa.table({"a": [1, 2, 3]}))
    path = "-" if is_piped else str(tmp_path / "t.arrow")
    for copies in (1, 2):  # as with cat
        if is_piped:
            as_input(monkeypatch, sink.getvalue() * copies)
        else:
            Path(path).write_bytes(sink.getvalue() * copies)
        if copies == 1:
            assert read_table(path).n_rows == 3
        else:
            with pytest.raises(FileReadError, match="bytes after the end of its Arrow stream"):
                read_table(path)
