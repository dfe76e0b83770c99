"""Faulty files give one line that names the place and the way out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import ReadOptions, read_chunks, read_table
from xrfm_cli.errors import FileReadError, InputError, OptionError, SchemaError

Make = Callable[[Path], object]
LINES = b"a,b\n" + b"1,x\n" * 5000


def parquet_bytes(folder: Path) -> bytes:
    path = folder / "whole.parquet"
    pq.write_table(pa.table({"a": list(range(5000)), "b": [str(i) for i in range(5000)]}), path)
    return path.read_bytes()


def arrow_bytes(values: list[int]) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, pa.schema([("a", pa.int64())])) as writer:
        writer.write_table(pa.table({"a": pa.array(values, pa.int64())}))
    return sink.getvalue()


def duplicate_columns() -> pa.Table:
    return pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])


CASES: list[tuple[str, Make | bytes | None, str]] = [
    ("missing.csv", None, "there is no such file"),
    ("folder/missing.csv", None, "nor the folder"),
    ("missing.parquet", None, "there is no such file"),
    ("empty.csv", b"", "the file is empty"),
    ("blank.csv", b"\n \n\n", "the file is empty"),
    ("empty.parquet", b"", "the file is empty"),
    ("empty.csv.gz", b"", "the file is empty"),
    ("header.csv", b"a,b\n", "has column names but no rows"),
    ("header-only.csv", b"a,b", "has column names but no rows"),
    (
        "header.parquet",
        lambda path: pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path),
        "no rows",
    ),
    ("long.csv", b"a,b\n1,2\n3,4,5\n", r"row 2 \(line 3\) has 3 cells, but there are 2 columns"),
    ("short.csv", b"a,b,c\n1,2,3\n\n4,5\n", r"row 2 \(line 4\) has 2 cells, but there are 3 columns"),
    ("late.csv", LINES + b"1,2,3\n", r"row 5001 \(line 5002\) has 3 cells"),
    ("late.csv.gz", gzip.compress(LINES + b"1\n"), r"row 5001 \(line 5002\) has 1 cell, "),
    ("quote.csv", b'a,b\n1,"x\n' + b"2,y\n" * 60, r"row 1 \(line 2\): a quote is opened and not closed"),
    ("names.csv", b"a,b,a\n1,2,3\n", "columns 1 and 3 are both named 'a'"),
    ("names.parquet", lambda path: pq.write_table(duplicate_columns(), path), "both named 'a'"),
    ("bytes.csv", "a,b\nMünchen,ö\n".encode() + b"x,\xe9\n", "line 3 has byte 0xE9, which is not utf-8"),
    ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(64), "is a PNG picture, not CSV"),
    ("picture.parquet", b"\x89PNG\r\n\x1a\n" + bytes(64), "is a PNG picture, not Parquet"),
    ("sheet.csv", b"PK\x03\x04" + bytes(64), "Excel workbook, not CSV"),
    ("page.csv", b"<!DOCTYPE html><html></html>", "is a web page"),
    ("records.csv", b'[{"a": 1}]', "is JSON, not CSV"),
    ("noise.csv", bytes(range(256)) * 8, "binary data, not text"),
    ("table.csv", lambda path: pq.write_table(pa.table({"a": [1]}), path), "rename it to end in .parquet"),
    ("packed.csv", gzip.compress(LINES), "rename it to end in .gz"),
    ("plain.csv.gz", LINES, "is not gzip-compressed; rename it without .gz"),
    ("text.parquet", LINES, "is not in Parquet format; if it is CSV, rename it to end in .csv"),
    ("text.arrow", LINES, "is not in Arrow format"),
    ("cut.csv.gz", gzip.compress(LINES)[:-20], "the gzip data breaks off before its end"),
    ("cut.csv.bz2", bz2.compress(LINES)[:-20], "the bz2 data breaks off before its end"),
    ("cut.csv.xz", lzma.compress(LINES)[:-20], "the xz data breaks off before its end"),
    (
        "cut.csv.zst",
        pa.Codec("zstd").compress(LINES, asbytes=True)[:-5],
        "the zstd data breaks off before its end",
    ),
    ("bad.csv.gz", gzip.compress(LINES)[:30] + bytes(40), "the gzip data"),
    (
        "cut.parquet",
        lambda path: path.write_bytes(parquet_bytes(path.parent)[:-100]),
        "not a complete Parquet",
    ),
    (
        "half.parquet",
        lambda path: path.write_bytes(parquet_bytes(path.parent)[:2000]),
        "not a complete Parquet",
    ),
    (
        "joined.parquet",
        lambda path: path.write_bytes(parquet_bytes(path.parent) * 2),
        "several concatenated Parquet files",
    ),
    (
        "joined.arrow",
        lambda path: path.write_bytes(arrow_bytes([1, 2]) * 2),
        "several concatenated Arrow files",
    ),
    ("unequal.arrow", arrow_bytes([1]) + arrow_bytes([*range(999)]), "several concatenated Arrow files"),
    ("empty-last.arrow", arrow_bytes([1]) + arrow_bytes([]), "several concatenated Arrow files"),
    ("more.csv.gz", gzip.compress(LINES) + b"2,y\n", "the gzip data"),
    ("more.csv.bz2", bz2.compress(LINES) + b"2,y\n", "the bz2 data"),
    ("more.csv.xz", lzma.compress(LINES) + b"2,y\n", "the xz data"),
    ("more-rows.csv.xz", lzma.compress(LINES) + b"2,y\n" * 9, "the xz data is damaged"),
    ("more.csv.zst", pa.Codec("zstd").compress(LINES, asbytes=True) + b"2,y\n", "the zstd data"),
    ("nothing-*.csv", None, "no file matches the pattern"),
]


@pytest.mark.parametrize(("name", "make", "message"), CASES, ids=[case[0] for case in CASES])
def test_one_line_errors(tmp_path: Path, name: str, make: Make | bytes | None, message: str) -> None:
    path = tmp_path / name
    if isinstance(make, bytes):
        path.write_bytes(make)
    elif make is not None:
        make(path)
    with pytest.raises(FileReadError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert name.partition("*")[0] in str(caught.value)
    with pytest.raises(FileReadError, match=message):
        list(read_chunks(path, chunk_rows=10))


def test_the_nearest_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a\n1\n")
    with pytest.raises(FileReadError, match=r"Did you mean 'train.csv'"):
        read_table(tmp_path / "trian.csv")


@pytest.mark.parametrize(
    ("word", "encoding"),
    [
        ("Wrocław", "cp1250"),
        ("Łódź", "cp1250"),
        ("kość słoniowa", "cp1250"),
        ("Děčín", "cp1250"),
        ("Wrocław", "iso8859-2"),
        ("Москва", "cp1251"),
        ("Αθήνα", "cp1253"),
        ("Diyarbakır'ın ışığı", "mac_turkish"),
    ],
)
def test_text_of_another_eight_bit_encoding_is_refused(tmp_path: Path, word: str, encoding: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(f"a,b\n{word},1\nx,2\nz,3\n".encode(encoding))
    with pytest.raises(FileReadError, match="give --encoding"):
        read_table(path)
    assert read_table(path, ReadOptions(encoding=encoding)).data["a"][0].as_py() == word


@pytest.mark.parametrize(
    "word", ["W/m²K", "Revenue £m", "sœur", "Škoda Žižka", "IT’S", "naïve Œuvre", "1 m³"]
)
def test_western_text_is_read(tmp_path: Path, word: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(f"a,b\n{word},1\nx,2\nz,3\n".encode("cp1252"))
    assert read_table(path).data["a"][0].as_py() == word


def test_bytes_that_do_not_fit_a_given_encoding_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b\n1,x\n2,\xe9\n")
    with pytest.raises(FileReadError, match="line 3 has byte 0xE9, which is not utf-8"):
        read_table(path, ReadOptions(encoding="utf-8"))
    body = b"a,b\n" + b"1,%b\n" % (b"x" * 100) * 12_000  # more than is sniffed
    path.write_bytes(body + b"2,\xe9\n")
    with pytest.raises(FileReadError, match="line 12002 has byte 0xE9, which is not utf-8"):
        read_table(path, ReadOptions(encoding="utf-8"))
    path.write_bytes(body + b"2,\x81\n")
    with pytest.raises(FileReadError, match="line 12002 has byte 0x81, which is not cp1252"):
        read_table(path, ReadOptions(encoding="cp1252"))


def test_folders_and_patterns(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="the folder holds no Parquet file"):
        read_table(tmp_path)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(SchemaError, match=r"b.csv: no column 'b', which .*a.csv has"):
        read_table(f"{tmp_path}/*.csv").column("b")
    (tmp_path / "b.csv").write_text('a,b\n"1,5",2\n')
    (tmp_path / "a.csv").write_text("a,b\n1.5,2\n")
    with pytest.raises(FileReadError, match=r"the decimal mark ',', but .* one mark"):
        read_table(f"{tmp_path}/*.csv")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "c.parquet")
    with pytest.raises(FileReadError, match="match one format"):
        read_table(f"{tmp_path}/*")
    pq.write_table(pa.table({"b": [1]}), tmp_path / "d.parquet")
    with pytest.raises(SchemaError, match="give files with the same columns"):
        read_table(tmp_path).column("b")


def test_chunks_of_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="chunk_rows"):
        next(read_chunks(tmp_path / "data.csv", chunk_rows=0))


def test_every_error_is_an_input_error() -> None:
    assert issubclass(FileReadError, InputError)
