"""Decision thresholds: the class that maximises a metric, with rows and weights."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as skm

from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric
from xrfm_cli.tuning.scoring.thresholds import (
    MOST_PROBABLE,
    DecisionThreshold,
    choose_decision,
    confusion_matrix,
)

Array = NDArray[np.float64]
DECIDED = [name for name, metric in METRICS.items() if metric.is_decided]


def loss_by(name: str):  # type: ignore[no-untyped-def]
    return lambda confusions: -METRICS[name].compute(confusions)


def rare_classes(n: int, shares: list[float], *, seed: int) -> tuple[NDArray[np.int64], Array]:
    """Return class numbers, and the correct probabilities of each row."""
    generator = np.random.default_rng(seed)
    logits = np.log(shares) + 1.5 * generator.normal(size=(n, len(shares)))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return (p.cumsum(1) < generator.uniform(size=(n, 1))).sum(1), p


def test_the_decided_metrics_are_those_of_unequal_classes() -> None:
    assert sorted(DECIDED) == ["balanced_accuracy", "f1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DECIDED)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_threshold_is_as_good_as_any_that_was_tried(name: str, weighted: bool) -> None:
    y_true, p = rare_classes(400, [0.9, 0.1], seed=1)
    weights = np.random.default_rng(2).uniform(0.5, 2, 400) if weighted else None
    found = choose_decision(loss_by(name), y_true, p, weights)
    score = {"f1": skm.f1_score, "balanced_accuracy": skm.balanced_accuracy_score}[name]
    assert found.threshold is not None
    assert found.threshold < 0.5
    # Each row as it was seen, and as either class by its probability.
    w = np.ones(400) if weights is None else weights
    classes = np.repeat([0, 1], 400)
    counted = np.concatenate([y_true, classes]), np.concatenate([w, w * p[:, 0], w * p[:, 1]])

    def reached(cut: float) -> float:
        return score(counted[0], np.tile(p[:, 1] >= cut, 3), sample_weight=counted[1])

    every = np.quantile(p[:, 1], np.linspace(0.005, 0.995, 199))
    assert (
        reached(found.threshold) >= max(reached(cut) for cut in every) - 0.002
    )  # thresholds have four digits
    chosen = compute_metric(METRICS[name], y_true, p, weights, found)
    assert chosen == pytest.approx(score(y_true, found.codes(p), sample_weight=weights))
    assert chosen > compute_metric(METRICS[name], y_true, p, weights) + 0.02


@pytest.mark.parametrize("name", DECIDED)
def test_what_few_rows_decide_serves_new_rows(name: str) -> None:
    """Better than the threshold that the few rows by themselves would like best."""
    fresh, fresh_p = rare_classes(20_000, [0.95, 0.05], seed=100)
    metric = METRICS[name]
    gains = []
    for seed in range(120):
        y_true, p = rare_classes(150, [0.95, 0.05], seed=seed)
        every = [
            DecisionThreshold(threshold=float(cut))
            for cut in np.quantile(p[:, 1], np.linspace(0.005, 0.995, 199))
        ]
        alone = max(every, key=lambda tried: compute_metric(metric, y_true, p, decision=tried))
        found = choose_decision(loss_by(name), y_true, p)
        scores = [compute_metric(metric, fresh, fresh_p, decision=tried) for tried in (found, alone)]
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 3 * np.std(gains) / np.sqrt(len(gains))


def test_of_right_probabilities_balanced_accuracy_wants_the_inverse_shares() -> None:
    shares = [0.7, 0.25, 0.05]
    y_true, p = rare_classes(40_000, shares, seed=3)
    found = choose_decision(loss_by("balanced_accuracy"), y_true, p)
    rows = np.bincount(y_true)
    exponents = np.log(found.class_weights[1:]) / np.log(rows[0] / rows[1:])
    np.testing.assert_allclose(exponents, 1.0, atol=0.26)  # steps of an eighth
    other_y, other_p = rare_classes(40_000, shares, seed=4)
    metric = METRICS["balanced_accuracy"]
    plain = compute_metric(metric, other_y, other_p)
    assert compute_metric(metric, other_y, other_p, decision=found) > plain + 0.02


@pytest.mark.parametrize("name", DECIDED)
def test_equal_classes_are_left_as_they_are(name: str) -> None:
    y_true = np.tile(np.arange(3), 50)
    assert choose_decision(loss_by(name), y_true, np.eye(3)[y_true]) == MOST_PROBABLE


@pytest.mark.parametrize("classes", [2, 3])
def test_weight_two_decides_like_two_rows(classes: int) -> None:
    y_true, p = rare_classes(120, [0.8, 0.15, 0.05][:classes], seed=5)
    weights = np.where(np.arange(120) % 2, 2.0, 1.0)
    if classes == 2:  # the quantiles that are tried are those of rows: give both the same
        p = p.round(2)
    twice = np.repeat(np.arange(120), weights.astype(int))
    one = choose_decision(loss_by("f1"), y_true, p, weights)
    other = choose_decision(loss_by("f1"), y_true[twice], p[twice])
    reached = [compute_metric(METRICS["f1"], y_true, p, weights, decision) for decision in (one, other)]
    assert reached[0] == pytest.approx(reached[1], abs=0.02)


def test_a_class_that_no_row_shows_is_no_division_by_zero() -> None:
    y_true, p = rare_classes(60, [0.6, 0.3, 0.1], seed=6)
    shown = y_true < 2
    found = choose_decision(loss_by("f1"), y_true[shown], p[shown])
    assert np.isfinite(found.class_weights).all()


def test_the_confusion_matrix_equals_scikit_learns() -> None:
    y_true, p = rare_classes(200, [0.5, 0.3, 0.2], seed=7)
    weights = np.random.default_rng(8).uniform(0, 2, 200)
    found = confusion_matrix(y_true, p.argmax(1), weights, 3)
    np.testing.assert_allclose(found, skm.confusion_matrix(y_true, p.argmax(1), sample_weight=weights))


@pytest.mark.parametrize(
    ("decision", "classes"),
    [
        (DecisionThreshold(threshold=0.5), 3),
        (DecisionThreshold(threshold=0.5), 0),
        (DecisionThreshold(threshold=float("nan")), 2),
        (DecisionThreshold(class_weights=(1.0, 2.0)), 3),
        (DecisionThreshold(class_weights=(1.0, 0.0, 2.0)), 3),
        (DecisionThreshold(class_weights=(1.0, float("inf"), 2.0)), 3),
    ],
)
def test_what_does_not_decide_is_refused(decision: DecisionThreshold, classes: int) -> None:
    with pytest.raises(ValueError, match="fit"):
        decision.check(classes)


@pytest.mark.parametrize("decision", [MOST_PROBABLE, DecisionThreshold(class_weights=(1.0, 2.0, 0.5))])
def test_what_decides_is_let_through(decision: DecisionThreshold) -> None:
    decision.check(3)
