"""``xrfm predict`` on rows unlike the training rows: absent columns, values out of range, drift."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xrfm_cli.trees import read_model_file, write_model_file


@pytest.fixture
def moved(folder: Path, tmp_path: Path) -> Path:
    """New houses that are all larger than those of the training table, in a town that it did not have."""
    table = pq.read_table(folder / "new.parquet").slice(0, 400)
    larger = [None if area is None else area + 300 for area in table.column("area").to_pylist()]
    table = table.set_column(1, "area", pa.array(larger))
    pq.write_table(table.set_column(3, "town", pa.array(["Salzburg"] * 400)), tmp_path / "moved.parquet")
    return tmp_path / "moved.parquet"


def test_rows_that_drifted_are_predicted_and_end_with_status_1(
    moved: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    arguments = ("predict", moved, "--model", regression, "--output", moved.parent / "out.csv")
    plain = xrfm(*arguments)
    assert plain.status == 0
    expected = (moved.parent / "out.csv").read_bytes()
    checked = xrfm(*arguments, "--check-drift", "0.25")
    assert checked.status == 1
    assert (moved.parent / "out.csv").read_bytes() == expected
    assert "Drift from the training table" in checked.err
    assert "other levels: 0% to 100%" in checked.err
    assert "2 of 3 columns drifted more than 0.25" in checked.err
    table = checked.err.split("Drift")[1].split("2 of 3")[0]
    assert max(map(len, table.splitlines())) <= 80
    quiet = xrfm(*arguments, "--check-drift", "0.25", "--quiet")
    assert (quiet.status, quiet.err) == (1, "")


def test_the_document_tells_every_column(moved: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    arguments = ("predict", moved, "--model", regression, "--output", moved.parent / "out.csv", "--json")
    outcome = xrfm(*arguments, "--check-drift", "0.25")
    assert outcome.status == 1
    drift = outcome.document["drift"]
    assert (drift["threshold"], drift["passed"]) == (0.25, False)
    assert {item["column"]: item["passed"] for item in drift["columns"]} == {
        "area": False,
        "town": False,
        "rooms": True,
    }
    assert all(item["index"] >= 0 and item["by_chance"] > 0 for item in drift["columns"])
    (beyond,) = outcome.document["out_of_range"]
    assert (beyond["column"], beyond["below"]) == ("area", 0)
    assert beyond["above"] == 400 - sum(item["count"] for item in outcome.document["repairs"][:1])
    assert xrfm(*arguments).document["drift"] is None


def test_rows_like_the_training_rows_have_not_drifted(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    arguments = ("--model", regression, "--check-drift", "0.25", "--chunk-rows", "999")
    outcome = xrfm("predict", "new.csv", *arguments, folder=folder)
    assert outcome.status == 0, outcome.err
    assert "Drift from the training table" in outcome.err
    assert "moved further" not in outcome.err


def test_values_out_of_range_are_said(tmp_path: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    (tmp_path / "odd.csv").write_text("area,rooms,town\n3,2,Graz\n900,3,Graz\n901,2,Linz\n")
    outcome = xrfm("predict", "odd.csv", "--model", regression, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "warning: area: 1 below and 2 above the training range of 3" in outcome.err


def test_a_column_of_another_type_is_counted(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "odd.csv").write_text("area,rooms,town\nlarge,2,1\nsmall,3,2\nlarge,2,1\n")
    outcome = xrfm("predict", "odd.csv", "--model", regression, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "area: unreadable number (3)" in outcome.err
    assert "town: unseen category (3)" in outcome.err


def test_an_absent_column_is_an_error_or_empty_as_asked(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "few.csv").write_text("area,twn\n50,Graz\n60,Linz\n")
    (tmp_path / "empty.csv").write_text("area,rooms,town\n50,,\n60,,\n")
    refused = xrfm("predict", "few.csv", "--model", regression, folder=tmp_path)
    assert refused.status == 2
    assert "no column 'rooms', which the model needs (1 more are missing)" in refused.error
    assert "--allow-missing-columns treats it as missing" in refused.error
    allowed = xrfm("predict", "few.csv", "--model", regression, "--allow-missing-columns", folder=tmp_path)
    assert allowed.status == 0, allowed.err
    assert "warning: rooms: no such column, treated as missing in every row" in allowed.err
    assert allowed.out == xrfm("predict", "empty.csv", "--model", regression, folder=tmp_path).out
    document = xrfm(
        "predict",
        "few.csv",
        "--model",
        regression,
        "--allow-missing-columns",
        "--output",
        "out.csv",
        "--json",
        folder=tmp_path,
    ).document
    assert document["missing_columns"] == ["rooms", "town"]


def test_a_table_with_none_of_the_columns_is_an_error(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n")
    outcome = xrfm("predict", "other.csv", "--model", regression, "--allow-missing-columns", folder=tmp_path)
    assert outcome.status == 2
    assert "has none of the columns that the model needs, such as 'area'" in outcome.error


def test_a_model_from_before_profiles_says_so(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    manifest, tensors = read_model_file(regression)
    del manifest["profile"]
    write_model_file(tmp_path / "old.xrfm", manifest, tensors)
    arguments = ("predict", folder / "new.csv", "--model", tmp_path / "old.xrfm")
    assert xrfm(*arguments, "--quiet").out == xrfm("predict", folder / "new.csv", "--model", regression).out
    outcome = xrfm(*arguments, "--check-drift", "0.25")
    assert outcome.status == 2
    assert "has no profile of its training table" in outcome.error
    refit = ("--from", tmp_path / "old.xrfm", "--model", tmp_path / "new.xrfm")
    assert xrfm("fit", folder / "train.csv", *refit, "--quiet").status == 0
    again = xrfm("predict", folder / "new.csv", "--model", tmp_path / "new.xrfm", "--check-drift", "0.25")
    assert again.status == 0, again.err


def test_a_column_that_the_model_does_not_read_is_not_needed(
    folder: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    table = pq.read_table(folder / "train.parquet")
    sold = [row >= 30 for row in range(120)]  # only these have a price, and all of them are new
    price = [value if known else None for value, known in zip(table["price"].to_pylist(), sold, strict=True)]
    table = table.set_column(4, "price", pa.array(price)).append_column(
        "age", pa.array([0.0 if known else 7.5 for known in sold])
    )
    pq.write_table(table, tmp_path / "train.parquet")
    arguments = ("--target", "price", "--drop", "sold", "--trials", "0", "--quiet")
    assert xrfm("fit", "train.parquet", *arguments, folder=tmp_path).status == 0
    outcome = xrfm("predict", folder / "new.csv", "--check-drift", "0.25", folder=tmp_path)
    assert outcome.status == 0, outcome.err
