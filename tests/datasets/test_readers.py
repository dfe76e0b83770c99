"""Files of every format and spelling become the same table."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import ReadOptions, read_chunks, read_table
from xrfm_cli.errors import FileReadError, OptionError, SchemaError

ROWS = [("Wien", "1.5", "yes"), ("São Paulo", "2", ""), ('say "hi", now', "-3.25", "no")]
NAMES = ["city", "size", "answer"]


def as_lines(delimiter: str = ",", quote: str = '"', decimal: str = ".") -> str:
    def cell(text: str) -> str:
        text = text.replace(".", decimal) if text[-1:].isdigit() else text
        needs = delimiter in text or (quote and quote in text)
        return f"{quote}{text.replace(quote, quote * 2)}{quote}" if needs and quote else text

    lines = [delimiter.join(NAMES)] + [delimiter.join(cell(text) for text in row) for row in ROWS]
    return "\n".join(lines) + "\n"


def contents(table: pa.Table) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in table.column_names) for row in table.to_pylist()]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(as_lines(delimiter), encoding="utf-8")
    table = read_table(path)
    assert list(table.column_names) == NAMES
    assert contents(table.data) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings_are_found(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(as_lines().encode(encoding))
    assert contents(read_table(path).data) == ROWS


def test_an_encoding_that_shows_late_is_found(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n" + b"1,plain text of some length\n" * 60_000 + "2,São\n".encode("cp1252"))
    table = read_table(path)
    assert table.column("b")[-1].as_py() == "São"
    assert "cp1252" in table.notes[0]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("a;b\n1,5;x\n2,25;y\n", ","),
        ("a;b\n1.5;x\n2.25;y\n", "."),
        ('a,b\n"1,5",x\n"2,25",y\n', ","),
        ("a;b\n1.234,5;x\n2;y\n", ","),
        ("a,b\n1,x\n2,y\n", "."),
        ('a,b\n"1,234",1.5\n"2,000",2.5\n', "."),
        ("a;b\n1,5;1.5Fin\n2,5;2Story\n", ","),
    ],
)
def test_decimal_marks_are_found(tmp_path: Path, text: str, decimal: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert read_table(path).decimal == decimal


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\r\n1,2\r\n", ["a", "b"], [("1", "2")]),
        ("a,b\n1,2", ["a", "b"], [("1", "2")]),
        ("a,b\n\n1,2\n\n\n3,4\n\n", ["a", "b"], [("1", "2"), ("3", "4")]),
        ('a,b\n"1\n2",3\n', ["a", "b"], [("1\n2", "3")]),
        ("'a';'b'\n'x;y';'2'\n'z';'3'\n", ["a", "b"], [("x;y", "2"), ("z", "3")]),
        (" a , b\n1,2\n", ["a", "b"], [("1", "2")]),
        (",b\n1,2\n", ["Unnamed: 0", "b"], [("1", "2")]),
        ("sep=;\na;b\n1;2\n", ["a", "b"], [("1", "2")]),
        ("a\n1\n2\n", ["a"], [("1",), ("2",)]),
        ('"a b, c",d\n1,2\n', ["a b, c", "d"], [("1", "2")]),
        ("größe;ort\n1;Linz\n", ["größe", "ort"], [("1", "Linz")]),
    ],
)
def test_odd_csv(tmp_path: Path, text: str, names: list[str], rows: list[tuple[str, ...]]) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    table = read_table(path)
    assert list(table.column_names) == names
    assert contents(table.data) == rows


def test_given_options_win(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("a:b\n'x:1,5\n".encode("cp437"))
    options = ReadOptions(delimiter=":", encoding="cp437", decimal=",", quote="")
    table = read_table(path, options)
    assert contents(table.data) == [("'x", "1,5")]
    assert table.decimal == ","


@pytest.mark.parametrize(
    "options",
    [{"delimiter": ";;"}, {"encoding": "utf-9"}, {"decimal": ":"}, {"quote": "''"}],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options.values()))):
        ReadOptions(**options)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("inner", [".csv", ".parquet", ".arrow"])
def test_compressed_files(tmp_path: Path, ending: str, inner: str) -> None:
    plain = tmp_path / f"data{inner}"
    write(plain, pa.table({name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)}))
    packed = tmp_path / f"data{inner}{ending}"
    data = plain.read_bytes()
    pack: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zst": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
    }
    half = len(data) // 2
    for packed_bytes in (pack[ending](data), pack[ending](data[:half]) + pack[ending](data[half:])):
        packed.write_bytes(packed_bytes)
        assert contents(read_table(packed).data) == ROWS
    assert sum(chunk.n_rows for chunk in read_chunks(packed, chunk_rows=2)) == len(ROWS)


def write(path: Path, data: pa.Table) -> None:
    """Write a table in the format of the path's ending; cells of text must hold no null."""
    if path.suffix == ".parquet":
        pq.write_table(data, path)
    elif path.suffix in (".arrow", ".feather"):
        feather.write_feather(data, path, compression="uncompressed")
    elif path.suffix == ".ipc":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, data.schema) as writer:
            writer.write_table(data)
    else:
        path.write_text(as_lines(), encoding="utf-8")


@pytest.mark.parametrize("ending", [".parquet", ".arrow", ".feather", ".ipc"])
def test_typed_files_keep_their_types(tmp_path: Path, ending: str) -> None:
    data = pa.table({"a": [1, None, 3], "b": ["x", "y", None], "c": [True, False, None]})
    write(tmp_path / f"data{ending}", data)
    assert read_table(tmp_path / f"data{ending}").data.equals(data)
    assert read_table(tmp_path / f"data{ending}", columns=["c", "a"]).data.equals(data.select(["c", "a"]))


@pytest.mark.parametrize("chunk_rows", [1, 7, 100, 1000])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".ipc"])
def test_chunks_add_up_to_the_table(tmp_path: Path, ending: str, chunk_rows: int) -> None:
    n = 250
    data = pa.table({"a": [str(place) for place in range(n)], "b": [f"w{place % 7}" for place in range(n)]})
    path = tmp_path / f"data{ending}"
    if ending.startswith(".csv"):
        lines = "a,b\n" + "".join(f"{row['a']},{row['b']}\n" for row in data.to_pylist())
        path.write_bytes(gzip.compress(lines.encode()) if ending.endswith("gz") else lines.encode())
    else:
        write(path, data)
    chunks = list(read_chunks(path, chunk_rows=chunk_rows))
    assert [chunk.n_rows for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert pa.concat_tables([chunk.data for chunk in chunks]).equals(read_table(path).data)
    assert len({chunk.data.schema for chunk in chunks}) == 1


def test_chunks_hold_a_bounded_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    line = "1,some words that fill the line\n"
    path.write_text("a,b\n" + line * 600_000)
    before = pa.total_allocated_bytes()
    most, rows = 0, 0
    for chunk in read_chunks(path, chunk_rows=1000):
        rows += chunk.n_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 600_000
    assert most < path.stat().st_size


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_pages_of_an_arrow_file_are_let_go(tmp_path: Path) -> None:
    path = tmp_path / "data.ipc"
    write(path, pa.table({name: np.arange(2_000_000.0) for name in "ab"}))  # one batch of 32 MB
    before, most, rows = mapped_bytes(), 0, 0
    for chunk in read_chunks(path, chunk_rows=8192):
        assert chunk.column("b")[0].as_py() == rows
        rows += chunk.n_rows
        most = max(most, mapped_bytes() - before)
    assert rows == 2_000_000
    assert most < path.stat().st_size / 4


def mapped_bytes() -> int:
    """How much of mapped files is in memory."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile")
    )
    return int(line.split()[1]) * 1024


def test_every_slice_of_an_arrow_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "data.ipc"
    n = 10_000
    write(path, pa.table({"a": [f"word {place:05}" for place in range(n)]}))
    data = bytearray(path.read_bytes())
    last_offset = data.index((10 * (n - 1)).to_bytes(4, "little") + (10 * n).to_bytes(4, "little"))
    data[last_offset : last_offset + 4] = (10 * n + 1).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FileReadError, match="is not a complete Arrow file"):
        list(read_chunks(path, chunk_rows=1000))


def test_a_row_larger_than_a_block_is_read(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1," + "x" * 9_000_000 + "\n2,y\n")
    assert read_table(path).column("a").to_pylist() == ["1", "2"]


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(as_lines())
    assert read_table(path, columns=["answer", "city"]).column_names == ("answer", "city")
    assert next(read_chunks(path, chunk_rows=2, columns=["size"])).column_names == ("size",)
    with pytest.raises(SchemaError, match=r"no column 'sise'\. Did you mean 'size'"):
        read_table(path, columns=["sise"])


def test_patterns_and_folders(tmp_path: Path) -> None:
    for place in range(3):
        (tmp_path / f"part-{place}.csv").write_text(f"a,b\n{place},x\n")
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "one.parquet")
    (tmp_path / "deep").mkdir()
    pq.write_table(pa.table({"b": ["y"], "a": [2.5]}), tmp_path / "deep" / "two.parquet")
    assert read_table(f"{tmp_path}/part-*.csv").column("a").to_pylist() == ["0", "1", "2"]
    folder = read_table(tmp_path)
    assert sorted(folder.column("a").to_pylist()) == [1.0, 2.5]
    types = {chunk.data.schema.field("a").type for chunk in read_chunks(tmp_path, chunk_rows=1)}
    assert types == {pa.float64()}


def test_files_of_a_pattern_share_the_decimal_mark(tmp_path: Path) -> None:
    (tmp_path / "a1.csv").write_text("a;b\n1;2\n")
    (tmp_path / "a2.csv").write_text("a;b\n1,5;2\n")
    assert read_table(f"{tmp_path}/a*.csv").decimal == ","


@pytest.mark.parametrize(
    "text",
    [
        "team,3P%,2nd\nA,1.5,2\nB,2.5,3\n",
        "country,1990,1991\nA,1.5,2\nB,2.5,3\n",
        ",0,1,2\n0,1.5,2,7\n1,2.5,3,8\n",
        "0,1,2\n1.5,2,7\n2.5,3,8\n",
        "#id,name\n1,x\n2,y\n",
    ],
)
def test_names_that_look_like_numbers_or_comments(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    table = read_table(path)
    assert table.n_rows == 2
    assert list(table.column_names)[1:] == text.partition("\n")[0].split(",")[1:]


@pytest.mark.parametrize(
    "text", ["5 kg,a\n6 kg,b\n7 kg,c\n", "2020-01-01,a\n2020-01-02,b\n", "x,1\nx,2\ny,3\n"]
)
def test_a_first_row_that_may_be_data_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(FileReadError, match=r"line 1 may be data.*--header-rows 0"):
        read_table(path)
    assert read_table(path, ReadOptions(header_rows=0)).n_rows == text.count("\n")


def test_a_header_of_numbers_is_settled_by_an_option(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("1,2,3\n4,5,6\n")
    with pytest.raises(FileReadError, match=r"line 1 may be data.*--header-rows 0"):
        read_table(path)
    assert read_table(path, ReadOptions(header_rows=1)).column_names == ("1", "2", "3")
    plain = read_table(path, ReadOptions(header_rows=0))
    assert plain.column_names == ("column 1", "column 2", "column 3")
    assert plain.n_rows == 2


def test_content_decides_where_the_ending_says_nothing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "data.dat")
    (tmp_path / "data.data").write_text("a,b\n1,2\n")
    assert read_table(tmp_path / "data.dat").column("a").to_pylist() == [1]
    assert read_table(tmp_path / "data.data").column("b").to_pylist() == ["2"]
