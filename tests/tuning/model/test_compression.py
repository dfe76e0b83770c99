"""Models in 16 bits: half the size, the same predictions from the file, and none where it would matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from numpy.typing import NDArray

from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.errors import ModelFileError
from xrfm_cli.trees import model_file
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model import compression
from xrfm_cli.tuning.model.compression import compress
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import load_model, save_model


@pytest.fixture(scope="module")
def table() -> Table:
    x = np.random.default_rng(0).normal(size=(300, 30))
    return Table(pa.table({f"x{k}": x[:, k] for k in range(30)} | {"y": np.sin(x[:, 0]) + x[:, 1]}))


def fitted(table: Table, **pins: Any) -> FittedModel:
    schema = infer_schema(table, SchemaOverrides(target="y"))
    config = FitConfig(trials=0, folds=2, pinned=pins, device="cpu")
    return fit_model(table, schema, infer_target(table, "y"), config)


@pytest.fixture(scope="module")
def model(table: Table) -> FittedModel:
    return fitted(table)


def values(model: FittedModel, table: Table) -> NDArray[np.float64]:
    found = model.predict(table).values
    assert found is not None
    return found


@pytest.mark.slow
def test_the_file_is_smaller_and_predicts_what_was_checked(
    table: Table, model: FittedModel, tmp_path: Path
) -> None:
    small, (found, *_) = compress(model, table, seed=0)
    assert small.compression == found
    assert found.parts == ("centers", "coefficients")
    assert 0 < found.difference <= 1e-3
    for name, one in (("large", model), ("small", small)):
        save_model(one, tmp_path / name)
    spread = 4 * 300 * 31  # the error scale of the intervals keeps 32 bits
    assert (tmp_path / "small").stat().st_size < (tmp_path / "large").stat().st_size - spread / 3
    again = load_model(tmp_path / "small")
    assert again.compression == found
    expected = values(small, table)
    assert np.array_equal(values(again, table), expected)
    stored = load_model(tmp_path / "small", memory_bytes=1)
    assert stored.stored_bytes > 0
    assert np.array_equal(values(stored, table), expected)
    save_model(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "small").read_bytes()


def test_coefficients_and_then_all_numbers_keep_32_bits_where_it_matters(
    table: Table, model: FittedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, (both,) = compress(model, table, seed=0)
    monkeypatch.setattr(compression, "LARGEST_DIFFERENCE", both.difference * 0.99)
    _, tried = compress(model, table, seed=0)
    assert [item.parts for item in tried] == [("centers", "coefficients"), ("centers",)]
    monkeypatch.setattr(compression, "LARGEST_DIFFERENCE", 0)
    kept, tried = compress(model, table, seed=0)
    assert kept is model
    assert len(tried) == 2


def test_programs_that_know_no_16_bits_refuse_the_file(
    table: Table, model: FittedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(model, tmp_path / "plain")
    small, _ = compress(model, table, seed=0)
    save_model(small, tmp_path / "small")
    monkeypatch.setattr(model_file, "READABLE_VERSIONS", (1, 2))
    assert load_model(tmp_path / "plain").compression is None
    with pytest.raises(ModelFileError, match="has format version 3, but this program reads 1 to 2"):
        load_model(tmp_path / "small")


@pytest.mark.slow
def test_the_command_says_what_came_of_it(tmp_path: Path, table: Table) -> None:
    from tests.cli.conftest import run_here

    pa.csv.write_csv(table.data, tmp_path / "t.csv")
    words = ("fit", "t.csv", "--target", "y", "--trials", "0", "--compress", "half", "--format", "json")
    done = run_here(*words, "--holdout", "0.2", folder=tmp_path)
    assert done.status == 0, done.err
    assert (
        "--compress half: centers and coefficients in 16 bits change predictions of 60 held-out" in done.err
    )
    told = run_here("info", "--json", folder=tmp_path).document["compression"]
    assert told["parts"] == ["centers", "coefficients"]
    assert told["rows"] == 60
    linear = run_here(*words, "--set", "kernel=linear", folder=tmp_path)
    assert "the model keeps no centers, so nothing is left to compress" in linear.err
