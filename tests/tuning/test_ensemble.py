"""Greedy selection on predictions that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfm_cli.tuning.ensemble import greedy_weights, rounded


def weights_of(predictions: list[list[float]], truth: list[float], **options: int) -> list[float]:
    target = np.array(truth)
    return greedy_weights(
        [np.array(p) for p in predictions], lambda p: float(((p - target) ** 2).mean()), **options
    )


@pytest.mark.parametrize(
    ("predictions", "truth", "expected"),
    [
        ([[1.0, 2.0]], [0.0, 0.0], [1.0]),
        ([[1.0, 1.0], [0.0, 0.0]], [0.0, 0.0], [0.0, 1.0]),  # a perfect one stays alone
        ([[1.0, 1.0], [-1.0, -1.0]], [0.0, 0.0], [0.5, 0.5]),
        ([[2.0, 2.0], [-1.0, -1.0]], [0.0, 0.0], [1 / 3, 2 / 3]),
        ([[3.0, 3.0], [-1.0, -1.0]], [0.0, 0.0], [0.25, 0.75]),
        ([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]], [0.5, 0.5], [0.5, 0.5, 0.0]),
    ],
)
def test_weights_by_hand(predictions: list[list[float]], truth: list[float], expected: list[float]) -> None:
    assert weights_of(predictions, truth) == pytest.approx(expected)


def test_equals_go_to_the_first() -> None:
    assert weights_of([[1.0], [1.0], [1.0]], [0.0]) == [1.0, 0.0, 0.0]
    nearly = [[1.0 + 1e-9], [1.0], [1.0 - 1e-9]]  # last bits decide nothing
    assert weights_of(nearly, [0.0]) == [1.0, 0.0, 0.0]


def test_members_are_bounded() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=50)
    predictions = [truth + generator.normal(size=50) for _ in range(9)]
    for most in (1, 2, 4):
        weights = greedy_weights(predictions, lambda p: float(((p - truth) ** 2).mean()), max_members=most)
        assert 1 <= sum(w > 0 for w in weights) <= most
        assert sum(weights) == pytest.approx(1.0)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 6), most=st.integers(1, 6))
def test_never_worse_than_the_best_alone(seed: int, members: int, most: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=12)
    predictions = [truth + generator.normal(size=12) * generator.uniform(0.1, 2) for _ in range(members)]

    def loss(p: np.ndarray) -> float:
        return float(np.abs(p - truth).mean())

    weights = greedy_weights(predictions, loss, max_members=most)
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1.0)
    combined = sum(w * p for w, p in zip(weights, predictions, strict=True))
    assert loss(np.asarray(combined)) <= min(loss(p) for p in predictions) * (1 + 1e-6)


def test_probabilities_stay_probabilities() -> None:
    generator = np.random.default_rng(0)
    predictions = [generator.dirichlet(np.ones(3), 40) for _ in range(4)]
    truth = generator.integers(0, 3, 40)
    weights = greedy_weights(
        predictions, lambda p: float(-np.log(p[np.arange(40), truth]).mean()), max_members=3
    )
    combined = np.asarray(sum(w * p for w, p in zip(weights, predictions, strict=True)))
    np.testing.assert_allclose(combined.sum(1), 1.0)


def test_a_prediction_without_a_finite_loss_is_not_chosen() -> None:
    assert weights_of([[np.inf], [1.0]], [0.0]) == [0.0, 1.0]
    assert weights_of([[np.nan], [1.0]], [0.0]) == [0.0, 1.0]


def test_rounding_keeps_seven_digits() -> None:
    assert rounded(0.123456789) == 0.1234568
    assert rounded(1234567890.0) == 1234568000.0
    assert rounded(-1e-20) == -1e-20
    assert rounded(float("nan")) == rounded(float("-inf")) == float("inf")
