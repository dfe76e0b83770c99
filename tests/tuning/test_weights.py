"""Weights: two counts like two rows, zero like none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.tuning.tables import answers, fit, law, one_line, same_bits, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.errors import SchemaError, TargetError
from xrfm_cli.tuning import FittedModel
from xrfm_cli.tuning.problem.validation_plan import make_validation_plan

WEIGHTED = SchemaOverrides(target="y", weight="w")
STANDARD = {"numeric_transform": "standard"}  # normal scores are ranks, which count rows


def columns_of(task: str, n: int = 60) -> dict[str, Any]:
    table = task_table(task, n)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    return columns | {"town": [town if town != "Graz" else "Linz" for town in columns["town"]]}


def repeated(columns: dict[str, Any], times: np.ndarray) -> dict[str, Any]:
    return {name: np.repeat(np.array(values), times).tolist() for name, values in columns.items()}


@pytest.mark.parametrize("shape", ["diagonal", "full"])
@pytest.mark.parametrize(
    "kernel",
    [{"kernel_p": 2.0}, {"kernel_p": 1.0}, {"kernel": "sum_power", "power": 2}],
    ids=["l2", "l1", "sum_power"],
)
def test_weight_two_equals_two_rows(kernel: dict[str, Any], shape: str) -> None:
    columns, valid = columns_of("regression"), columns_of("regression", 30)
    times = np.where(np.arange(60) % 3 == 0, 2, 1)
    pinned = STANDARD | kernel | {"metric_shape": shape, "iterations": 2}
    ones = {"w": [1.0] * 30}
    weighted = fit(columns | {"w": times.astype(float)}, WEIGHTED, valid=valid | ones, pinned=pinned)
    copied = fit(repeated(columns, times), valid=valid, pinned=pinned)
    probe = table_of(law(40, seed=5))
    found, expected = answers(weighted, probe), answers(copied, probe)
    np.testing.assert_allclose(found, expected, atol=0.01 * expected.std())
    assert weighted.report.score == pytest.approx(copied.report.score, rel=0.01)


@pytest.mark.parametrize("classes", ["binary", "multiclass"])
def test_weight_two_equals_two_rows_of_classes(classes: str) -> None:
    columns, valid = columns_of(classes), columns_of(classes, 30)
    times = np.where(np.arange(60) % 3 == 0, 2, 1)
    pinned = STANDARD | {"iterations": 2}
    weighted = fit(
        columns | {"w": times.astype(float)}, WEIGHTED, valid=valid | {"w": [1.0] * 30}, pinned=pinned
    )
    copied = fit(repeated(columns, times), valid=valid, pinned=pinned)
    probe = table_of(law(40, seed=5))
    np.testing.assert_allclose(answers(weighted, probe), answers(copied, probe), atol=0.01)


def test_validation_rows_are_weighted_too() -> None:
    columns, valid = columns_of("regression"), columns_of("regression", 30)
    times = np.where(np.arange(30) % 2 == 0, 3, 1)
    pinned = {"iterations": 1}
    ones = {"w": [1.0] * 60}
    weighted = fit(columns | ones, WEIGHTED, valid=valid | {"w": times.astype(float)}, pinned=pinned)
    copied = fit(columns, valid=repeated(valid, times), pinned=pinned)
    assert weighted.report.score == pytest.approx(copied.report.score, rel=1e-3)
    assert weighted.report.metrics == pytest.approx(copied.report.metrics, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 1 / 90, 1e-5, 1e-30])
def test_weights_below_one_row_are_relative(factor: float) -> None:
    """Weights that add to one say which rows count more, not that all rows together count as one."""
    columns, probe = columns_of("regression"), table_of(law(40, seed=5))
    weights = 1 + np.arange(60) % 3 / 2
    relative = fit(columns | {"w": weights / weights.mean()}, WEIGHTED)
    scaled = fit(columns | {"w": weights / weights.max() * 0.99 * factor}, WEIGHTED)
    expected = answers(relative, probe)
    np.testing.assert_allclose(answers(scaled, probe), expected, atol=0.01 * expected.std())
    assert scaled.report.score == pytest.approx(relative.report.score, rel=0.01)


@pytest.mark.slow
def test_equal_weights_change_nothing(task: str) -> None:
    columns = columns_of(task)
    plain, weighted = fit(columns, trials=2), fit(columns | {"w": [1.0] * 60}, WEIGHTED, trials=2)
    probe = table_of(law(40, seed=5))
    found, expected = answers(weighted, probe), answers(plain, probe)
    np.testing.assert_allclose(found, expected, atol=1e-3 * max(expected.std(), 1.0))
    assert weighted.report.score == pytest.approx(plain.report.score, rel=1e-3)


def spoilt(columns: dict[str, Any], rows: np.ndarray, task: str) -> dict[str, Any]:
    """Other values in some rows, the classes among those that are known."""
    out = {name: list(values) for name, values in columns.items()}
    for k in rows.tolist():
        out["a"][k], out["b"][k], out["useless"][k], out["town"][k] = 1e6, -55.0, 0.0, "Atlantis"
        out["y"][k] = 1e5 if task == "regression" else columns["y"][(k + 7) % 60]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("metric", [None, "f1"])
def test_rows_of_weight_zero_do_not_matter(task: str, metric: str | None) -> None:
    if metric == "f1" and task == "regression":
        pytest.skip("F1 is of classes")
    columns = columns_of(task)
    ignored = np.array([0, 5, 6, 17, 33, 59])
    w = np.ones(60)
    w[ignored] = 0.0
    pinned = {"iterations": 1, "category_encoding": "one_hot"}
    # Folds are cut by class: the classes of the ignored rows stay where the target decides the folds.
    other = spoilt(columns, ignored, task)
    if task != "regression":
        other["y"] = columns["y"]
    models: list[FittedModel] = [
        fit(table | {"w": w}, WEIGHTED, pinned=pinned, metric=metric) for table in (columns, other)
    ]
    probe = table_of(law(40, seed=5))
    assert same_bits(*(answers(model, probe) for model in models))
    assert models[0].report.score == models[1].report.score
    assert models[0].decision == models[1].decision
    if task == "regression":
        widths = [model.predict(probe, interval=0.9) for model in models]
        assert widths[0].upper is not None
        assert widths[1].upper is not None
        assert same_bits(widths[0].upper, widths[1].upper)


def test_most_rows_may_weigh_nothing() -> None:
    columns = columns_of("regression")
    w = np.zeros(60)
    w[::6] = 1.0
    model = fit(columns | {"w": w}, WEIGHTED, trials=2, folds=None)
    assert np.isfinite(answers(model, table_of(columns))).all()


def test_a_fold_that_weighs_nothing_stops_nothing() -> None:
    columns, w = columns_of("regression"), np.ones(60)
    w[make_validation_plan(60, seed=0, folds=3).folds[1].valid] = 0.0
    model = fit(columns | {"w": w}, WEIGHTED, trials=2)
    assert np.isfinite(model.report.score)


@pytest.mark.parametrize("bad", [-1.0, None, float("inf")])
def test_a_weight_that_is_none_is_refused_by_its_row(bad: float | None) -> None:
    w: list[float | None] = [1.0] * 60
    w[8] = bad
    with pytest.raises(SchemaError, match=r"row 9\b"):
        fit(columns_of("regression") | {"w": w}, WEIGHTED)


def test_heavier_rows_are_fitted_more_closely() -> None:
    columns = columns_of("regression")
    noisy = np.array(columns["y"]) + np.random.default_rng(0).normal(size=60)
    w = np.where(np.arange(60) < 30, 50.0, 0.02)
    model = fit(columns | {"y": noisy, "w": w}, WEIGHTED, pinned={"ridge": 1.0, "iterations": 0})
    error = np.abs(answers(model, table_of(columns)) - noisy)
    assert error[:30].mean() < 0.3 * error[30:].mean()


@pytest.mark.slow
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 2.0**-40, 2.0**40, 1e300])
def test_the_scale_of_weights_that_are_far_from_one_does_not_matter(scale: float) -> None:
    columns = columns_of("regression")
    times = np.where(np.arange(60) % 3 == 0, 4.0, 1.0)
    plain = fit(columns | {"w": times / 2}, WEIGHTED, pinned={"iterations": 1})
    scaled = fit(columns | {"w": times * scale}, WEIGHTED, pinned={"iterations": 1})
    probe = table_of(law(40, seed=5))
    found, expected = answers(scaled, probe), answers(plain, probe)
    np.testing.assert_allclose(found, expected, atol=0.02 * expected.std())
    assert scaled.report.score == pytest.approx(plain.report.score, rel=0.02)


def test_weights_of_all_sizes_at_once_are_fitted(task: str) -> None:
    columns = columns_of(task)
    w = np.array([1e-300, 1.0, 1e10, 1e-5, 1e4] * 12)
    model = fit(columns | {"w": w}, WEIGHTED, trials=2)
    assert np.isfinite(model.report.score)
    assert np.isfinite(answers(model, table_of(columns))).all()


def test_validation_rows_may_weigh_next_to_nothing_beside_those_that_train() -> None:
    columns, valid = columns_of("regression"), columns_of("regression", 30)
    plain = fit(columns | {"w": [1.0] * 60}, WEIGHTED, valid=valid | {"w": [1.0] * 30})
    other = fit(columns | {"w": [1.0] * 60}, WEIGHTED, valid=valid | {"w": [1e-200] * 30})
    assert other.report.metrics == pytest.approx(plain.report.metrics, rel=1e-6)


def test_one_row_that_outweighs_all_others_is_refused() -> None:
    w = [1e-300] * 60
    w[5] = 1e300
    with pytest.raises(TargetError, match="only one row has a value of 'y' and a weight above 0") as caught:
        fit(columns_of("regression") | {"w": w}, WEIGHTED)
    one_line(caught.value)
