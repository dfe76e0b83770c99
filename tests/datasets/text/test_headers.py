"""Column names: distinguished from data, and equal in every spelling."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import Table, read_table
from xrfm_cli.datasets.column_names import find_name
from xrfm_cli.errors import FileReadError, SchemaError

HUES, CAPS, SMELLS = ("red", "blue", "green"), ("x", "b", "s"), ("n", "p")


def rows(*columns: tuple[str, ...]) -> str:
    return "".join(",".join(column[row % len(column)] for column in columns) + "\n" for row in range(40))


COUNTS = tuple(map(str, range(40)))


@pytest.mark.parametrize(
    "text",
    [
        "red,x,y\n" + rows(HUES, COUNTS, COUNTS),
        "red,y\n" + rows(HUES, COUNTS),
        "class,cap,odor\n" + rows(("class", "order", "family"), CAPS, SMELLS),
        "x,cap,y\n" + rows(CAPS, ("b", "c"), COUNTS),
    ],
)
def test_a_name_among_its_own_levels_is_a_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert ",".join(read_table(path).column_names) == text.splitlines()[0]


@pytest.mark.parametrize(
    "text",
    [
        rows(SMELLS, CAPS, HUES),
        "red,unsure,p\n" + rows(HUES, COUNTS, SMELLS),  # a word amid numbers, the others are levels
        "red,else\n" + "red,other\nblue,more\n",  # too few rows to tell
    ],
)
def test_a_first_row_of_levels_may_be_data(text: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(FileReadError, match="line 1 may be data, not a header"):
        read_table(path)


@pytest.mark.parametrize("spelled", [" price", "price\u00a0", "\ufeffprice", "\u200bprice", '"price "'])
def test_names_of_text_tables_are_tidy(spelled: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"area,{spelled}\n1,2\n3,4\n", encoding="utf-8")
    assert read_table(path).column_names == ("area", "price")


@pytest.mark.parametrize(
    ("one", "other"), [("price", " price "), ("prix payé", "prix paye\u0301"), ("w", "\ufeffw")]
)
def test_a_column_is_found_by_another_spelling_of_its_name(one: str, other: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({other: [1.0]}), tmp_path / "data.parquet")
    table = read_table(tmp_path / "data.parquet")
    assert table.has_column(one)
    assert table.column(one).to_pylist() == [1.0]
    assert table.select([one]).column_names == (one,)


def test_a_name_is_found_as_it_is_before_another_spelling() -> None:
    table = Table(pa.table({"a": [1], "a ": [2], "b ": [3], " b": [4]}))
    assert table.column("a ").to_pylist() == [2]
    assert find_name(" a", table.column_names) is None  # two are alike
    with pytest.raises(SchemaError, match="no column 'b'"):
        table.column("b")


RULED = {
    "commas": ("a,b,y\n---,----,-\n", "{a},{b},{y}\n", "\n(9 rows affected)\n"),
    "tabs": ("a\tb\ty\n---\t----\t-\n", "{a}\t{b}\t{y}\n", ""),
    "psql": (" a | b | y \n---+----+----\n", " {a} | {b} | {y}\n", "(9 rows)\n\n"),
    "mysql": (
        "+---+----+---+\n| a | b | y |\n+---+----+---+\n",
        "| {a} | {b} | {y} |\n",
        "+---+----+---+\n9 rows in set (0.00 sec)\n",
    ),
    "Markdown": ("| a | b | y |\n|---|:--|--:|\n", "| {a} | {b} | {y} |\n", ""),
}


@pytest.mark.parametrize("name", RULED)
def test_a_line_of_dashes_under_the_names_is_no_row(name: str, tmp_path: Path) -> None:
    before, line, after = RULED[name]
    path = tmp_path / "data.csv"
    path.write_text(before + "".join(line.format(a=n, b=f"x{n % 3}", y=n % 4) for n in range(9)) + after)
    table = read_table(path)
    assert [cell.strip() for cell in table.column("a").to_pylist()] == [str(n) for n in range(9)]
    assert {cell.strip() for cell in table.column("b").to_pylist()} == {"x0", "x1", "x2"}
    assert "the line of dashes under the header left out" in table.notes[0]


def test_a_row_of_missing_cells_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a,b,y\n-,-,-\n" + rows(COUNTS, CAPS, COUNTS))
    assert read_table(path).n_rows == 41
