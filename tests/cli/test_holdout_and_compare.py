"""Tests of one's own: --holdout, rows that were trained on, --compare, the model card and the formats."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import TINY, Command, houses
from xrfm_cli.tuning.scoring.metrics import METRICS
from xrfm_cli.tuning.scoring.paired import compare_paired
from xrfm_cli.tuning.scoring.thresholds import MOST_PROBABLE

PRICE = ("--target", "price", "--drop", "sold")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, xrfm: Command) -> Path:
    """A folder with a table, a model with a test of its own, and a model of the mean."""
    folder = tmp_path_factory.mktemp("holdout")
    pq.write_table(houses(150), folder / "train.parquet")
    pq.write_table(houses(100, seed=7), folder / "test.parquet")
    held = ("--holdout", "0.2", "--format", "json,html,md,png")
    for name, options in (("good", held), ("mean", ("--set", "kernel=constant", "--format", "json"))):
        model = ("--model", f"{name}.xrfm")
        outcome = xrfm("fit", "train.parquet", *PRICE, *TINY, *options, *model, folder=folder)
        assert outcome.status == 0, outcome.err
    return folder


def test_a_fit_keeps_a_test_of_its_own(place: Path, xrfm: Command) -> None:
    document = xrfm("info", "--model", "good.xrfm", "--json", folder=place).document
    assert document["rows"] == 120
    report = (place / "good.report.html").read_text(encoding="utf-8")
    assert "30 rows that the fit never saw" in report
    outcome = xrfm("evaluate", "train.parquet", "--model", "good.xrfm", "--json", folder=place)
    assert outcome.document["trained_rows"] == 120
    assert "warning: 120 of 150 rows were trained on; this is not a test" in outcome.err
    fresh = xrfm("evaluate", "test.parquet", "--model", "good.xrfm", "--json", folder=place)
    assert fresh.document["trained_rows"] == 0
    assert "trained on" not in fresh.err


def test_the_worst_rows_are_those_of_the_whole_table(tmp_path: Path, xrfm: Command) -> None:
    table = houses(150)
    price = table.column("price").to_numpy().copy()
    wrong = [11, 77, 140]
    price[wrong] *= 40
    names = [name for name in table.column_names if name != "price"]
    pq.write_table(table.select(names).append_column("price", [price]), tmp_path / "t.parquet")
    document = xrfm("fit", "t.parquet", *PRICE, *TINY, "--holdout", "0.2", "--json", folder=tmp_path).document
    found = {item["row"] - 1 for item in document["oof_summary"]["worst"][:3]}
    assert document["test"]["rows"] == 30
    assert len(found & set(wrong)) >= 1  # of those that are not in the test
    assert all(price[row] > 1e6 or row not in wrong for row in found)


def test_the_latest_rows_are_the_test_with_time(tmp_path: Path, xrfm: Command) -> None:
    table = houses(120)
    days = np.datetime64("2024-01-01") + np.arange(120)
    pq.write_table(table.append_column("day", [days]), tmp_path / "t.parquet")
    options = ("--time", "day", "--holdout", "0.25", "--json")
    document = xrfm("fit", "t.parquet", *PRICE, *TINY, *options, folder=tmp_path).document
    assert document["test"]["rows"] == 30
    assert document["test"]["how"] == "the latest by 'day'"


def test_a_worse_model_fails(place: Path, xrfm: Command) -> None:
    compare = ("--model", "mean.xrfm", "--compare", "good.xrfm", "--json")
    worse = xrfm("evaluate", "test.parquet", *compare, "--fail-worse", folder=place)
    test = worse.document["compared"]["test"]
    assert worse.status == 1
    assert test["is_worse"]
    assert test["low"] > 0
    assert test["new"] == worse.document["metrics"]["rmse"]
    better = ("--model", "good.xrfm", "--compare", "mean.xrfm", "--fail-worse")
    assert xrfm("evaluate", "test.parquet", *better, folder=place).status == 0
    alone = xrfm("evaluate", "test.parquet", "--model", "good.xrfm", "--fail-worse", folder=place)
    assert (alone.status, "needs --compare" in alone.error) == (2, True)


def test_the_same_model_is_not_worse(place: Path, xrfm: Command) -> None:
    same = ("--model", "good.xrfm", "--compare", "good.xrfm", "--fail-worse")
    outcome = xrfm("evaluate", "test.parquet", *same, folder=place)
    assert outcome.status == 0
    assert "the difference may be chance" in outcome.out


def test_a_paired_test_finds_what_single_scores_hide() -> None:
    generator = np.random.default_rng(0)
    y_true = generator.normal(size=400) * 10
    noise = generator.normal(size=400) * 5
    both = (y_true + noise, y_true + 1.06 * noise)
    found = compare_paired(METRICS["rmse"], y_true, both, (MOST_PROBABLE, MOST_PROBABLE))
    assert found.high < 0
    assert found.p_value < 0.01
    assert found.difference == pytest.approx(found.new - found.old)
    other = compare_paired(
        METRICS["rmse"], y_true, (y_true + noise, y_true - noise), (MOST_PROBABLE, MOST_PROBABLE)
    )
    assert not other.is_worse
    assert other.p_value > 0.05


@pytest.mark.slow
def test_models_of_other_targets_are_not_compared(place: Path, xrfm: Command) -> None:
    sold = ("--target", "sold", "--drop", "price", "--model", "sold.xrfm")
    assert xrfm("fit", "train.parquet", *sold, *TINY, folder=place).status == 0
    for command in (("evaluate", "test.parquet"), ("explain",)):
        outcome = xrfm(*command, "--model", "good.xrfm", "--compare", "sold.xrfm", folder=place)
        assert outcome.status == 2
        assert "--compare sold.xrfm: predicts 'sold' (binary), not 'price'" in outcome.error


@pytest.mark.slow
def test_explanations_are_compared(place: Path, xrfm: Command) -> None:
    options = ("--model", "good.xrfm", "--compare", "mean.xrfm")
    document = xrfm("explain", *options, "--json", folder=place).document
    shares = {item["column"]: (item["new"], item["old"]) for item in document["compared"]["importances"]}
    assert shares["area"][0] > 0.2
    assert shares["area"][1] == 0
    effects = {item["column"]: item for item in document["compared"]["effects"]}
    assert max(map(abs, effects["area"]["new"])) > 0
    assert set(effects["area"]["old"]) - {None} == {0}  # None beyond the values of the older model
    shown = xrfm("explain", *options, folder=place).out
    assert "Compared with mean.xrfm" in shown
    assert "Effects of both models" in shown
    page = (place / "good.explain.html").read_text(encoding="utf-8")
    assert page.count('class="line warm dashed"') >= 1


def test_a_card_is_written_in_markdown(place: Path, xrfm: Command) -> None:
    card = xrfm("info", "--model", "good.xrfm", "--card", folder=place).out
    parts = ("# Model card: price", "## Intended use", "## Limits", "| file | good.xrfm |")
    for line in (*parts, "30 rows, drawn at random"):
        assert line in card
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)
    assert (place / "good.report.md").read_text(encoding="utf-8").startswith("# Model card: price")
    assert (place / "good.report.png").read_bytes().startswith(b"\x89PNG")
    assert not (place / "mean.report.html").exists()


def test_formats_are_checked(place: Path, xrfm: Command) -> None:
    unknown = xrfm("fit", "train.parquet", *PRICE, "--format", "html,pdf", folder=place)
    assert (unknown.status, "'pdf' is not one of html, json, md and png" in unknown.error) == (2, True)
    closed = xrfm("fit", "train.parquet", *PRICE, "--format", "json", "--open", folder=place)
    assert (closed.status, "has no html" in closed.error) == (2, True)


@pytest.mark.slow
def test_a_new_model_removes_the_explanation_of_the_old_one(
    place: Path, tmp_path: Path, xrfm: Command
) -> None:
    shutil.copy(place / "train.parquet", tmp_path)
    fit = ("fit", "train.parquet", *PRICE, *TINY)
    assert xrfm(*fit, folder=tmp_path).status == 0
    assert xrfm("explain", "--rows", "20", folder=tmp_path).status == 0
    assert (tmp_path / "model.explain.html").exists()
    outcome = xrfm(*fit, folder=tmp_path)
    assert "model.explain.html: removed, as it explained an earlier model" in outcome.err
    assert not (tmp_path / "model.explain.html").exists()
    assert not (tmp_path / "model.explain.json").exists()
    (tmp_path / "model.explain.html").write_text("<h1>notes of my own</h1>")
    assert xrfm(*fit, folder=tmp_path).status == 0
    assert (tmp_path / "model.explain.html").exists()
