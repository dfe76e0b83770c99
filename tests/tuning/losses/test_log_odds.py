"""Kernel machines that learn the log odds of two classes, from the table to the model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tuning.tables import answers, fit, law, one_line, same_bits, table_of, task_table
from xrfm_cli.datasets import Table
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import RFMLeaf
from xrfm_cli.reports import attribute_rows
from xrfm_cli.tuning import FittedModel, load_model, refit_model, save_model
from xrfm_cli.tuning.scoring.calibration import ODDS_FLOOR, SCORE_FLOOR
from xrfm_cli.tuning.scoring.class_transforms import ClassTransform, LogitTransform
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import fit_size

PINNED = {"loss": "logistic", "iterations": 1}


def odds_table(n: int, *, seed: int = 0) -> tuple[Table, np.ndarray]:
    """Classes drawn by known probabilities, whose log odds are a sum of terms of the columns."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, n))
    p = 1 / (1 + np.exp(-(3 * a + np.where(b > 0.5, 2.5, -1.0) - 1)))
    y = np.where(rng.random(n) < p, "yes", "no")
    return table_of({"a": a, "b": b, "c": c, "y": y.tolist()}), p


@pytest.fixture(scope="module")
def odds_model() -> FittedModel:
    return fit(task_table("binary", 150), pinned=PINNED)


def test_members_learn_log_odds_and_predict_probabilities(odds_model: FittedModel) -> None:
    (member,) = odds_model.members
    assert isinstance(member.target_transform, LogitTransform)
    assert member.params["loss"] == "logistic"
    (leaf,) = member.tree.leaves
    assert isinstance(leaf, RFMLeaf)
    y_true = np.array(task_table("binary", 150).column("y").to_pylist())
    share = ((y_true == odds_model.target.classes[1]).sum() + 0.5) / 151
    assert leaf.intercept == pytest.approx(np.log(share / (1 - share)))
    p = answers(odds_model, table_of(law(400, seed=5)))
    assert p.shape == (400, 2)
    np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-12)
    y = law(400, seed=5)["y"] > 1.7
    assert ((p[:, 1] > 0.5) == y).mean() > 0.85


def test_probabilities_are_nearer_the_truth_than_those_of_least_squares() -> None:
    table, _ = odds_table(500)
    new, p = odds_table(2_000, seed=1)
    common = {"iterations": 1, "ridge": 1.0, "bandwidth": 8.0, "kernel": "norm", "kernel_p": 1.0}
    errors = {
        loss: np.abs(answers(fit(table, pinned=common | {"loss": loss}), new)[:, 1] - p).mean()
        for loss in ("squared", "logistic")
    }
    assert errors["logistic"] < 0.97 * errors["squared"]


def test_leaves_of_a_tree_have_odds_of_their_own() -> None:
    table = task_table("binary", 300)
    model = fit(table, folds=2, pinned=PINNED | {"leaf_size": 80})
    (member,) = model.members
    intercepts = [leaf.intercept for leaf in member.tree.leaves if isinstance(leaf, RFMLeaf)]
    assert len(intercepts) == len(member.tree.leaves) > 2
    assert len({round(value, 6) for value in intercepts}) > 2
    found = attribute_rows(model, table.take(np.arange(20)))
    columns = [found.column(column.name).to_numpy() for column in model.schema.features]
    change = found.column("prediction").to_numpy() - found.column("baseline").to_numpy()
    np.testing.assert_allclose(sum(columns), change, atol=1e-9)


def test_a_file_keeps_them(odds_model: FittedModel, tmp_path: Path) -> None:
    save_model(odds_model, tmp_path / "odds.xrfm")
    probe = table_of(law(50, seed=5))
    assert same_bits(answers(load_model(tmp_path / "odds.xrfm"), probe), answers(odds_model, probe))


def test_a_refit_learns_log_odds_again(odds_model: FittedModel) -> None:
    again = refit_model(odds_model, task_table("binary", 150))
    assert isinstance(again.members[0].target_transform, LogitTransform)
    probe = table_of(law(50, seed=5))
    np.testing.assert_allclose(answers(again, probe), answers(odds_model, probe), atol=0.02)


def test_small_probabilities_stay_apart() -> None:
    """A floor under scores suits what least squares say; log odds mean it."""
    floors = {}
    for loss in ("squared", "logistic"):
        model = fit(task_table("binary", 100), pinned={"loss": loss, "iterations": 0})
        calibrator = model.members[0].calibrator
        assert calibrator is not None
        floors[loss] = calibrator.floor
    assert floors == {"squared": SCORE_FLOOR, "logistic": ODDS_FLOOR}


def test_a_search_tries_both_and_says_so() -> None:
    model = fit(task_table("binary", 90), trials=6, folds=2)
    tried = {
        (trial["params"]["kernel"] in ("norm", "sum_power"), trial["params"]["loss"])
        for trial in model.report.trials
    }
    assert tried >= {(True, "squared"), (True, "logistic")}
    assert (False, "logistic") not in tried
    for member in model.members:
        assert isinstance(
            member.target_transform, LogitTransform if member.params["loss"] == "logistic" else ClassTransform
        )
    others = fit(task_table("multiclass", 60), trials=5, folds=2).report.trials
    assert {trial["params"]["loss"] for trial in others} == {"squared"}


@pytest.mark.parametrize(("task", "words"), [("regression", "is a number"), ("multiclass", "has 3 classes")])
def test_pinning_log_odds_where_there_are_none_is_refused(task: str, words: str) -> None:
    with pytest.raises(OptionError, match=f"loss=logistic: 'y' of small.csv {words}") as caught:
        fit(task_table(task), pinned=PINNED)
    one_line(caught.value)


def test_their_cost_is_that_of_two_factorisations() -> None:
    plain, odds = (
        fit_size(Candidate.from_dict({"loss": loss}), 2_000, validated=500)
        for loss in ("squared", "logistic")
    )
    assert odds.products(3) == 2 * plain.products(3)
    assert odds.pairs(3) == plain.pairs(3)
    assert odds.family != plain.family


def test_copies_with_either_class_are_learned_as_one_row_between_them() -> None:
    columns = law(60)
    classes = np.where(columns["y"] > 1.7, "yes", "no")
    copies = {name: np.tile(np.asarray(columns[name]), 5).tolist() for name in ("a", "b", "town")}
    some = [*np.tile(classes, 4), *np.where(classes == "yes", "no", "yes")]  # a fifth of each row's is wrong
    model = fit(table_of(copies | {"y": some}), folds=2, pinned=PINNED | {"leaf_size": 40})
    (member,) = model.members
    assert len(member.tree.leaves) > 1
    assert sum(leaf.n_rows for leaf in member.tree.leaves) == 60
    p = answers(model, table_of(copies))
    assert ((p[:60, 1] > 0.5) == (classes == "yes")).mean() > 0.8
    assert p.max() < 0.95
