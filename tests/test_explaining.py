"""Explanations from the estimators: data frames whose numbers follow from the planted truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xrfm_cli import OptionError, XRFMClassifier, XRFMRegressor

pytestmark = pytest.mark.usefixtures("few_trees")


def rows(n: int = 240) -> tuple[pd.DataFrame, pd.Series]:
    """A sum of two columns, with a third that does nothing."""
    drawn = np.random.default_rng(3).normal(size=(n, 3))
    x = pd.DataFrame(drawn, columns=["strong", "weak", "none"], index=[f"row {k}" for k in range(n)])
    return x, 3 * x["strong"] + x["weak"]


@pytest.fixture(scope="module")
def regressor() -> XRFMRegressor:
    """A regressor of the sum."""
    return XRFMRegressor(trials=2, folds=2, device="cpu").fit(*rows())


@pytest.fixture(scope="module")
def classifier() -> XRFMClassifier:
    """A classifier of the sum's sign."""
    x, y = rows()
    return XRFMClassifier(trials=1, folds=2, device="cpu").fit(x, np.where(y > 0, "up", "down"))


@pytest.mark.slow
@pytest.mark.parametrize("has_rows", [False, True])
def test_importances_are_shares_of_the_variance(regressor: XRFMRegressor, has_rows: bool) -> None:
    found = regressor.explain(rows()[0] if has_rows else None)
    shares = found.importances.set_index("column")["share"]
    assert shares.sum() == pytest.approx(1)
    assert shares["strong"] == pytest.approx(0.9, abs=0.06)  # 9 of 10
    assert shares["weak"] == pytest.approx(0.1, abs=0.06)
    assert shares["none"] < 0.02
    assert found.pairs.empty
    assert found.permutation.iloc[0]["column"] == "strong"
    assert "strong" in repr(found)
    assert found._repr_html_().startswith("<iframe")


def test_an_effect_is_the_planted_line(regressor: XRFMRegressor) -> None:
    effect = regressor.effects("strong")
    slope = np.polyfit(effect["x"].astype(float), effect["effect"], 1)[0]
    assert slope == pytest.approx(3, rel=0.1)
    assert (effect["low"] <= effect["high"]).all()
    with pytest.raises(OptionError, match="Did you mean 'strong'"):
        regressor.effects("stronk")


def test_effects_of_classes_are_probabilities(classifier: XRFMClassifier) -> None:
    effect = classifier.effects("strong")
    assert set(effect["class"]) <= {"up", "down"}
    assert effect["effect"].abs().max() <= 1


def test_attributions_add_up_and_keep_the_index(regressor: XRFMRegressor) -> None:
    x = rows()[0].head(5)
    found = regressor.attributions(x)
    assert list(found.index) == list(x.index)
    change = found["prediction"] - found["baseline"]
    np.testing.assert_allclose(found[["strong", "weak", "none"]].sum(axis=1), change, atol=1e-6)
    np.testing.assert_allclose(found["prediction"], regressor.predict(x), rtol=1e-6)
    own = regressor.attributions(x, baseline=x.head(1))
    np.testing.assert_allclose(own["baseline"], regressor.predict(x.head(1))[0], rtol=1e-6)


def test_attributions_of_a_class_are_of_its_probability(classifier: XRFMClassifier) -> None:
    x = rows()[0].head(4)
    found = classifier.attributions(x, label="down")
    assert set(found["class"]) == {"down"}
    np.testing.assert_allclose(found["prediction"], classifier.predict_proba(x)[:, 0], atol=1e-6)


def test_drift_names_the_column_that_moved(regressor: XRFMRegressor) -> None:
    x = rows()[0]
    same, moved = regressor.drift(x), regressor.drift(x.assign(weak=x["weak"] + 4))
    assert (same["index"] <= same["by_chance"]).all()
    assert moved.iloc[0]["column"] == "weak"
    assert moved.iloc[0]["index"] > 1


def test_the_leaderboard_lists_the_trials_best_first(regressor: XRFMRegressor) -> None:
    board = regressor.leaderboard_
    assert len(board) == 2
    complete = board[board["state"] == "complete"]
    assert complete["score"].is_monotonic_increasing  # rmse
    assert board["weight"].sum() == pytest.approx(1)
    assert regressor.score_ == regressor.model_.report.score


@pytest.mark.parametrize("ending", ["html", "json", "md"])
def test_reports_are_those_of_the_command(regressor: XRFMRegressor, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"fit.{ending}"
    regressor.report(path)
    text = path.read_text(encoding="utf-8")
    assert "strong" in text
    if ending == "json":
        assert json.loads(text)["command"] == "fit"
    with pytest.raises(OptionError, match=r"must end in \.html"):
        regressor.report(tmp_path / "fit.pdf")
