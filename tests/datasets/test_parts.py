"""Data sets of several files: types that differ, empty files, columns that only some have, files in one."""

from __future__ import annotations

import codecs
import datetime as dt
import gzip
import itertools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import ReadOptions, SchemaOverrides, infer_schema, read_chunks, read_table
from xrfm_cli.errors import FileReadError, SchemaError

DAY, LAST = dt.date(2024, 1, 2), dt.datetime(9999, 12, 31)
NOON, UTC_NOON = dt.datetime(2024, 1, 2, 12), dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
MIDNIGHT = dt.datetime(2024, 1, 2)


def levels(prefix: str) -> pa.Array:
    """A category of 100 levels, as pandas writes it: the index has 8 bits."""
    words = pa.array([f"{prefix}{place}" for place in range(100)])
    return pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), words)


def cells(value: object, kind: pa.DataType) -> pa.Array:
    return pa.array([value], kind)


# Two columns, and the values that they have together.
SHARED: dict[str, tuple[pa.Array, pa.Array, list[object]]] = {
    "int32 and int64": (cells(1, pa.int32()), cells(2**40, pa.int64()), [1, 2**40]),
    "uint8 and int8": (cells(200, pa.uint8()), cells(-1, pa.int8()), [200, -1]),
    "uint64 and int64": (cells(2**64 - 1, pa.uint64()), cells(-1, pa.int64()), [2**64 - 1, -1]),
    "int64 and double": (cells(2**53, pa.int64()), cells(0.5, pa.float64()), [2.0**53, 0.5]),
    "int64 and whole doubles": (
        cells(2**60 + 1, pa.int64()),
        pa.array([5.0, None, float("nan"), -(2.0**53)], from_pandas=False),
        [2**60 + 1, 5, None, None, -(2**53)],
    ),
    "int64 and large doubles": (cells(7, pa.int64()), cells(2.0**60, pa.float64()), [7.0, 2.0**60]),
    "int8 and whole floats": (cells(-5, pa.int8()), cells(3.0, pa.float32()), [-5, 3]),
    "float and double": (cells(0.1, pa.float32()), cells(0.2, pa.float64()), [0.1, 0.2]),
    "int32 and float": (cells(2**31 - 1, pa.int32()), cells(0.1, pa.float32()), [2.0**31 - 1, 0.1]),
    "decimals": (
        cells(Decimal("1.5"), pa.decimal128(38, 1)),
        cells(Decimal("0.0025"), pa.decimal128(5, 4)),
        [Decimal("1.5"), Decimal("0.0025")],
    ),
    "decimal and int64": (
        cells(Decimal("1.5"), pa.decimal128(3, 1)),
        cells(2**62, pa.int64()),
        [Decimal("1.5"), Decimal(2**62)],
    ),
    "decimal and double": (
        cells(Decimal("0.1"), pa.decimal128(38, 20)),
        cells(0.2, pa.float64()),
        [0.1, 0.2],
    ),
    "string and large_string": (cells("a", pa.string()), cells("b", pa.large_string()), ["a", "b"]),
    "string and string_view": (cells("a", pa.string()), cells("b", pa.string_view()), ["a", "b"]),
    "string and dictionary": (
        cells("a", pa.string()),
        cells("b", pa.string()).dictionary_encode(),
        ["a", "b"],
    ),
    "dictionaries": (levels("a"), levels("b"), [*levels("a").to_pylist(), *levels("b").to_pylist()]),
    "int64 and dictionary": (cells(5, pa.int64()), cells(7, pa.int32()).dictionary_encode(), [5, 7]),
    "timestamps": (cells(NOON, pa.timestamp("ms")), cells(NOON, pa.timestamp("ns")), [NOON, NOON]),
    "timestamps far apart": (cells(LAST, pa.timestamp("us")), cells(NOON, pa.timestamp("ns")), [LAST, NOON]),
    "zones": (
        cells(UTC_NOON, pa.timestamp("us", "Europe/Vienna")),
        cells(UTC_NOON, pa.timestamp("us", "UTC")),
        [UTC_NOON, UTC_NOON],
    ),
    "date and timestamp": (cells(DAY, pa.date32()), cells(NOON, pa.timestamp("us")), [MIDNIGHT, NOON]),
    "dates": (cells(DAY, pa.date32()), cells(DAY, pa.date64()), [DAY, DAY]),
    "durations": (
        cells(dt.timedelta(days=1), pa.duration("s")),
        cells(dt.timedelta(days=2), pa.duration("us")),
        [dt.timedelta(days=1), dt.timedelta(days=2)],
    ),
    "times": (
        cells(dt.time(1, 2), pa.time32("s")),
        cells(dt.time(3, 4), pa.time64("us")),
        [dt.time(1, 2), dt.time(3, 4)],
    ),
    "null and int64": (cells(None, pa.null()), cells(1, pa.int64()), [None, 1]),
    "null and dictionary": (cells(None, pa.null()), cells("b", pa.string()).dictionary_encode(), [None, "b"]),
    "null and timestamp": (cells(None, pa.null()), cells(NOON, pa.timestamp("us")), [None, NOON]),
}
# Two columns, and their types as they are named.
UNLIKE = {
    "int64 and string": (cells(1, pa.int64()), cells("b", pa.string()), "int64", "string"),
    "bool and int64": (cells(True, pa.bool_()), cells(1, pa.int64()), "bool", "int64"),
    "beyond a double": (cells(2**53 + 1, pa.int64()), cells(0.5, pa.float64()), "int64", "double"),
    "unsigned beyond a double": (cells(2**63 + 1, pa.uint64()), cells(1.0, pa.float64()), "uint64", "double"),
    "digits beyond a double": (
        cells(Decimal("1.0000000000000001"), pa.decimal128(20, 16)),
        cells(1.0, pa.float64()),
        "decimal128(20, 16)",
        "double",
    ),
    "zone and none": (
        cells(UTC_NOON, pa.timestamp("us", "UTC")),
        cells(NOON, pa.timestamp("us")),
        "timestamp[us, tz=UTC]",
        "timestamp[us]",
    ),
    "nanoseconds and far": (
        pa.array([1], pa.timestamp("ns")),
        cells(LAST, pa.timestamp("us")),
        "timestamp[ns]",
        "timestamp[us]",
    ),
    "lists": (cells([1], pa.list_(pa.int32())), cells(["a"], pa.list_(pa.string())), "list", "list"),
}


def write_parts(folder: Path, *columns: pa.Array | None, form: str = "parquet") -> str:
    """A data set of a file for each column ``q``, beside one that the files share; returns its pattern."""
    folder.mkdir()
    for place, column in enumerate(columns):
        n = 1 if column is None else len(column)
        data = {"z": pa.array(range(n), pa.float64())} | ({} if column is None else {"q": column})
        table = pa.table(data if place % 2 else dict(reversed(data.items())))  # in another order in each
        path = folder / f"part-{place}.{form}"
        if form == "parquet":
            pq.write_table(table, path)
        else:
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
    return f"{folder}/*.{form}"


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", SHARED)
def test_types_that_hold_all_values_are_joined(name: str, swapped: bool, form: str, tmp_path: Path) -> None:
    one, other, expected = SHARED[name]
    if swapped:
        one, other = other, one
        expected = [*expected[len(other) :], *expected[: len(other)]]
    try:
        pattern = write_parts(tmp_path / "data", one, other, form=form)
    except pa.ArrowNotImplementedError as fault:
        pytest.skip(f"this version of pyarrow writes no such file: {fault}")
    table = read_table(pattern)
    assert table.column("q").to_pylist() == expected
    chunks = list(read_chunks(pattern, chunk_rows=1))
    assert [chunk.column("q")[0].as_py() for chunk in chunks] == expected
    assert {chunk.column("q").type for chunk in chunks} == {table.column("q").type}


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", UNLIKE)
def test_types_that_lose_values_stop_who_needs_them(
    name: str, swapped: bool, form: str, tmp_path: Path
) -> None:
    one, other, *kinds = UNLIKE[name]
    pattern = write_parts(tmp_path / "data", *((other, one) if swapped else (one, other)), form=form)
    table = read_table(pattern)
    assert (table.n_rows, table.column("z").to_pylist()) == (2, [0.0, 0.0])
    with pytest.raises(SchemaError) as refused:
        table.column("q")
    for fact in ("column 'q' is", *kinds, f"part-0.{form}", f"part-1.{form}", "write it with one type"):
        assert fact in str(refused.value)
    with pytest.raises(SchemaError, match="or leave the column out with --drop"):
        infer_schema(table)
    assert infer_schema(table, SchemaOverrides(drop=("q",))).column("q").role == "dropped"
    assert infer_schema(table, SchemaOverrides(ids=("q",))).column("q").role == "id"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_column_that_one_file_lacks(place: int, tmp_path: Path) -> None:
    columns: list[pa.Array | None] = [cells(place, pa.int64()) for place in range(3)]
    columns[place] = None
    table = read_table(write_parts(tmp_path / "data", *columns))
    assert table.n_rows == 3
    with pytest.raises(
        SchemaError, match=rf"part-{place}.parquet: no column 'q', which .*part-\d.parquet has"
    ):
        table.column("q")


def csv_bytes(rows: str) -> bytes:
    return f"a,y\n{rows}".encode()


def parquet(tmp_path: Path, n: int) -> bytes:
    pq.write_table(pa.table({"a": pa.array([1.5] * n), "y": pa.array([2] * n)}), tmp_path / "made")
    return (tmp_path / "made").read_bytes()


EMPTY: dict[str, tuple[str, Callable[[Path], bytes], Callable[[Path], bytes]]] = {
    "csv of names": (".csv", lambda _: csv_bytes("1.5,2\n"), lambda _: csv_bytes("")),
    "csv of nothing": (".csv", lambda _: csv_bytes("1.5,2\n"), lambda _: b""),
    "csv of line ends": (".csv", lambda _: csv_bytes("1.5,2\n"), lambda _: b"\n\n"),
    "csv of a mark": (".csv", lambda _: csv_bytes("1.5,2\n"), lambda _: codecs.BOM_UTF8),
    "packed csv": (
        ".csv.gz",
        lambda _: gzip.compress(csv_bytes("1.5,2\n")),
        lambda _: gzip.compress(b"a,y\n"),
    ),
    "packed nothing": (
        ".csv.gz",
        lambda _: gzip.compress(csv_bytes("1.5,2\n")),
        lambda _: gzip.compress(b""),
    ),
    "parquet of names": (".parquet", lambda path: parquet(path, 1), lambda path: parquet(path, 0)),
    "parquet of nothing": (".parquet", lambda path: parquet(path, 1), lambda _: b""),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("name", EMPTY)
def test_files_without_rows_are_left_out(name: str, place: int, tmp_path: Path) -> None:
    ending, full, empty = EMPTY[name]
    for number in range(3):
        make = empty if number == place else full
        (tmp_path / f"part-{number}{ending}").write_bytes(make(tmp_path))
    table = read_table(f"{tmp_path}/part*")
    assert table.n_rows == 2
    assert [float(value) for value in table.column("a").to_pylist()] == [1.5, 1.5]
    assert "files without rows left out (1)" in table.notes[0]
    assert f"part-{place}{ending}" in table.notes[0]
    for number in range(3):
        (tmp_path / f"part-{number}{ending}").write_bytes(empty(tmp_path))
    with pytest.raises(FileReadError, match="none of its 3 files has a row"):
        read_table(f"{tmp_path}/part*")


def test_a_success_file_beside_parts(tmp_path: Path) -> None:
    for ending, data in ((".csv", csv_bytes("1,2\n")), (".parquet", parquet(tmp_path, 1))):
        folder = tmp_path / ending
        folder.mkdir()
        (folder / f"part{ending}").write_bytes(data)
        (folder / "_SUCCESS").touch()
        assert read_table(f"{folder}/*").n_rows == 1


def test_parts_written_in_other_ways(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("town,a\nGraz,1.5\nLinz,2.25\n")
    (tmp_path / "2.csv.gz").write_bytes(gzip.compress(b"a;town\n3.5;Wien\n"))
    (tmp_path / "3.csv").write_bytes('"a"\t"town"\r\n"4.5"\t"Mürz"\r\n'.encode("cp1252"))
    (tmp_path / "4.csv").write_bytes("a,town\n5.5,Öd\n".encode("utf-16"))
    table = read_table(f"{tmp_path}/*")
    assert table.column("town").to_pylist() == ["Graz", "Linz", "Wien", "Mürz", "Öd"]
    assert table.column("a").to_pylist() == ["1.5", "2.25", "3.5", "4.5", "5.5"]
    assert len(table.notes) == 4
    (tmp_path / "5.csv").write_text("a;town\n6,5;Enns\n")
    with pytest.raises(FileReadError, match=r"5.csv: has the decimal mark ',', but .*1.csv has '.'"):
        read_table(f"{tmp_path}/*")


def test_a_decimal_mark_holds_in_all_files(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a;b\n1,5;x\n")
    (tmp_path / "2.csv").write_text("a;b\n1,250;x\n")  # alone, 1.25 or 1250
    assert read_table(f"{tmp_path}/*.csv").decimal == ","
    (tmp_path / "2.csv").write_text("a;b\n" + "7;x\n" * 5000 + "1.5;x\n")
    with pytest.raises(FileReadError, match=r"2.csv: row 5001 .* does not fit the decimal mark ','"):
        read_table(f"{tmp_path}/*.csv")


MARK, ROWS = "\ufeff", "1,x,yes\n2,z,no\n"
AGAIN = {
    "a mark": MARK + "id,a,label\n",
    "no mark": "id,a,label\n",
    "two marks": MARK + MARK + "id,a,label\n",
    "quotes": MARK + '"id","a","label"\n',
    "blanks": MARK + "id , a, label\n",
    "other line ends": MARK + "id,a,label\r\n",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("again", "rows", "encoding"),
    [
        *itertools.product(AGAIN, [0, 2, 1500], ["utf-8"]),  # right after the names, in the sample, behind it
        *itertools.product(["a mark", "no mark"], [0, 2, 1500], ["utf-8-sig", "utf-16"]),
        ("a mark", 60_000, "utf-8"),
    ],
)
def test_names_of_a_second_file_are_no_row(again: str, rows: int, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(("id,a,label\n" + ROWS * (rows // 2) + AGAIN[again] + ROWS).encode(encoding))
    message = rf"row {rows + 1} \(line {rows + 2}\) repeats the column names"
    with pytest.raises(FileReadError, match=message):
        read_table(path)
    with pytest.raises(FileReadError, match=message):
        list(read_chunks(path, chunk_rows=100))
    table = read_table(path, ReadOptions(bad_rows="skip"))
    assert table.column("label").value_counts().to_pylist() == [
        {"values": word, "counts": rows // 2 + 1} for word in ("yes", "no")
    ]
    assert table.column("id").to_pylist()[-2:] == ["1", "2"]
    assert [(repair.what, repair.count) for repair in table.repairs] == [("rejected row", 1)]


def test_a_mark_that_straddles_two_blocks(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    head = b"id,a,label\n"
    for shift in range(-4, 2):  # the bytes of the mark lie around the end of a block of 256 KiB
        filler = b"1," + b"x" * ((1 << 18) + shift - len(head) - 7) + b",yes\n"
        path.write_bytes(head + filler + codecs.BOM_UTF8 + head + b"2,z,no\n")
        with pytest.raises(FileReadError, match="repeats the column names"):
            read_table(path)


@pytest.mark.parametrize("skips", [False, True])
def test_names_in_another_order_stop_in_any_case(skips: bool, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,a,label\n" + ROWS * 1000 + "label,id,a\n" + "yes,1,x\n" * 3)
    with pytest.raises(FileReadError, match=r"line 2002\) repeats the column names in another order"):
        read_table(path, ReadOptions(bad_rows="skip" if skips else "stop"))


@pytest.mark.parametrize("mark", ["", MARK])
def test_files_put_together_without_a_line_end(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,a,label\n" + ROWS.rstrip() + mark + "id,a,label\n" + ROWS, encoding="utf-8")
    with pytest.raises(FileReadError, match=r"line 3\) has 5 cells, but there are 3 columns"):
        read_table(path)


def test_a_file_of_another_encoding_behind(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("id,a,label\n1,Mürz,yes\n".encode("cp1252") + "\ufeffid,a,label\n2,Öd,no\n".encode())
    with pytest.raises(FileReadError, match=r"cp1252|UTF-8") as refused:
        read_table(path)
    assert "line" in str(refused.value)


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("other", ["p ", "\u00a0p", "\ufeffp"])
def test_names_that_differ_in_blanks_are_one_column(other: str, form: str, tmp_path: Path) -> None:
    for place, name in enumerate(("p", other)):
        path = tmp_path / f"part-{place}.{form}"
        table = pa.table({"z": [0.5, 1.5], name: [place, place + 10]})
        if form == "parquet":
            pq.write_table(table, path)
        else:
            path.write_text(f"z,{name}\n0.5,{place}\n1.5,{place + 10}\n")
    table = read_table(f"{tmp_path}/part-*.{form}")
    assert table.column_names == ("z", "p")
    assert [float(cell) for cell in table.column("p").to_pylist()] == [0, 10, 1, 11]


def test_names_that_one_file_tells_apart_stay_apart(tmp_path: Path) -> None:
    pq.write_table(pa.table({"p": [1], "p ": [2]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"p ": [4], "p": [3]}), tmp_path / "1.parquet")
    assert read_table(tmp_path).data.to_pydict() == {"p": [1, 3], "p ": [2, 4]}


@pytest.mark.parametrize("years", [(2020,), (2020, 2021)])
@pytest.mark.parametrize("columns", [None, ("z", " year")])
def test_a_column_wins_over_a_folder_whatever_blanks_stand_around_its_name(
    years: tuple[int, ...], columns: tuple[str, ...] | None, tmp_path: Path
) -> None:
    for year in years:
        (tmp_path / f"year={year}").mkdir()
        table = pa.table({"z": [0.5], " year": [year - 100]})
        pq.write_table(table, tmp_path / f"year={year}" / "0.parquet")
    table = read_table(tmp_path, columns=columns)
    assert table.column_names == ("z", " year")
    assert table.column("year").to_pylist() == [year - 100 for year in years]


def test_a_column_wins_over_a_folder_where_columns_are_chosen(tmp_path: Path) -> None:
    (tmp_path / "year=2020").mkdir()
    pq.write_table(pa.table({"z": [0.5], "year": [1920]}), tmp_path / "year=2020" / "0.parquet")
    assert read_table(tmp_path, columns=["year"]).column("year").to_pylist() == [1920]
