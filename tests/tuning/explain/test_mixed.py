"""Mixed differences of several columns: what acts together, and what merely adds up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.mixed import Mixed

Array = NDArray[np.float64]
N = 40_000


def swapped(predict: Callable[[Array], Array], x: Array, *, is_classes: bool) -> Mixed:
    """All swaps of the columns of some rows with those of the row before."""
    mixed = Mixed(plain=predict(x), is_classes=is_classes)
    for size in range(1, x.shape[1] + 1):
        for columns in combinations(range(x.shape[1]), size):
            rows = x.copy()
            rows[:, columns] = np.roll(x, 1, axis=0)[:, columns]
            mixed.add({columns: predict(rows)})
    return mixed


def softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def signs(columns: int) -> Array:
    return np.random.default_rng(1).choice([-1.0, 1.0], size=(N, columns))


def test_a_product_has_its_share_of_the_variance() -> None:
    """Of a variance of 4 + 1 + 1, 4 belong to all three columns, and one more to two pairs of them."""

    def predict(x: Array) -> Array:
        return (2 * x[:, 0] * x[:, 1] * x[:, 2] + x[:, 0] * x[:, 1] + x[:, 0] * x[:, 2])[:, None]

    mixed = swapped(predict, signs(3), is_classes=False)
    assert mixed.squares((0, 1, 2)).mean() == pytest.approx(4, rel=0.05)
    assert mixed.squares((0, 1)).mean() == pytest.approx(5, rel=0.05)
    assert mixed.squares((1, 2)).mean() == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("classes", [2, 3])
def test_added_log_odds_do_not_interact(classes: int) -> None:
    slopes = np.array([[3.0, -2.0], [-3.0, 0.0], [0.0, 2.0]])[:classes]

    def predict(x: Array) -> Array:
        return softmax(x @ slopes.T)[:, 1 if classes == 2 else 0 :]

    x = np.random.default_rng(2).normal(size=(N, 2))
    mixed = swapped(predict, x, is_classes=True)
    assert mixed.squares((0, 1)).mean() < 0.005 * mixed.plain.var(0).sum()


@pytest.mark.parametrize("slope", [1.0, 6.0])
def test_the_interaction_of_classes_is_at_most_the_whole(slope: float) -> None:
    """A product makes two classes, uncertain ones or nearly certain ones."""
    x = np.random.default_rng(3).normal(size=(N, 2))
    mixed = swapped(
        lambda rows: softmax(np.outer(slope * rows[:, 0] * rows[:, 1], [0.0, 1.0]))[:, 1:], x, is_classes=True
    )
    share = mixed.squares((0, 1)).mean() / mixed.plain.var(0).sum()
    assert 0.7 < share < 1.3


def test_targets_do_not_confirm_what_only_the_model_adds() -> None:
    """The truth adds up in log odds; the model has a product, shrinks, or is linear in probability."""
    draws = np.random.default_rng(4)
    x = draws.normal(size=(N, 2))

    def truth(rows: Array) -> Array:
        return softmax(np.outer(3 * rows[:, 0] - 2 * rows[:, 1], [0.0, 1.0]))[:, 1:]

    def bent(rows: Array) -> Array:
        scores = 3 * rows[:, 0] - 2 * rows[:, 1] + 0.7 * rows[:, 0] * rows[:, 1]
        return softmax(np.outer(scores, [0.0, 1.0]))[:, 1:]

    def shrunk(rows: Array) -> Array:
        scores = 1.5 * rows[:, 0] - rows[:, 1] + 0.3 * rows[:, 0] * rows[:, 1]
        return softmax(np.outer(scores, [0.0, 1.0]))[:, 1:]

    def linear(rows: Array) -> Array:
        return np.clip(0.5 + 0.25 * rows[:, :1] - 0.17 * rows[:, 1:], 0.02, 0.98)

    targets = (draws.random((N, 1)) < truth(x)).astype(np.float64)
    for model in (bent, shrunk, linear):
        mixed = swapped(model, x, is_classes=True)
        found = mixed.confirmed((0, 1), targets - mixed.plain)
        error = found.std() / N**0.5
        assert mixed.squares((0, 1)).mean() > 4 * error
        assert abs(found.mean()) < 3 * error


@pytest.mark.parametrize("shrinkage", [1.0, 0.6])
def test_targets_confirm_a_product_in_log_odds(shrinkage: float) -> None:
    draws = np.random.default_rng(5)
    x = draws.normal(size=(8_000, 2))

    def scores(rows: Array) -> Array:
        return 1.5 * rows[:, 0] - rows[:, 1] + rows[:, 0] * rows[:, 1]

    def predict(rows: Array) -> Array:
        return softmax(np.outer(shrinkage * scores(rows), [0.0, 1.0]))[:, 1:]

    truth = softmax(np.outer(scores(x), [0.0, 1.0]))[:, 1:]
    mixed = swapped(predict, x, is_classes=True)
    found = mixed.confirmed((0, 1), (draws.random((8_000, 1)) < truth).astype(np.float64) - mixed.plain)
    assert found.mean() > 4 * found.std() / 8_000**0.5
