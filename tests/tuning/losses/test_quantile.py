"""A metric of a quantile: what is searched, the baselines, the report and the model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from tests.tuning.tables import answers, fit, law, one_line, skewed, table_of, task_table
from xrfm_cli.errors import ModelFileError, OptionError
from xrfm_cli.trees.model_file import read_model_file, write_model_file
from xrfm_cli.tuning import FittedModel, evaluate_metrics, find_metric, load_model, save_model
from xrfm_cli.tuning.explain.quality import measure_quality
from xrfm_cli.tuning.scoring.metric_names import check_metric_name

METRIC = "pinball@0.9"


def noisy(n: int = 150, *, seed: int = 0) -> dict[str, object]:
    """The law with noise that is seldom large."""
    columns = law(n, seed=seed)
    return columns | {"y": columns["y"] + np.random.default_rng([seed, 1]).exponential(size=n)}


@pytest.fixture(scope="module")
def model() -> FittedModel:
    return fit(table_of(noisy()), trials=8, metric=METRIC, folds=3)


@pytest.mark.slow
def test_kernels_and_the_constant_learn_the_quantile(model: FittedModel) -> None:
    params = [trial["params"] for trial in model.report.trials]
    assert {(own.get("loss"), own.get("quantile")) for own in params} == {("quantile", 0.9)}
    assert "linear" not in {own["kernel"] for own in params}


def test_the_score_is_the_pinball_loss(model: FittedModel) -> None:
    oof = model.report.oof
    assert model.report.metric == METRIC
    wanted = mean_pinball_loss(oof["target"], oof["prediction"], alpha=0.9)
    assert model.report.score == pytest.approx(wanted) == model.report.metrics[METRIC]
    assert model.report.lower_is_better
    assert len(model.report.fold_metrics[METRIC]) == 3


def test_new_rows_lie_below_the_prediction_as_often_as_asked() -> None:
    model = fit(table_of(noisy(400)), metric=METRIC, pinned={"ridge": 3.0})
    new = noisy(2_000, seed=5)
    assert np.mean(new["y"] <= answers(model, table_of(new))) == pytest.approx(0.9, abs=0.04)


def test_the_constant_is_the_quantile(model: FittedModel) -> None:
    names = {row["name"]: row["score"] for row in model.report.baselines}
    y = np.array(model.report.oof["target"])
    constant = np.quantile(y, 0.9, method="inverted_cdf")
    assert names["quantile"] == pytest.approx(
        mean_pinball_loss(y, np.full(len(y), constant), alpha=0.9), rel=0.02
    )
    assert "mean" not in names
    found = measure_quality(model)
    assert (found.baseline, found.baseline_score, found.is_better) == ("quantile", names["quantile"], True)
    alone = fit(table_of(noisy()), metric=METRIC, pinned={"kernel": "constant"})
    np.testing.assert_allclose(answers(alone, table_of(noisy())), constant)


def test_a_model_file_keeps_it_and_a_forged_level_is_refused(model: FittedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.xrfm"
    save_model(model, path)
    table = table_of(noisy(20, seed=3))
    assert np.array_equal(answers(load_model(path), table), answers(model, table))
    for metric in ("pinball@0.90", "pinball@1.5", "pinball"):
        manifest, tensors = read_model_file(path)
        manifest["report"]["metric"] = metric
        write_model_file(tmp_path / "bad.xrfm", manifest, tensors)
        with pytest.raises(ModelFileError, match="no metric"):
            load_model(tmp_path / "bad.xrfm")


def test_quantiles_of_logarithms_are_quantiles() -> None:
    columns = skewed(200)
    model = fit(table_of(columns), metric=METRIC, pinned={"target_transform": "log", "ridge": 1.0})
    below = np.mean(columns["y"] <= answers(model, table_of(columns)))
    assert below == pytest.approx(0.9, abs=0.06)


def test_levels_and_pins_that_do_not_fit_are_refused() -> None:
    for name, words in {
        "pinball": "strictly between 0 and 1",
        "pinball@1": "strictly between 0 and 1",
        "pinball@much": "strictly between 0 and 1",
        "pinbal@0.8": "Did you mean 'pinball@0.8'",
        "pinbal": "Did you mean 'pinball@0.9'",
        "rmse@0.5": "Did you mean 'rmse'",
    }.items():
        with pytest.raises(OptionError, match=words) as caught:
            check_metric_name(name)
        one_line(caught.value)
    assert find_metric("pinball@.90", "regression").name == METRIC
    with pytest.raises(OptionError, match="binary target"):
        find_metric(METRIC, "binary")
    with pytest.raises(OptionError, match="quantile: is the level of the quantile loss"):
        fit(table_of(law(30)), pinned={"quantile": 0.9})
    with pytest.raises(OptionError, match="a class has no quantile"):
        fit(task_table("binary", 40), pinned={"loss": "quantile"})


def test_a_pinned_level_is_learned_under_any_metric() -> None:
    columns = noisy(200)
    model = fit(table_of(columns), pinned={"loss": "quantile", "quantile": 0.2, "ridge": 1.0})
    assert np.mean(columns["y"] <= answers(model, table_of(columns))) == pytest.approx(0.2, abs=0.06)
    assert METRIC not in model.report.metrics


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 0.5])])
def test_the_metric_is_that_of_scikit_learn(weights: np.ndarray | None) -> None:
    y, guess = np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 1.0])
    target = fit(table_of(law(30)), metric="rmse").target
    found = evaluate_metrics(target, y, guess, weights, asked=["pinball@0.2", "pinball@0.20", "rmse"])
    assert found["pinball@0.2"] == pytest.approx(
        mean_pinball_loss(y, guess, alpha=0.2, sample_weight=weights)
    )
    assert [name for name in found if name.startswith("pinball")] == ["pinball@0.2"]
