"""Missing cells: text files spell them, all other formats have a type for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from xrfm_cli.datasets import SchemaOverrides, Table, fit_encoder, infer_schema, infer_target, read_table
from xrfm_cli.datasets.cells.words import find_words, word_levels
from xrfm_cli.datasets.encoders.table_encoder import EncodingConfig
from xrfm_cli.datasets.encoders.typed_rows import typed_table
from xrfm_cli.datasets.joining import concatenate_tables
from xrfm_cli.datasets.schema.roles import read_groups
from xrfm_cli.errors import SchemaError

CELLS = ["NA", "", "nan", "a", "a ", "1.1", "1.10", "01", "1", "True", "true", None]


def test_typed_text_is_taken_as_it_is() -> None:
    levels = word_levels(pa.array(CELLS), is_typed=True)
    assert levels.values.to_pylist() == CELLS[:-1]
    assert levels.codes.tolist() == [*range(11), -1]


def test_text_files_spell_missing_cells_and_pad() -> None:
    levels = word_levels(pa.array(CELLS), is_typed=False)
    assert levels.values.to_pylist() == ["a", "1.1", "1.10", "01", "1", "True", "true"]
    assert levels.codes.tolist() == [-1, -1, -1, 0, 0, 1, 2, 3, 4, 5, 6, -1]


@pytest.mark.parametrize(
    ("known", "cell", "code"),
    [
        (("NA", "a"), "NA", 0),  # learned from a typed table, looked up in a text file
        (("a",), "NA", -1),  # learned from a text file, looked up in a typed table
        (("a",), " a ", 0),
        (("a", "a "), "a ", 1),
        (("1.1", "1.10"), "1.10", 1),
        (("1.1", "1.10"), " 1.10 ", 1),
        (("1.1", "1.10"), "1.100", 0),
        (("3",), "3.0", 0),
        (("true",), "TRUE", 0),
        (("01", "1"), "01", 0),
        (("1",), "01", -2),
        (("a",), None, -1),
        (("nan",), "nan", 0),
    ],
)
def test_the_closest_spelling_of_a_level_wins(known: tuple[str, ...], cell: str | None, code: int) -> None:
    assert find_words(pa.array([cell], pa.string()), ".", known).tolist() == [code]


def test_numbers_find_the_levels_that_spell_them() -> None:
    assert find_words(pa.array([1.1, 3.0, np.nan, None]), ".", ("1.10", "1.1", "3", "nan")).tolist() == [
        1,
        2,
        -1,
        -1,
    ]


Write = Callable[[pa.Table, Path], Table]


def as_csv(data: pa.Table, folder: Path) -> Table:
    pyarrow.csv.write_csv(data, folder / "t.csv")
    return read_table(folder / "t.csv")


def as_parquet(data: pa.Table, folder: Path) -> Table:
    pq.write_table(data, folder / "t.parquet")
    return read_table(folder / "t.parquet")


def feature_names(table: Table, overrides: SchemaOverrides) -> tuple[str, ...]:
    """The columns that a model sees."""
    schema = infer_schema(table, overrides)
    config = EncodingConfig(min_level_count=1)
    encoder, x, _ = fit_encoder(table, schema, config, target=np.zeros((table.n_rows, 1)))
    again = fit_encoder(typed_table(table, schema), schema, config, target=np.zeros((table.n_rows, 1)))
    assert again[0].feature_names == encoder.feature_names
    np.testing.assert_array_equal(again[1], x)
    return encoder.feature_names


@pytest.mark.parametrize(("write", "is_typed"), [(as_csv, False), (as_parquet, True)])
def test_levels_in_each_carrier(write: Write, is_typed: bool, tmp_path: Path) -> None:
    n = 8
    data = pa.table(
        {
            "zone": ["NA", "EU", "AF", "EU"] * n,
            "version": ["1.1", "1.10", "01", "1"] * n,
            "size": ["1", "NA", "2.5", "4"] * n,
        }
    )
    found = feature_names(write(data, tmp_path), SchemaOverrides(categorical=("version",)))
    zones = ("zone=AF", "zone=EU", "zone=NA" if is_typed else "zone missing")
    versions = ("version=01", "version=1", "version=1.1", "version=1.10")
    assert found == (*zones, *versions, "size", "size missing")


def test_targets_and_groups_in_each_carrier(tmp_path: Path) -> None:
    data = pa.table({"y": ["NA", "b", "", "b ", "c"] * 8, "x": list(range(40))})
    typed, text = as_parquet(data, tmp_path), as_csv(data, tmp_path)
    assert infer_target(typed, "y").classes == ("", "NA", "b", "b ", "c")
    assert infer_target(text, "y").classes == ("b", "c")
    groups = SchemaOverrides(group="y")
    codes = read_groups(typed, infer_schema(typed, groups))
    assert codes is not None
    assert len(np.unique(codes)) == 5
    with pytest.raises(SchemaError, match="row 1, group 'y' has no value"):
        read_groups(text, infer_schema(text, groups))


def test_a_typed_column_says_which_levels_spell_missing_cells() -> None:
    table = Table(pa.table({"zone": ["NA", "EU", "AF"]}), is_typed=True)
    assert infer_schema(table).column("zone").reason == "text with 3 levels, 'NA' among them"


def test_numbers_and_dates_as_text_have_missing_cells_in_any_carrier() -> None:
    for cells, kind in ((["1", "", "2.5"], "numeric"), (["2020-01-01", "NA", "2021-02-03"], "datetime")):
        typed = Table(pa.table({"c": cells}), is_typed=True)
        assert infer_schema(typed) == infer_schema(replace(typed, is_typed=False))
        assert infer_schema(typed).column("c").kind == kind


def test_a_category_of_numbers_as_text_stays_one() -> None:
    versions: Any = pa.array(["1.1", "1.10", "2"]).dictionary_encode()
    column = infer_schema(Table(pa.table({"c": versions}), is_typed=True)).column("c")
    assert (column.kind, column.levels_count) == ("categorical", 3)


def test_a_text_file_under_a_typed_table_spells_missing_cells() -> None:
    typed = Table(pa.table({"c": ["NA", "a"]}), is_typed=True)
    text = Table(pa.table({"c": ["NA", " a"]}))
    joined = concatenate_tables(typed, text)
    assert joined.column("c").to_pylist() == ["NA", "a", None, "a"]
    assert joined.is_typed
