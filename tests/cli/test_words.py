"""A level or class that looks like a missing cell, from Parquet to CSV and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

TINY = ("--trials", "0", "--device", "cpu", "--threads", "1")


@pytest.fixture
def continents(tmp_path: Path) -> Path:
    """A folder with one table as CSV and as Parquet, in which NA is North America."""
    generator = np.random.default_rng(0)
    place = np.arange(90) % 3
    table = pa.table(
        {
            "zone": np.array(["AF", "EU", "NA"])[place].tolist(),
            "version": np.array(["1.1", "1.10", "01"])[(np.arange(90) // 3) % 3].tolist(),
            "size": generator.normal(size=90),
            "sales": place + 10.0 * ((np.arange(90) // 3) % 3),
        }
    )
    pyarrow.csv.write_csv(table, tmp_path / "t.csv")
    pq.write_table(table, tmp_path / "t.parquet")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("learned", ["csv", "parquet"])
def test_one_model_reads_both_files_alike(learned: str, continents: Path, xrfm: Callable[..., Any]) -> None:
    fit = ("fit", f"t.{learned}", "--target", "sales", "--categorical", "version", *TINY)
    assert xrfm(*fit, folder=continents).status == 0
    found = [xrfm("predict", f"t.{ending}", folder=continents).out for ending in ("csv", "parquet")]
    assert found[0] == found[1]
    predictions = np.array(found[0].split()[1:], dtype=float)
    truth = np.arange(90) % 3 + 10.0 * ((np.arange(90) // 3) % 3)
    np.testing.assert_allclose(predictions, truth, atol=0.5)


@pytest.mark.slow
def test_a_class_of_parquet_is_predicted_and_found_again(continents: Path, xrfm: Callable[..., Any]) -> None:
    fit = ("fit", "t.parquet", "--target", "zone", *TINY)
    assert xrfm(*fit, folder=continents).status == 0
    lines = xrfm("predict", "t.csv", folder=continents).out.splitlines()
    assert set(lines[1:]) == {"AF", "EU", "NA"}
    for ending in ("csv", "parquet"):
        scored = xrfm("evaluate", f"t.{ending}", "--json", folder=continents)
        assert scored.document["metrics"]["accuracy"] == 1.0
        assert scored.document["rows"] == 90
