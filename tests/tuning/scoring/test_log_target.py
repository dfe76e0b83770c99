"""Targets on a log scale: when they are tried, what corrects them, and what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.tuning.tables import (
    answers,
    described,
    fit,
    law,
    one_line,
    same_bits,
    skewed,
    table_of,
    task_table,
)
from xrfm_cli.datasets import EncodingConfig, SchemaOverrides
from xrfm_cli.errors import OptionError
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.scoring.log_target import mean_factor, suits_log
from xrfm_cli.tuning.scoring.target_transforms import LogTransform
from xrfm_cli.tuning.search.ranges import make_space

LOG = {"target_transform": "log"}
RNG = np.random.default_rng(5)


def skewness(values: np.ndarray) -> float:
    m = sum(values.tolist()) / len(values)
    second = sum((v - m) ** 2 for v in values.tolist()) / len(values)
    return sum((v - m) ** 3 for v in values.tolist()) / len(values) / second**1.5


TARGETS = {
    "prices": (np.exp(RNG.normal(size=400)), True),
    "large prices": (1e200 * np.exp(RNG.normal(size=400)), True),
    "counts": (RNG.poisson(3 * RNG.gamma(1.0, size=400)).astype(float), True),
    "symmetric": (RNG.normal(50.0, 2.0, 400), False),
    "even": (RNG.uniform(0, 1, 400), False),
    "skewed to the left": (10 - np.exp(RNG.uniform(-3, 2, 400)), False),
    "gains and losses": (np.exp(RNG.normal(size=400)) - 0.5, False),
    "constant": (np.full(400, 3.0), False),
    "zero": (np.zeros(400), False),
}


@pytest.mark.parametrize("name", TARGETS)
def test_logarithms_suit_targets_that_are_skewed_to_the_right(name: str) -> None:
    y, expected = TARGETS[name]
    assert bool(suits_log(y)) == expected
    if name == "prices":
        assert skewness(y) > 1 > abs(skewness(np.log(y)))


def losses(metric: str, y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    if metric == "poisson_deviance":
        return float((w * (p - y * np.log(p))).sum())
    return float((w * (y - p) ** 2).sum())


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", ["rmse", "r2", "poisson_deviance"])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_the_factor_is_the_best_multiple(metric: str, scale: float, weighted: bool) -> None:
    y = np.exp(RNG.normal(size=50))
    p, w = y * np.exp(0.4 * RNG.normal(size=50) - 0.2), RNG.uniform(0.5, 2.0, 50)
    found = mean_factor(metric, y * scale, p * scale, w if weighted else None)
    grid = np.linspace(0.5, 2.0, 30_001)
    best = grid[np.argmin([losses(metric, y, g * p, w if weighted else np.ones(50)) for g in grid])]
    assert found == pytest.approx(best, abs=1e-4)


def test_the_factor_is_one_where_the_mean_is_not_wanted_and_stays_near_one() -> None:
    y, p = np.array([1.0, 4.0, 9.0]), np.array([1.0, 2.0, 3.0])
    assert [mean_factor(metric, y, p, None) for metric in ("mae", "mape")] == [1.0, 1.0]
    assert mean_factor("rmse", 10 * y, p, None) == 2.0
    assert mean_factor("rmse", -y, p, None) == 0.5
    assert mean_factor("rmse", y, np.array([1.0, np.nan, 1.0]), None) == 1.0
    assert mean_factor("rmse", y, np.zeros(3), None) == 1.0


def problem_of(columns: dict[str, Any], overrides: SchemaOverrides | None = None, **options: Any) -> Problem:
    config = FitConfig(trials=1, folds=3, **options)
    return set_up_problem(*described(table_of(columns), overrides), config)[0]


@pytest.mark.parametrize("metric", ["rmse", "poisson_deviance", "mae"])
def test_folds_are_corrected_by_one_factor(metric: str) -> None:
    columns = skewed(90) | {"w": RNG.uniform(0.5, 2.0, 90)}
    columns["y"][::7] = 0.0
    problem = problem_of(columns, SchemaOverrides(target="y", weight="w"), metric=metric)
    codes = [RNG.normal(size=(len(fold.valid), 1)) for fold in problem.plan.folds]
    rows = problem.plan.validation_rows
    scores, factor = problem.scorer.decode(range(3), codes, rows, "log")
    target_transforms = [problem.folds.target_transform(fold, "log") for fold in range(3)]
    offsets, shifted = [], []
    for target_transform, own in zip(target_transforms, codes, strict=True):
        assert isinstance(target_transform, LogTransform)
        assert target_transform.factor == 1.0
        offsets += [target_transform.offset] * len(own)
        shifted += (target_transform.decode(own)[:, 0] + target_transform.offset).tolist()
    y, w = problem.data.y_true[rows] + np.array(offsets), problem.scorer.valid_weights
    assert factor == mean_factor(metric, y, np.array(shifted), w)
    np.testing.assert_allclose(scores[:, 0], factor * np.array(shifted) - np.array(offsets), rtol=1e-12)
    own_rows = problem.plan.folds[1].valid
    alone, _ = problem.scorer.decode([1], [codes[1]], own_rows, "log")
    assert problem.scorer.validation_score_of(1, codes[1], own_rows, "log").loss == pytest.approx(
        problem.scorer.metric.loss(
            problem.scorer.metric.compute(problem.data.y_true[own_rows], alone[:, 0], w_of(problem, own_rows))
        )
    )


def w_of(problem: Problem, rows: np.ndarray) -> np.ndarray | None:
    return None if problem.data.weights is None else problem.data.weights[rows]


def test_matrices_are_shared_unless_columns_read_the_target() -> None:
    problem = problem_of(skewed(90))
    plain, logs = (problem.folds.matrices(0, EncodingConfig(), t) for t in ("none", "log"))
    assert logs.x_train is plain.x_train
    assert not np.allclose(logs.y_train, plain.y_train)
    by_target = EncodingConfig(category="target")
    plain, logs = (problem.folds.matrices(0, by_target, t) for t in ("none", "log"))
    assert not np.allclose(logs.x_train, plain.x_train)
    assert problem.folds.matrices(0, by_target, "log") is logs


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (skewed(90), True),
        (law(90), False),
        (skewed(90) | {"y": skewed(90)["y"] - skewed(90)["y"].min() - 1e-3}, False),
        (skewed(90) | {"y": np.random.default_rng(0).uniform(5, 6, 90)}, False),
        (skewed(90) | {"y": np.where(skewed(90)["y"] > 3, "much", "little").tolist()}, False),
    ],
    ids=["skewed", "negative", "just negative", "symmetric", "classes"],
)
def test_logarithms_are_offered_where_they_suit(columns: dict[str, Any], expected: bool) -> None:
    problem = problem_of(columns)
    assert make_space(problem).log_target == expected


@pytest.mark.slow
def test_a_search_learns_logarithms_where_they_predict_better() -> None:
    columns = skewed(200)
    model, plain = (fit(columns, trials=8, pinned=p) for p in ({}, {"target_transform": "none"}))
    assert model.members[0].params["target_transform"] == "log"
    assert isinstance(model.members[0].target_transform, LogTransform)
    tried = {trial["params"]["target_transform"] for trial in model.report.trials}
    assert tried == {"none", "log"}
    assert model.report.score < 0.9 * plain.report.score
    test = skewed(200, seed=9)
    errors = [np.abs(answers(m, table_of(test)) - test["y"]).mean() for m in (model, plain)]
    assert errors[0] < errors[1]
    assert {trial["params"]["target_transform"] for trial in fit(law(60), trials=4).report.trials} == {"none"}


def test_the_final_model_predicts_as_it_was_validated() -> None:
    columns = skewed(150) | {"y": np.exp(RNG.normal(0.0, 0.9, 150))}
    model = fit(columns, pinned=LOG | {"ridge": 100.0})  # nothing to learn but the mean
    target_transform = model.members[0].target_transform
    assert isinstance(target_transform, LogTransform)
    assert target_transform.factor > 1.2
    np.testing.assert_allclose(answers(model, table_of(columns)).mean(), columns["y"].mean(), rtol=0.15)
    median = fit(columns, metric="mae", pinned=LOG | {"ridge": 100.0})
    assert isinstance(median.members[0].target_transform, LogTransform)
    assert median.members[0].target_transform.factor == 1.0
    np.testing.assert_allclose(answers(median, table_of(columns)).mean(), np.median(columns["y"]), rtol=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["rmse", "mae", "r2", "mape", "poisson_deviance"])
def test_every_metric_validates_counts_with_zeros(metric: str) -> None:
    columns = skewed(90)
    columns["y"] = np.floor(columns["y"])
    assert columns["y"].min() == 0
    model = fit(columns, trials=3, metric=metric)
    assert np.isfinite(model.report.score)
    assert np.isfinite(answers(model, table_of(law(40, seed=3)))).all()


def test_weight_two_equals_two_rows() -> None:
    columns, times = skewed(60), np.where(np.arange(60) % 3 == 0, 2, 1)
    columns["town"] = ["Wien"] * 60
    columns["y"][::10] = 0.0
    pinned = LOG | {"iterations": 1, "numeric_transform": "standard"}
    copies = {name: np.repeat(np.array(values), times) for name, values in columns.items()}
    valid, probe = skewed(40, seed=2), table_of(skewed(40, seed=5))
    weighted = fit(
        columns | {"w": times.astype(float)},
        SchemaOverrides(target="y", weight="w"),
        valid=valid | {"w": np.ones(40)},
        pinned=pinned,
    )
    copied = fit(copies, valid=valid, pinned=pinned)
    np.testing.assert_allclose(answers(weighted, probe), answers(copied, probe), rtol=0.02)
    assert weighted.report.score == pytest.approx(copied.report.score, rel=0.01)


def test_rows_around_do_not_matter_and_far_rows_stay_near() -> None:
    model = fit(skewed(90), pinned=LOG | {"kernel": "linear", "ridge": 1e-3})
    columns = law(50, seed=4)
    columns["a"][:2], columns["b"][2:4] = 1e6, -1e6
    whole = answers(model, table_of(columns))
    for k in (0, 3, 20):
        alone = {name: values[k : k + 1] for name, values in columns.items()}
        assert same_bits(answers(model, table_of(alone)), whole[k : k + 1])
    y = skewed(90)["y"]
    assert whole.max() < 2 * y.max() * (y.max() / y.min()) ** 0.1


def test_negative_targets_may_validate_what_learned_logarithms() -> None:
    valid = skewed(30, seed=2)
    valid["y"][:3] = [-4.0, 0.0, -0.5]
    model = fit(skewed(60), valid=valid, trials=3, pinned=LOG)
    assert np.isfinite(model.report.score)
    constant = skewed(60) | {
        "a": np.ones(60),
        "b": np.ones(60),
        "useless": np.ones(60),
        "town": ["Graz"] * 60,
    }
    varied = np.arange(60) == 0
    fit(constant | {"a": varied.astype(float)}, trials=0, pinned=LOG)  # one fold trains on no varying column


def test_unskewed_targets_may_be_pinned_to_logarithms() -> None:
    columns = law(60)
    columns["y"] = columns["y"] - columns["y"].min()
    model = fit(columns, trials=2, pinned=LOG)
    assert all(isinstance(member.target_transform, LogTransform) for member in model.members)


def test_pinning_logarithms_of_a_negative_target_is_refused_by_its_row() -> None:
    columns = law(60)
    columns["y"] = np.abs(columns["y"])
    columns["y"][[16, 40]] = -0.25
    with pytest.raises(
        OptionError, match=r"target_transform=log: small.csv has a negative 'y' \(row 17 of"
    ) as caught:
        fit(columns, pinned=LOG)
    one_line(caught.value)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_pinning_logarithms_of_classes_is_refused(task: str) -> None:
    with pytest.raises(OptionError, match=r"target_transform=log: 'y' of .* is a class") as caught:
        fit(task_table(task), pinned=LOG)
    one_line(caught.value)
    fit(task_table(task, 40), folds=2, pinned={"target_transform": "none"})
