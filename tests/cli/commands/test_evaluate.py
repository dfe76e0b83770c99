"""``xrfm evaluate``: metrics, thresholds and their exit status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import TINY, houses
from xrfm_cli.terminal.generalisation_gap import GeneralisationGap, generalisation_gaps
from xrfm_cli.tuning import load_model, save_model
from xrfm_cli.tuning.rows import ValidationRow


def test_metrics_of_a_regression(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    outcome = xrfm("evaluate", "test.csv", "--model", regression, "--json", folder=folder)
    assert outcome.status == 0, outcome.err
    document = outcome.document
    assert document["rows"] == 90
    assert {"rmse", "mae", "r2"} <= set(document["metrics"])
    assert document["metrics"]["r2"] > 0.8
    assert document["thresholds"] == []
    shown = xrfm("evaluate", "test.csv", "--model", regression, folder=folder).out
    assert "rmse" in shown


def test_the_fit_s_own_scores_stand_beside_those_of_the_test(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    arguments = ("evaluate", "test.csv", "--model", regression)
    document = xrfm(*arguments, "--json", folder=folder).document
    assert document["out_of_fold"] == load_model(regression).report.metrics
    assert set(document["worse_by"].values()) == {None}  # of two folds
    shown = xrfm(*arguments, folder=folder).out
    assert "out of fold" in shown
    assert "worse by" not in shown


def test_a_test_is_compared_in_deviations_of_the_folds(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    model = load_model(regression)
    folds = {"rmse": [4000.0, 6000.0, 8000.0], "r2": [0.5, 0.5, 0.5], "mae": [1.0, 2.0]}
    save_model(replace(model, report=replace(model.report, fold_metrics=folds)), folder / "three.xrfm")
    arguments = ("evaluate", "test.csv", "--model", "three.xrfm")
    document = xrfm(*arguments, "--json", folder=folder).document
    worse = (document["metrics"]["rmse"] - document["out_of_fold"]["rmse"]) / 2000.0
    assert document["worse_by"]["rmse"] == pytest.approx(worse)
    assert {name for name, value in document["worse_by"].items() if value is not None} == {"rmse"}
    outcome = xrfm(*arguments, "--fail-over", "rmse=1e9", folder=folder)
    assert "worse by" in outcome.out
    assert f"{worse:+.1f}" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_promises(regression: Path) -> None:
    folds = {"r2": [0.7, 0.8, 0.9], "rmse": [1.0, 3.0, 5.0], "mae": [2.0, 2.0, 2.0]}
    metrics = {"r2": 0.8, "rmse": 3.0, "mae": 2.0, "mape": float("nan")}
    report = load_model(regression).report
    validation: ValidationRow = {**report.validation, "judged_rows": 90}
    report = replace(report, metrics=metrics, fold_metrics=folds, validation=validation)
    test = {"r2": 0.6, "rmse": 2.0, "mae": 3.0, "mape": 0.1, "poisson_deviance": 1.0}
    found = generalisation_gaps(report, test, rows=30)
    assert {name: gap.value for name, gap in found.items()} == {"r2": 0.8, "rmse": 3.0, "mae": 2.0}
    assert found["r2"].worse_by == pytest.approx(2.0)
    assert (found["rmse"].worse_by, found["mae"].worse_by) == (-0.5, None)
    assert all(gap.worse_by is None for gap in generalisation_gaps(report, test, rows=29).values())
    at_the_bound = {"r2": [1.0, 1.0 - 1e-15, 1.0 - 2e-15]}
    perfect = replace(report, metrics={"r2": 1.0}, fold_metrics=at_the_bound)
    assert generalisation_gaps(perfect, test, rows=90)["r2"] == GeneralisationGap(value=1.0, worse_by=None)
    earlier = replace(report, fold_metrics={})
    assert generalisation_gaps(earlier, test, rows=900)["r2"] == GeneralisationGap(value=0.8, worse_by=None)


@pytest.mark.parametrize(
    ("thresholds", "status"),
    [
        (("--fail-under", "r2=0.5"), 0),
        (("--fail-under", "r2=0.99999"), 1),
        (("--fail-over", "rmse=1e9"), 0),
        (("--fail-over", "rmse=1"), 1),
        (("--fail-under", "r2=0.5", "--fail-over", "mae=1"), 1),
    ],
)
def test_thresholds(
    folder: Path, regression: Path, thresholds: tuple[str, ...], status: int, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("evaluate", "test.parquet", "--model", regression, "--json", *thresholds, folder=folder)
    assert outcome.status == status, outcome.err
    assert all(item["passed"] for item in outcome.document["thresholds"]) == (status == 0)
    shown = xrfm("evaluate", "test.parquet", "--model", regression, *thresholds, folder=folder)
    assert shown.status == status
    assert ("missed" in shown.out) == (status == 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fail-under", "rmse=1"), "for rmse, lower is better; write --fail-over rmse=1"),
        (("--fail-over", "r2=0.5"), "for r2, higher is better; write --fail-under r2=0.5"),
        (("--fail-over", "rmes=1"), "no metric 'rmes'. Did you mean 'rmse'?"),
        (("--fail-under", "auc=1"), "auc does not measure regression"),
        (("--by", "twon"), "no column 'twon'. Did you mean 'town'?"),
    ],
)
def test_thresholds_that_mean_nothing(
    folder: Path, regression: Path, arguments: tuple[str, ...], message: str, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("evaluate", "test.csv", "--model", regression, *arguments, folder=folder)
    assert outcome.status == 2
    assert message in outcome.error


def test_metrics_of_classes(folder: Path, classification: Path, xrfm: Callable[..., Any]) -> None:
    document = xrfm(
        "evaluate", "test.csv", "--model", classification, "--json", "--quiet", folder=folder
    ).document
    assert {"auc", "log_loss", "accuracy", "f1", "brier", "balanced_accuracy"} <= set(document["metrics"])


def test_the_confusion_table_counts_every_row(
    folder: Path, classification: Path, xrfm: Callable[..., Any]
) -> None:
    arguments = ("--model", classification)
    document = xrfm("evaluate", "test.csv", *arguments, "--json", folder=folder).document
    confusion = document["confusion"]
    assert confusion["classes"] == ["no", "yes"]
    predicted = xrfm("predict", "test.csv", *arguments, "--quiet", folder=folder).out.splitlines()[1:]
    pairs = list(
        zip(pq.read_table(folder / "test.parquet").column("sold").to_pylist(), predicted, strict=True)
    )
    assert confusion["counts"] == [[pairs.count((a, b)) for b in ("no", "yes")] for a in ("no", "yes")]
    right = confusion["counts"][0][0] + confusion["counts"][1][1]
    assert document["metrics"]["accuracy"] == pytest.approx(right / 90)
    shown = xrfm("evaluate", "test.csv", *arguments, "--quiet", folder=folder).out
    assert "Confusion matrix (rows: class, columns: prediction)" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_many_classes_show_the_pairs_that_are_confused(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    n = 160
    table = pa.table({"x": [float(k % 8) for k in range(n)], "y": [f"class {k % 8}" for k in range(n)]})
    pq.write_table(table, tmp_path / "t.parquet")
    assert xrfm("fit", "t.parquet", "--target", "y", *TINY, "--quiet", folder=tmp_path).status == 0
    wrong = table.set_column(
        1, "y", pa.array([f"class {k % 7}" if k < 40 else f"class {k % 8}" for k in range(n)])
    )
    pq.write_table(wrong, tmp_path / "wrong.parquet")
    shown = xrfm("evaluate", "wrong.parquet", "--quiet", folder=tmp_path).out
    assert "Confused most" in shown
    assert "Confused" not in xrfm("evaluate", "t.parquet", "--quiet", folder=tmp_path).out
    counts = xrfm("evaluate", "wrong.parquet", "--json", folder=tmp_path).document["confusion"]["counts"]
    assert sum(map(sum, counts)) == n


def test_groups_have_the_metrics_of_their_rows(
    folder: Path, tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("evaluate", "test.csv", "--model", regression, "--by", "town", "--json", folder=folder)
    groups = outcome.document["groups"]
    assert {group["value"] for group in groups} == {"Graz", "Linz", "Wien"}
    assert sum(group["rows"] for group in groups) == 90
    assert [group["rows"] for group in groups] == sorted((group["rows"] for group in groups), reverse=True)
    table = pq.read_table(folder / "test.parquet")
    for group in groups:
        pq.write_table(table.filter(pc.field("town") == group["value"]), tmp_path / "own.parquet")
        alone = xrfm("evaluate", tmp_path / "own.parquet", "--model", regression, "--json").document
        assert alone["rows"] == group["rows"]
        assert alone["metrics"] == pytest.approx(group["metrics"])
    shown = xrfm(
        "evaluate", "test.csv", "--model", regression, "--by", "town", "--by", "rooms", folder=folder
    ).out
    assert "By town" in shown
    assert "By rooms" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_groups_of_a_column_with_gaps(folder: Path, regression: Path, xrfm: Callable[..., Any]) -> None:
    arguments = ("evaluate", "test.csv", "--model", regression, "--by", "area", "--json")
    groups = xrfm(*arguments, folder=folder).document["groups"]
    assert {group["column"] for group in groups} == {"area"}
    assert [group["value"] for group in groups].count(None) == 1


def test_a_group_without_weight_has_no_metrics(tmp_path: Path, xrfm: Callable[..., Any]) -> None:
    table = houses(120).drop_columns(["sold"])
    weights = [0.0 if town == "Graz" else 1.0 for town in table.column("town").to_pylist()]
    pq.write_table(table.append_column("w", pa.array(weights)), tmp_path / "t.parquet")
    arguments = ("--target", "price", "--weight", "w", "--trials", "0", "--quiet")
    assert xrfm("fit", "t.parquet", *arguments, folder=tmp_path).status == 0
    groups = xrfm("evaluate", "t.parquet", "--by", "town", "--json", folder=tmp_path).document["groups"]
    assert {group["value"]: bool(group["metrics"]) for group in groups} == {
        "Graz": False,
        "Linz": True,
        "Wien": True,
    }
    assert xrfm("evaluate", "t.parquet", "--by", "town", "--quiet", folder=tmp_path).status == 0


def test_a_column_of_too_many_groups_is_refused(
    folder: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    outcome = xrfm("evaluate", "new.csv", "--model", regression, "--by", "house", folder=folder)
    assert outcome.status == 2
    assert "--by house: new.csv has 5,000 values in this column" in outcome.error
    assert "scoring" not in outcome.err


def test_rows_without_a_target_are_left_out_and_counted(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_text("area,rooms,town,price\n50,2,Graz,90000\n60,3,Linz,\n70,1,Wien,170000\n")
    outcome = xrfm("evaluate", "t.csv", "--model", regression, "--json", folder=tmp_path)
    assert outcome.document["rows"] == 2
    assert "1 row without a target" in outcome.err


def test_a_class_that_training_did_not_have_is_refused(
    tmp_path: Path, classification: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_text("area,rooms,town,sold\n50,2,Graz,yes\n60,3,Linz,maybe\n")
    outcome = xrfm("evaluate", "t.csv", "--model", classification, folder=tmp_path)
    assert outcome.status == 2
    assert "row 2 has the class 'maybe'" in outcome.error


def test_a_table_without_the_target_is_refused(
    tmp_path: Path, regression: Path, xrfm: Callable[..., Any]
) -> None:
    (tmp_path / "t.csv").write_text("area,rooms,town,prcie\n50,2,Graz,1\n60,3,Linz,2\n")
    outcome = xrfm("evaluate", "t.csv", "--model", regression, folder=tmp_path)
    assert outcome.status == 2
    assert "Did you mean 'prcie'?" in outcome.error
