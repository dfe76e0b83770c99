"""``xrfm fit`` on small tables, through the real command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from xrfm_cli.tuning.model.storage import load_model

TINY = ("--trials", "1", "--folds", "2", "--preset", "quick", "--device", "cpu")
NAMES = {
    *("task", "target", "rows", "columns", "metric", "score", "lower_is_better", "stopped_by", "baselines"),
    *("seconds", "trials", "ensemble", "leaves", "importances", "fallbacks", "repairs", "peak_memory_bytes"),
}


def test_fit_writes_the_model_and_both_reports(regression: Path) -> None:
    document = json.loads((regression.parent / "price.report.json").read_text())
    assert document["schema_version"] == 1
    assert document["command"] == "fit"
    assert set(document) >= NAMES
    assert {"name", "kind", "reason"} <= set(document["columns"][0])
    assert "<html" in (regression.parent / "price.report.html").read_text()
    assert load_model(regression).target.name == "price"


def test_the_result_is_on_standard_output_and_fits_80_columns(folder: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("fit", "train.csv", "--target", "price", "--model", "shown.xrfm", *TINY, folder=folder)
    assert outcome.status == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    for text in (
        "area",
        "numeric",
        "categorical",
        "this model",
        "shown.report.html",
        "xrfm predict new.csv --model shown.xrfm",
    ):
        assert text in outcome.out
    assert "xrfm explain --model shown.xrfm" in outcome.out
    assert "reading train.csv" in outcome.err


def test_json_prints_one_document(folder: Path, xrfm: Callable[..., Any]) -> None:
    arguments = ("--target", "sold", "--drop", "price", "--id", "house", "--json", "--quiet", *TINY)
    outcome = xrfm("fit", "train.parquet", "--model", "json.xrfm", *arguments, folder=folder)
    assert outcome.status == 0
    assert outcome.err == ""
    document = outcome.document
    assert set(document) >= NAMES
    assert (document["task"], document["metric"], document["lower_is_better"]) == ("binary", "auc", False)
    assert document["stopped_by"] == "trials"
    assert json.loads((folder / "json.report.json").read_text())["score"] == document["score"]


def test_options_reach_the_fit(folder: Path, xrfm: Callable[..., Any]) -> None:
    arguments = (
        "--set",
        "kernel=norm",
        "--set",
        "bandwidth=4",
        "--metric",
        "mae",
        "--seed",
        "3",
        "--drop",
        "sold",
    )
    outcome = xrfm(
        "fit",
        "train.csv",
        "--target",
        "price",
        "--model",
        "o.xrfm",
        "--json",
        *arguments,
        *TINY,
        folder=folder,
    )
    assert outcome.status == 0, outcome.err
    assert outcome.document["metric"] == "mae"
    for member in outcome.document["ensemble"]:
        assert member["params"]["kernel"] == "norm"
        assert member["params"]["bandwidth"] == 4


def test_csv_and_parquet_give_the_same_model(folder: Path, xrfm: Callable[..., Any]) -> None:
    models = []
    for ending in ("csv", "parquet"):
        name = f"same-{ending}.xrfm"
        arguments = ("--target", "price", "--drop", "sold", "--model", name, *TINY)
        assert xrfm("fit", f"train.{ending}", *arguments, folder=folder).status == 0
        assert (
            xrfm("predict", "new.csv", "--model", name, "--output", f"{ending}.csv", folder=folder).status
            == 0
        )
        models.append((folder / f"{ending}.csv").read_bytes())
    assert models[0] == models[1]


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("fit", folder / "train.csv", "--target", "price", "--dry-run", folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "numeric" in outcome.out
    assert not list(tmp_path.iterdir())
    document = xrfm(
        "fit", folder / "train.csv", "--target", "price", "--dry-run", "--json", folder=tmp_path
    ).document
    assert document["dry_run"] is True
    assert document["rows"] == 120


def test_refit_keeps_the_schema_and_takes_new_rows(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    arguments = ("--from", regression.name, "--model", "night.xrfm", "--json")
    outcome = xrfm("fit", "test.csv", *arguments, folder=folder)
    assert outcome.status == 0, outcome.err
    assert outcome.document["rows"] == 90
    assert load_model(folder / "night.xrfm").schema == load_model(regression).schema


@pytest.mark.parametrize(
    ("option", "value"), [("--trials", "3"), ("--set", "kernel=norm"), ("--metric", "mae")]
)
def test_refit_takes_no_search_options(
    option: str, value: str, folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("fit", "test.csv", "--from", regression.name, option, value, folder=folder)
    assert outcome.status == 2
    assert option in outcome.error


def test_a_validation_file_scores(folder: Path, xrfm: Callable[..., Any]) -> None:
    arguments = ("--target", "price", "--valid", "test.csv", "--model", "v.xrfm", "--trials", "1", "--json")
    outcome = xrfm("fit", "train.csv", *arguments, folder=folder)
    assert outcome.status == 0, outcome.err


def test_a_wide_table_is_summarised(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    import numpy as np
    import pyarrow as pa

    x = np.random.default_rng(0).normal(size=(60, 40))
    table = pa.table({f"feature_{k}": x[:, k] for k in range(40)} | {"y": x[:, 0] + x[:, 1]})
    pq.write_table(table, tmp_path / "wide.parquet")
    outcome = xrfm("fit", "wide.parquet", "--target", "y", *TINY, folder=tmp_path)
    assert outcome.status == 0, outcome.err
    assert "feature_39" not in outcome.out.split("Scores")[0]
    assert "40" in outcome.out
