"""Greedy selection on predictions that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xrfm_cli.tuning.ensemble import greedy_weights, rounded, spread_weights


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


def squares(
    predictions: list[np.ndarray], truth: np.ndarray, parts: int = 20
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Mean squares of all rows, and of all but those of each part."""
    errors = np.array([(p - truth) ** 2 for p in predictions])
    part = np.arange(len(truth)) % parts
    left_out = np.array([errors[:, part != k].mean(1) for k in range(parts)]).T
    return errors.mean(1), dict(enumerate(left_out))


def test_the_jackknife_tells_noise_from_differences() -> None:
    """The standard error of a mean of differences is known: that of paired rows."""
    generator = np.random.default_rng(1)
    truth = generator.normal(size=400)
    best, other = (truth + generator.normal(size=400) for _ in range(2))
    difference = (other - truth) ** 2 - (best - truth) ** 2
    error = difference.std(ddof=1) / np.sqrt(len(truth))
    for shift, expected in ((1.5, [0.75, 0.25]), (2.5, [1.0, 0.0])):
        # the same differences, moved so that their mean is so many standard errors
        moved = np.sqrt((best - truth) ** 2 + difference - difference.mean() + shift * error + 1e3) + truth
        level = np.sqrt((best - truth) ** 2 + 1e3) + truth
        losses, left_out = squares([level, moved], truth)
        assert losses[1] - losses[0] == pytest.approx(shift * error, rel=1e-6)
        assert spread_weights([1.0, 0.0], losses, left_out, max_members=8) == pytest.approx(expected)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 9), most=st.integers(1, 8))
def test_spread_weights_are_weights(seed: int, k: int, most: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.normal(size=60)
    predictions = [truth + generator.normal(size=60) * generator.uniform(0.8, 1.2) for _ in range(k)]
    losses, left_out = squares(predictions, truth)
    greedy = greedy_weights(predictions, lambda p: float(((p - truth) ** 2).mean()), max_members=most)
    weights = spread_weights(greedy, losses, left_out, max_members=most)
    assert sum(weights) == pytest.approx(1.0)
    assert all(w >= g / 2 for w, g in zip(weights, greedy, strict=True))
    assert sum(w > 0 for w in weights) <= max(sum(g > 0 for g in greedy), min(most, 5))


def test_an_equal_of_the_best_adds_nothing() -> None:
    truth = np.arange(40.0)
    losses, left_out = squares([truth + 1.0, truth + 1.0], truth)
    assert spread_weights([1.0, 0.0], losses, left_out, max_members=8) == [1.0, 0.0]
