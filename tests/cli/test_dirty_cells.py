"""A table with dirty cells and the clean Parquet file of the same rows are learned and predicted alike."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 60


def accounting(value: float) -> str:
    return f"({-value:,.2f})" if value < 0 else f"{value:,.2f}"


def scaled(value: float) -> str:
    return f"€{value / 1e6:.2f}M" if value >= 1e6 else f"€{value / 1e3:.1f}K"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``dirty.csv`` and ``clean.parquet``."""
    place = tmp_path_factory.mktemp("dirty")
    generator = np.random.default_rng(0)
    balance = (generator.normal(0, 3000, ROWS)).round(2)
    value = np.where(np.arange(ROWS) % 2, generator.integers(100, 900, ROWS) * 1e4, 1e3 * np.arange(ROWS))
    hours = generator.integers(0, 5000, ROWS).tolist()
    when = [dt.datetime(2023, 1, 1, 3, 5) + dt.timedelta(hours=hour) for hour in hours]
    town = generator.choice(["red", "town"], ROWS).tolist()
    y = (balance / 1000 + value / 1e6 + np.array(hours) / 1000).round(4)
    gaps: list[dt.datetime | None] = [None if row == 17 else moment for row, moment in enumerate(when)]
    clean = {"balance": balance, "prix payé": value, " when": gaps, "town": town, "y": y}
    pq.write_table(pa.table(clean), place / "clean.parquet")
    lines = ["\ufeffbalance ; prix paye\u0301;when;town;y"]
    for row, moment in enumerate(when):
        shown = moment.strftime("%m/%d/%Y, %I:%M\u202f%p") if row != 17 else "02/30/2023, 03:05\u202fPM"
        cells = (accounting(balance[row]), scaled(value[row]), shown, town[row], f"{y[row]}")
        lines.append(";".join(cells))
    (place / "dirty.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("learned", ["dirty.csv", "clean.parquet"])
def test_dirty_and_clean_rows_are_predicted_alike(
    learned: str, tables: Path, tmp_path: Path, xrfm: Callable[..., Any]
) -> None:
    model = tmp_path / "y.xrfm"
    fitted = xrfm("fit", learned, "--target", "y", "--model", model, "--trials", "0", "--json", folder=tables)
    assert fitted.status == 0, fitted.err
    found = {}
    for data in ("dirty.csv", "clean.parquet"):
        chunks = ("--chunk-rows", "7") if data == "dirty.csv" else ()
        out = xrfm("predict", data, "--model", model, *chunks, folder=tables)
        assert out.status == 0, out.err
        found[data] = out.out
        scored = xrfm("evaluate", data, "--model", model, "--json", folder=tables)
        assert json.loads(scored.out)["rows"] == ROWS
    if learned == "dirty.csv":  # a model of typed columns does not know how text would be written
        assert found["dirty.csv"] == found["clean.parquet"]


def test_how_cells_are_read_is_said(tables: Path, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    arguments = ("fit", "dirty.csv", "--target", "y", "--dry-run", "--json")
    columns = xrfm(*arguments, folder=tables).document["columns"]
    reasons = {column["name"]: column["reason"] for column in columns}
    assert "(5) and 5- are negative" in reasons["balance"]
    assert "5K, 5M and 5bn are thousands, millions and billions" in reasons["prix payé"]
    assert "the unreadable cell '02/30/2023, 03:05\u202fPM' in row 18 counts as missing" in reasons["when"]


def test_dirty_validation_rows(tables: Path, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    arguments = ("--target", "y", "--model", tmp_path / "y.xrfm", "--trials", "0")
    for data in ("dirty.csv", "clean.parquet"):
        done = xrfm("fit", data, "--valid", "dirty.csv", *arguments, "--json", folder=tables)
        assert done.status == 0, done.err
        kinds = {column["name"].strip(): column["kind"] for column in done.document["columns"]}
        assert (kinds["balance"], kinds["prix payé"], kinds["when"]) == ("numeric", "numeric", "datetime")
