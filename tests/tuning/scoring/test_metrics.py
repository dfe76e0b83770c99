"""Metrics against scikit-learn, against hand-made figures, and their direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as skm

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.errors import OptionError
from xrfm_cli.tuning import METRICS, default_metric, evaluate_metrics, find_metric
from xrfm_cli.tuning.scoring.metrics import compute_metric
from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold

GENERATOR = np.random.default_rng(3)
N = 60
VALUES = GENERATOR.uniform(0.5, 4.0, N)
GUESSES = VALUES * GENERATOR.uniform(0.7, 1.3, N)
CODES = {2: GENERATOR.integers(0, 2, N), 3: GENERATOR.integers(0, 3, N)}
WEIGHTS = GENERATOR.uniform(0.1, 3.0, N)
TARGETS = {
    "regression": TargetSchema(name="y", task="regression", reason=""),
    "binary": TargetSchema(name="y", task="binary", reason="", classes=("no", "yes"), positive="yes"),
    "multiclass": TargetSchema(name="y", task="multiclass", reason="", classes=("a", "b", "c")),
}


def probabilities(classes: int) -> np.ndarray:
    drawn = np.random.default_rng(classes).uniform(0.02, 1.0, (N, classes))
    drawn[np.arange(N), CODES[classes]] += 0.4
    return drawn / drawn.sum(1, keepdims=True)


def one_vs_rest(score: object, y: np.ndarray, p: np.ndarray, w: np.ndarray | None) -> float:
    return float(np.mean([score(y == k, p[:, k], sample_weight=w) for k in range(p.shape[1])]))  # type: ignore[operator]


weighting = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])


@weighting
def test_values_agree_with_scikit_learn(weights: np.ndarray | None) -> None:
    found = evaluate_metrics(TARGETS["regression"], VALUES, GUESSES, weights)
    assert found == pytest.approx(
        {
            "rmse": skm.root_mean_squared_error(VALUES, GUESSES, sample_weight=weights),
            "mae": skm.mean_absolute_error(VALUES, GUESSES, sample_weight=weights),
            "r2": skm.r2_score(VALUES, GUESSES, sample_weight=weights),
            "mape": skm.mean_absolute_percentage_error(VALUES, GUESSES, sample_weight=weights),
            "poisson_deviance": skm.mean_poisson_deviance(VALUES, GUESSES, sample_weight=weights),
        },
        rel=1e-10,
    )


@weighting
def test_binary_metrics_agree_with_scikit_learn(weights: np.ndarray | None) -> None:
    y, p = CODES[2], probabilities(2)
    hard = (p[:, 1] > 0.5).astype(int)
    found = evaluate_metrics(TARGETS["binary"], y, p, weights)
    assert found == pytest.approx(
        {
            "log_loss": skm.log_loss(y, p, sample_weight=weights),
            "auc": skm.roc_auc_score(y, p[:, 1], sample_weight=weights),
            "average_precision": skm.average_precision_score(y, p[:, 1], sample_weight=weights),
            "accuracy": skm.accuracy_score(y, hard, sample_weight=weights),
            "balanced_accuracy": skm.balanced_accuracy_score(y, hard, sample_weight=weights),
            "f1": skm.f1_score(y, hard, sample_weight=weights),
            "brier": skm.brier_score_loss(y, p[:, 1], sample_weight=weights),
        },
        rel=1e-10,
    )


@weighting
def test_multiclass_metrics_agree_with_scikit_learn(weights: np.ndarray | None) -> None:
    y, p = CODES[3], probabilities(3)
    hard = p.argmax(1)
    squares = ((p - np.eye(3)[y]) ** 2).sum(1)
    found = evaluate_metrics(TARGETS["multiclass"], y, p, weights)
    assert found == pytest.approx(
        {
            "log_loss": skm.log_loss(y, p, sample_weight=weights),
            "auc": one_vs_rest(skm.roc_auc_score, y, p, weights),
            "average_precision": one_vs_rest(skm.average_precision_score, y, p, weights),
            "accuracy": skm.accuracy_score(y, hard, sample_weight=weights),
            "balanced_accuracy": skm.balanced_accuracy_score(y, hard, sample_weight=weights),
            "f1": skm.f1_score(y, hard, average="macro", sample_weight=weights),
            "brier": np.average(squares, weights=weights),
        },
        rel=1e-10,
    )


@pytest.mark.parametrize(
    ("name", "y_true", "guess", "weights", "expected"),
    [
        ("rmse", [1.0, 2.0], [1.0, 4.0], None, math.sqrt(2.0)),
        ("rmse", [1.0, 2.0], [1.0, 4.0], [3.0, 1.0], 1.0),
        ("mae", [0.0, 10.0], [1.0, 7.0], None, 2.0),
        ("mae", [0.0, 10.0], [1.0, 7.0], [1.0, 3.0], 2.5),
        ("r2", [0.0, 2.0], [1.0, 1.0], None, 0.0),
        ("r2", [0.0, 2.0], [2.0, 0.0], None, -3.0),
        ("r2", [5.0, 5.0], [5.0, 5.0], None, 1.0),
        ("r2", [5.0, 5.0], [5.0, 6.0], None, 0.0),
        ("mape", [2.0, 4.0], [1.0, 5.0], None, 0.375),
        ("poisson_deviance", [1.0], [2.0], None, 2 * (math.log(0.5) + 1.0)),
    ],
)
def test_values_by_hand(
    name: str, y_true: list[float], guess: list[float], weights: list[float] | None, expected: float
) -> None:
    w = None if weights is None else np.array(weights)
    found = compute_metric(METRICS[name], np.array(y_true), np.array(guess), w)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("log_loss", None, -(math.log(0.8) + math.log(0.4) + math.log(0.5)) / 3),
        ("log_loss", [2.0, 0.0, 0.0], -math.log(0.8)),
        ("brier", None, (0.04 + 0.36 + 0.25) / 3),
        ("brier", [0.0, 1.0, 1.0], (0.36 + 0.25) / 2),
        ("auc", None, 0.5),
        ("auc", [1.0, 1.0, 3.0], 0.25),
        ("accuracy", None, 1 / 3),
        ("accuracy", [3.0, 1.0, 1.0], 0.6),
        ("balanced_accuracy", None, 0.25),
        ("f1", None, 0.0),
    ],
)
def test_class_metrics_by_hand(name: str, weights: list[float] | None, expected: float) -> None:
    # Positive probabilities 0.2 and 0.5 of two negatives, 0.4 of one positive; a tie goes to the first class.
    y_true = np.array([0, 1, 0])
    p = np.array([[0.8, 0.2], [0.6, 0.4], [0.5, 0.5]])
    if name in ("accuracy", "balanced_accuracy", "f1"):
        p[2] = [0.4, 0.6]
    w = None if weights is None else np.array(weights)
    assert compute_metric(METRICS[name], y_true, p, w) == pytest.approx(expected, abs=1e-12)


def test_perfect_predictions_reach_the_best_value() -> None:
    best = {"rmse": 0.0, "mae": 0.0, "r2": 1.0, "mape": 0.0, "poisson_deviance": 0.0}
    assert evaluate_metrics(TARGETS["regression"], VALUES, VALUES) == pytest.approx(best, abs=1e-12)
    for task, classes in (("binary", 2), ("multiclass", 3)):
        found = evaluate_metrics(TARGETS[task], CODES[classes], np.eye(classes)[CODES[classes]])
        for name, value in found.items():
            assert value == pytest.approx(0.0 if METRICS[name].lower_is_better else 1.0, abs=1e-12), name


def test_worst_predictions_are_finite_and_worst() -> None:
    wrong = np.eye(2)[1 - CODES[2]]
    found = evaluate_metrics(TARGETS["binary"], CODES[2], wrong)
    assert found["auc"] == found["accuracy"] == found["balanced_accuracy"] == found["f1"] == 0.0
    assert found["brier"] == 1.0
    assert 30 < found["log_loss"] < 40  # a certain mistake costs much, but not infinity


def test_loss_is_oriented_downwards_and_comes_back() -> None:
    for task, classes in (("regression", 0), ("binary", 2), ("multiclass", 3)):
        y_true = VALUES if not classes else CODES[classes]
        good = VALUES if not classes else np.eye(classes)[y_true] * 0.9 + 0.1 / classes
        bad = GUESSES * 1.5 if not classes else np.eye(classes)[(y_true + 1) % classes] * 0.9 + 0.1 / classes
        for metric in METRICS.values():
            if task in metric.tasks:
                values = [compute_metric(metric, y_true, p) for p in (good, bad)]
                assert metric.loss(values[0]) < metric.loss(values[1]), metric.name
                assert metric.value_of(metric.loss(values[1])) == pytest.approx(values[1], abs=1e-12)


def test_threshold_moves_labels_of_two_classes_alone() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    assert DecisionThreshold().codes(p).tolist() == [0, 0, 1]
    assert DecisionThreshold(threshold=0.4).codes(p).tolist() == [0, 1, 1]  # from the threshold on
    assert DecisionThreshold(threshold=0.81).codes(p).tolist() == [0, 0, 0]
    y_true = np.array([0, 1, 1])
    assert compute_metric(METRICS["f1"], y_true, p) == pytest.approx(2 / 3)
    assert compute_metric(METRICS["f1"], y_true, p, decision=DecisionThreshold(threshold=0.4)) == 1.0
    assert compute_metric(METRICS["auc"], y_true, p, decision=DecisionThreshold(threshold=0.4)) == 1.0
    found = evaluate_metrics(TARGETS["binary"], y_true, p, decision=DecisionThreshold(threshold=0.4))
    assert (found["f1"], found["accuracy"]) == (1.0, 1.0)


def test_metrics_that_rows_do_not_define_are_left_out() -> None:
    one_class = evaluate_metrics(TARGETS["binary"], np.zeros(3, int), np.full((3, 2), 0.5))
    assert not {"auc", "average_precision"} & set(one_class)
    below_zero = evaluate_metrics(TARGETS["regression"], np.array([-1.0, 2.0]), np.array([1.0, 2.0]))
    assert "poisson_deviance" not in below_zero
    assert "rmse" in below_zero
    for found in (one_class, below_zero):
        assert all(math.isfinite(value) for value in found.values())


def test_metrics_are_found_by_name_and_task() -> None:
    assert [find_metric(None, task).name for task in TARGETS] == ["rmse", "auc", "log_loss"]
    assert default_metric("multiclass") == "log_loss"
    with pytest.raises(OptionError, match="Did you mean 'log_loss'"):
        find_metric("logloss", "binary")
    with pytest.raises(OptionError, match=r"regression target.*rmse"):
        find_metric("auc", "regression")


@pytest.mark.parametrize("name", sorted(METRICS))
def test_weight_two_counts_like_two_rows(name: str) -> None:
    metric, rows = METRICS[name], np.arange(N)
    weights = np.where(rows % 3 == 0, 2.0, np.where(rows % 3 == 1, 1.0, 0.0))
    twice = np.repeat(rows, weights.astype(int))
    for task in metric.tasks:
        classes = len(TARGETS[task].classes)
        y_true, p = (CODES[classes], probabilities(classes)) if classes else (VALUES, GUESSES)
        assert compute_metric(metric, y_true, p, weights) == pytest.approx(
            compute_metric(metric, y_true[twice], p[twice]), rel=1e-9
        )


def test_rows_of_two_classes_of_three_are_not_binary() -> None:
    y_true, guess = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    both = (0.8 + 2 / 3) / 2  # of the two classes that occur
    assert compute_metric(METRICS["f1"], y_true, np.eye(3)[guess]) == pytest.approx(both)
    assert compute_metric(METRICS["f1"], y_true, np.eye(2)[guess]) == pytest.approx(2 / 3)


@weighting
@pytest.mark.parametrize("exponent", [-1000, -560, 560, 900])
def test_metrics_of_any_scale_are_those_of_order_one(exponent: int, weights: np.ndarray | None) -> None:
    scale = 2.0**exponent
    plain = evaluate_metrics(TARGETS["regression"], VALUES, GUESSES, weights)
    found = evaluate_metrics(TARGETS["regression"], VALUES * scale, GUESSES * scale, weights)
    for name in ("r2", "mape"):
        assert found[name] == plain[name]
    for name in ("rmse", "mae", "poisson_deviance"):
        assert found[name] == plain[name] * scale


def test_errors_far_smaller_than_the_largest_target_are_not_lost() -> None:
    y_true, guess = np.array([1e300, 0.0, 0.0]), np.array([1e300, 3e-170, 4e-170])
    found = evaluate_metrics(TARGETS["regression"], y_true, guess)
    assert found["rmse"] == pytest.approx(math.sqrt(25 / 3) * 1e-170)
    assert found["mae"] == pytest.approx(7 / 3 * 1e-170)


def test_metrics_beyond_the_largest_float_are_the_largest_float() -> None:
    y_true, guess = np.array([1e-305, 1e-300]), np.array([1.7e308, -1.7e308])
    found = evaluate_metrics(TARGETS["regression"], y_true, guess)
    assert found["rmse"] == pytest.approx(1.7e308)
    assert found["mape"] == np.finfo(float).max / 2 + np.finfo(float).max / 2
    assert found["r2"] == pytest.approx(1 - np.finfo(float).max)


def test_a_relative_error_is_not_reported_for_targets_of_zero() -> None:
    y_true, guess = np.array([0.0, 2.0]), np.array([1.0, 1.0])
    assert "mape" not in evaluate_metrics(TARGETS["regression"], y_true, guess)
    assert evaluate_metrics(TARGETS["regression"], y_true + 1, guess)["mape"] == pytest.approx(1 / 3)
