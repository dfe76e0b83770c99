"""A column that another program wrote in another notation is named, not only counted."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets import SchemaOverrides, Table, UnreadColumns, fit_encoder, infer_schema

DAYS = [datetime(2024, 1, 1) + timedelta(days=3 * number) for number in range(40)]
TYPED = Table(
    pa.table(
        {
            "weight": pa.array([1.5 * number for number in range(40)]),
            "when": pa.array(DAYS),
            "took": pa.array([timedelta(minutes=number) for number in range(40)]),
            "flag": pa.array([number % 3 == 0 for number in range(40)]),
            "city": pa.array(["Graz", "Linz"] * 20),
            "y": pa.array([float(number) for number in range(40)]),
        }
    ),
    "train.parquet",
    is_typed=True,
)


def told(cells: dict[str, list[str]], blocks: int = 1) -> list[str]:
    """Return the warnings for a text table whose other columns are as in training."""
    schema = infer_schema(TYPED, SchemaOverrides(target="y"))
    encoder, _, _ = fit_encoder(TYPED, schema, target=np.zeros((40, 1)))
    unread = UnreadColumns(schema)
    rows = len(next(iter(cells.values())))
    data = TYPED.data.slice(0, rows).to_pydict() | cells
    table = Table(pa.table(data), "new.csv")
    for start in range(0, rows, rows // blocks):
        block = table.slice(start, start + rows // blocks)
        unread.look(block, encoder.encode(block)[1])
    return unread.lines()


@pytest.mark.parametrize(
    ("column", "cells", "example", "right"),
    [
        ("weight", ["", "3 kg", "4 kg", "NA"], "3 kg", "1234.5"),
        ("when", ["31.12.2023", "-", "1.1.2024", ""], "31.12.2023", "2024-03-31"),
        ("took", ["-", "90 parsecs", "91 parsecs", ""], "90 parsecs", "0 days 01:30:00"),
    ],
)
def test_columns_without_a_readable_cell_are_named(
    column: str, cells: list[str], example: str, right: str
) -> None:
    for blocks in (1, 2, 4):
        (line,) = told({column: cells}, blocks)
        assert line.startswith(f"{column}: no cell is a ")
        assert f"for example '{example}'; write {right}, or fit again" in line


@pytest.mark.parametrize(("column", "word"), [("flag", "on"), ("city", "GRZ")])
def test_columns_without_a_known_level_are_named(column: str, word: str) -> None:
    (line,) = told({column: [word] * 8 + [""] * 2})
    assert line.startswith(f"{column}: none of the values occurred in training, for example '{word}'")
    assert not told({column: [word] * 3})  # a few rows may be of a new city


def test_one_readable_cell_or_none_with_a_value_is_no_other_notation() -> None:
    assert not told({"weight": ["3 kg", "4 kg", "5"], "when": ["31.12.2023", "2024-01-01", ""]})
    assert not told({"weight": ["", "NA"], "when": ["", ""], "city": ["", ""]})
    assert not told({"city": ["GRZ"] * 9 + ["Graz"]}, blocks=2)
