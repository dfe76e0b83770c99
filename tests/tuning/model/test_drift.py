"""Profiles of the training table, and how far other rows are from them."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.tuning.tables import task_table
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema
from xrfm_cli.errors import ModelFileError
from xrfm_cli.trees import read_model_file, write_model_file
from xrfm_cli.tuning import FittedModel, load_model, refit_model, save_model
from xrfm_cli.tuning.model.drift import (
    add_observed,
    column_drifts,
    nothing_observed,
    observe,
    stability_parts,
    values_out_of_range,
)
from xrfm_cli.tuning.model.profile import ColumnProfile, profile_table


def people(n: int, *, seed: int = 0, shift: float = 0.0) -> Table:
    """A table with a column of every kind that has a profile."""
    draw = np.random.default_rng(seed)
    start = datetime(2020, 1, 1)
    return Table(
        pa.table(
            {
                "age": [
                    None if k % 13 == 4 else value for k, value in enumerate(draw.normal(40 + shift, 9, n))
                ],
                "children": draw.integers(0, 4, n),
                "city": draw.choice(["Graz", "Linz", "Wien"], n, p=[0.5, 0.3, 0.2]),
                "member": draw.choice(["yes", "no"], n),
                "joined": [start + timedelta(days=int(day)) for day in draw.integers(0, 900, n)],
                "words": [
                    "word " * int(count) + f"and the end {k:05d}"
                    for k, count in enumerate(draw.integers(3, 40, n))
                ],
            }
        )
    )


def profiled(table: Table, overrides: SchemaOverrides | None = None) -> tuple[ColumnProfile, ...]:
    return profile_table(table, infer_schema(table, overrides))


def test_every_row_is_in_one_bin_of_every_column() -> None:
    table = people(500)
    profiles = profiled(table)
    assert {item.kind for item in profiles} == {"numeric", "categorical", "boolean", "datetime", "text"}
    for item in profiles:
        assert sum(item.counts) == 500
        assert len(item.counts) == len(item.bin_names)
    age = profiles[0]
    assert age.counts[-1] == 39
    assert max(age.counts[:-1]) <= 1.1 * min(age.counts[:-1])  # deciles
    assert ColumnProfile.from_json(json.loads(json.dumps(age.to_json())), {"age": age.schema}) == age


def test_few_numbers_have_a_bin_each_and_rare_levels_share_one() -> None:
    few = [0, 0, 1, 1, 1, 3] * 150
    many = [f"often {k % 4}" for k in range(600)] + [f"rare {k % 100}" for k in range(300)]
    profiles = profiled(Table(pa.table({"few": few, "many": many})), SchemaOverrides(categorical=("many",)))
    assert (profiles[0].edges, profiles[0].counts) == ((0.0, 1.0), (300, 450, 150, 0))
    assert profiles[1].levels == ("often 0", "often 1", "often 2", "often 3")
    assert profiles[1].counts == (150, 150, 150, 150, 300, 0)


def test_the_index_is_the_formula() -> None:
    training, now = np.array([120, 300, 0, 80]), np.array([10, 60, 25, 5])
    expected = 0.0
    for one, two in zip(training.tolist(), now.tolist(), strict=True):
        p, q = (one + 0.5) / 502, (two + 0.5) / 102
        expected += (q - p) * math.log(q / p)
    assert stability_parts(training, now).sum() == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def draws() -> list[tuple[ColumnProfile, ...]]:
    """Profiles of forty draws of the same people."""
    return [profiled(people(1000, seed=1000 + seed)) for seed in range(1, 41)]


@pytest.mark.parametrize("rows", [30, 300, 3000])
def test_rows_of_the_same_kind_do_not_drift(rows: int, draws: list[tuple[ColumnProfile, ...]]) -> None:
    ratios = []
    for seed, profiles in enumerate(draws, start=1):
        drifts = column_drifts(profiles, observe(profiles, people(rows, seed=seed)))
        assert not any(item.exceeds(0.1) for item in drifts)
        ratios += [item.index / item.by_chance for item in drifts]
    beyond = sum(ratio > 1.0 for ratio in ratios)
    assert beyond <= 1  # of 240 columns, where one of a thousand is expected
    assert max(ratios) > 0.4  # and the bound is not far away


def test_a_shift_is_seen_and_named() -> None:
    profiles = profiled(people(1000))
    moved = column_drifts(profiles, observe(profiles, people(400, seed=1, shift=12)))
    assert [item.column for item in moved if item.exceeds(0.25)] == ["age"]
    change = moved[0].largest_change
    assert change.bin.startswith("above")
    assert change.now > change.training + 0.2


def test_parts_of_a_table_add_up() -> None:
    profiles, table = profiled(people(300)), people(200, seed=3)
    whole = column_drifts(profiles, observe(profiles, table))
    parts = add_observed(observe(profiles, table.slice(0, 70)), observe(profiles, table.slice(70, 200)))
    assert column_drifts(profiles, parts) == whole
    nothing = nothing_observed(profiles)
    assert column_drifts(profiles, add_observed(nothing, observe(profiles, table))) == whole
    assert (column_drifts(profiles, nothing), values_out_of_range(profiles, nothing)) == ((), ())


def test_values_out_of_range_are_counted_for_numbers_and_dates() -> None:
    training = Table(pa.table({"x": [1.0, 2.5, 4.0], "day": ["2024-01-01", "2024-02-01", "2024-03-01"]}))
    profiles = profiled(training)
    other = Table(pa.table({"x": ["0.5", "4", "9"], "day": ["2023-12-31", "2024-03-01", "2024-02-07"]}))
    found = values_out_of_range(profiles, observe(profiles, other))
    assert [(item.column, item.below, item.above) for item in found] == [("x", 1, 1), ("day", 1, 0)]
    assert [(item.low, item.high) for item in found] == [("1", "4"), ("2024-01-01", "2024-03-01")]
    assert values_out_of_range(profiles, observe(profiles, training)) == ()


def test_text_and_typed_columns_fall_into_the_same_bins() -> None:
    table = people(200)
    texts = pa.table(
        {
            name: table.column(name).cast(pa.string())
            for name in ("age", "children", "city", "member", "words")
        }
    )
    profiles = [item for item in profiled(table) if item.column != "joined"]
    for item, seen in zip(profiles, observe(profiles, Table(texts)), strict=True):
        assert tuple(seen.counts) == item.counts


def test_a_time_column_has_no_profile() -> None:
    assert "joined" not in [item.column for item in profiled(people(50), SchemaOverrides(time="joined"))]


def test_models_know_their_training_rows(models: dict[str, FittedModel], tmp_path: Path) -> None:
    model = models["regression"]
    assert model.profile is not None
    assert all(sum(item.counts) == model.report.rows for item in model.profile)
    save_model(model, tmp_path / "model.xrfm")
    assert load_model(tmp_path / "model.xrfm").profile == model.profile
    again = refit_model(model, task_table("regression", 90, seed=4))
    assert again.profile is not None
    assert all(sum(item.counts) == 90 for item in again.profile)


@pytest.mark.parametrize(
    "fact",
    [
        {"counts": [1]},
        {"counts": "12"},
        {"edges": [2.0, 1.0]},
        {"edges": ["low"]},
        {"low": 1e300, "high": 1e301},
        {"low": 3.0, "high": 2.0},
        {"column": "nobody"},
        {"levels": None},
    ],
    ids=str,
)
def test_a_profile_that_does_not_fit_is_refused(
    fact: dict[str, Any], models: dict[str, FittedModel], tmp_path: Path
) -> None:
    save_model(models["regression"], tmp_path / "model.xrfm")
    manifest, tensors = read_model_file(tmp_path / "model.xrfm")
    assert manifest["profile"][0]["edges"]
    manifest["profile"][0] |= fact
    write_model_file(tmp_path / "bad.xrfm", manifest, tensors)
    with pytest.raises(ModelFileError, match="is not a model written by xrfm"):
        load_model(tmp_path / "bad.xrfm")


def test_a_model_from_before_profiles_has_none(models: dict[str, FittedModel], tmp_path: Path) -> None:
    save_model(models["regression"], tmp_path / "model.xrfm")
    manifest, tensors = read_model_file(tmp_path / "model.xrfm")
    del manifest["profile"]
    write_model_file(tmp_path / "old.xrfm", manifest, tensors)
    assert load_model(tmp_path / "old.xrfm").profile is None
