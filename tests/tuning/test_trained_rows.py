"""Fingerprints of training rows: they recognise training rows in any format, and only these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tuning.tables import as_text, fit, law, table_of
from xrfm_cli.datasets import Table, encode_target
from xrfm_cli.tuning import FittedModel
from xrfm_cli.tuning.model import trained_rows
from xrfm_cli.tuning.model.storage import load_model, save_model
from xrfm_cli.tuning.model.trained_rows import Overlap, TrainedRows, hash_rows


def mixed(n: int, *, seed: int = 0) -> Table:
    """Numbers, categories, dates and a yes or no, with missing cells."""
    columns = law(n, seed=seed)
    generator = np.random.default_rng(seed)
    columns["a"] = [None if k % 7 == 0 else value for k, value in enumerate(columns["a"].tolist())]
    columns["day"] = np.datetime64("2024-01-01") + generator.integers(0, 900, n)
    columns["paid"] = generator.choice(["yes", "no"], n).tolist()
    return table_of(columns)


def overlap(model: FittedModel, table: Table) -> Overlap:
    assert model.trained is not None
    return model.trained.overlap(hash_rows(table, model.schema, encode_target(table, model.target)))


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return fit(mixed(80), pinned={"iterations": 0})


def test_training_rows_are_recognised_as_text_and_in_any_order(model: FittedModel) -> None:
    for table in (mixed(80), as_text(mixed(80)), mixed(80).take(np.arange(80)[::-1])):
        assert overlap(model, table).words == "80 of 80 rows were trained on; this is not a test"
    some = overlap(model, mixed(80).take(np.arange(5)))
    assert (some.trained, some.is_leak, some.is_estimate) == (5, True, False)


def test_other_rows_are_not_taken_for_training_rows(model: FittedModel) -> None:
    found = overlap(model, mixed(500, seed=5))
    assert (found.trained, found.is_leak) == (0, False)


def test_the_file_keeps_the_fingerprints(model: FittedModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m.xrfm")
    again = load_model(tmp_path / "m.xrfm")
    assert overlap(again, mixed(80)).trained == 80


def test_rows_that_repeat_by_nature_are_no_leak() -> None:
    generator = np.random.default_rng(0)
    train, test = generator.integers(0, 40, (2, 2_000)).astype(np.uint64)
    assert not TrainedRows.of(train).overlap(test).is_leak


def test_of_many_rows_a_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_rows, "MOST_KEPT", 1_000)
    hashes = np.random.default_rng(0).permutation(2**20)[:20_000].astype(np.uint64) * 4_000
    kept = TrainedRows.of(hashes[:10_000])
    assert len(kept.hashes) == 1_000
    half = kept.overlap(hashes[5_000:15_000])
    assert half.is_estimate
    assert half.trained == pytest.approx(5_000, rel=0.15)
    assert kept.overlap(hashes[10_000:]).trained == 0


def test_hashes_in_disorder_are_refused() -> None:
    with pytest.raises(ValueError, match="increase"):
        TrainedRows(hashes=np.array([3, 3], dtype=np.uint64), is_whole=True, repeated=0.0)
