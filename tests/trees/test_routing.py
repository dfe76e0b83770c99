"""Hard and soft routing against slow loops, one row at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests import oracles
from tests.leaf_variants import assert_same_bits, generator
from xrfm_cli.trees.routing import (
    MAX_VOTING_LEAVES,
    VOTING_MASS,
    SplitNode,
    log_weight_gradients,
    path_weights,
    project,
    route,
    voting_weights,
)


def right_of(projection: float, threshold: float) -> bool:
    """The one rule for ties: equal goes left."""
    return projection > threshold


def make_splits(leaves: int, d: int, seed: int, *, hard_share: float = 0.0) -> tuple[SplitNode, ...]:
    """Return a random tree with this many leaves; whole thresholds tie with rows of whole numbers."""
    rng = np.random.default_rng(seed)
    splits: list[SplitNode] = []
    numbers = iter(range(leaves))

    def build(count: int) -> int:
        if count == 1:
            return ~next(numbers)
        number = len(splits)
        direction = torch.zeros(d, dtype=torch.float64)
        if rng.random() < 0.5:
            direction[int(rng.integers(d))] = 1.0
        else:
            direction = torch.from_numpy(rng.normal(size=d))
        node = SplitNode(
            direction=direction,
            threshold=float(rng.integers(-2, 3)),
            iqr=0.0 if rng.random() < hard_share else float(rng.uniform(0.2, 3.0)),
            left=0,
            right=0,
        )
        splits.append(node)
        left_count = int(rng.integers(1, count))
        left = build(left_count)
        right = build(count - left_count)
        splits[number] = SplitNode(
            direction=node.direction, threshold=node.threshold, iqr=node.iqr, left=left, right=right
        )
        return number

    build(leaves)
    return tuple(splits)


def slow(splits: tuple[SplitNode, ...]) -> list[oracles.Split]:
    return [
        oracles.Split(
            direction=node.direction.numpy(),
            threshold=node.threshold,
            iqr=node.iqr,
            left=node.left,
            right=node.right,
        )
        for node in splits
    ]


def rows_with_ties(n: int, d: int, seed: int) -> Tensor:
    return torch.randint(-3, 4, (n, d), generator=generator(seed)).float()


trees = st.builds(
    make_splits,
    leaves=st.integers(1, 20),
    d=st.just(3),
    seed=st.integers(0, 10_000),
    hard_share=st.sampled_from([0.0, 0.3, 1.0]),
)


@settings(max_examples=40)
@given(splits=trees, seed=st.integers(0, 1000))
def test_route_equals_the_walk_of_each_row(splits: tuple[SplitNode, ...], seed: int) -> None:
    x = rows_with_ties(25, 3, seed)
    found = route(x, splits).tolist()
    assert found == [oracles.route(slow(splits), row.double().numpy(), right_of) for row in x]


@settings(max_examples=40)
@given(splits=trees, seed=st.integers(0, 1000), temperature=st.sampled_from([0.0, 1e-6, 0.1, 1.0, 50.0]))
def test_path_weights_equal_the_products_of_shares(
    splits: tuple[SplitNode, ...], seed: int, temperature: float
) -> None:
    x, leaves = rows_with_ties(15, 3, seed), len(splits) + 1
    found = path_weights(x, splits, leaves, temperature)
    for row, weights in zip(x, found, strict=True):
        expected = oracles.path_weights(slow(splits), row.double().numpy(), temperature, right_of)
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(found.sum(1), torch.ones(15, dtype=torch.float64))
    assert bool((found >= 0).all())


@settings(max_examples=40)
@given(splits=trees, seed=st.integers(0, 1000))
def test_without_temperature_all_weight_is_on_the_routed_leaf(
    splits: tuple[SplitNode, ...], seed: int
) -> None:
    x = rows_with_ties(25, 3, seed)
    weights = path_weights(x, splits, len(splits) + 1, 0.0)
    assert_same_bits(weights.argmax(1), route(x, splits))
    assert_same_bits(weights.max(1).values, torch.ones(25, dtype=torch.float64))


@settings(max_examples=60)
@given(raw=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30).filter(lambda values: sum(values) > 1e-6))
def test_voting_leaves_hold_nearly_all_weight_and_are_few(raw: list[float]) -> None:
    weights = torch.tensor([raw], dtype=torch.float64)
    weights = weights / weights.sum()
    votes = voting_weights(weights)
    kept = votes[0] > 0
    assert float(votes.sum()) == pytest.approx(1.0)
    assert int(kept.sum()) <= MAX_VOTING_LEAVES
    assert int(kept.sum()) == MAX_VOTING_LEAVES or float(weights[0, kept].sum()) >= VOTING_MASS - 1e-9
    if not bool(kept.all()):
        assert float(weights[0, ~kept].max()) <= float(weights[0, kept].min())


def test_voting_weights_equal_the_oracle() -> None:
    weights = torch.rand(50, 30, generator=generator(1), dtype=torch.float64).pow(6)
    weights = weights / weights.sum(1, keepdim=True)
    found = voting_weights(weights)
    for row, votes in zip(weights.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(
            votes, oracles.voting_weights(row, share=VOTING_MASS, most=MAX_VOTING_LEAVES), rtol=1e-12
        )


@settings(max_examples=30)
@given(splits=trees, seed=st.integers(0, 1000), temperature=st.sampled_from([0.0, 0.3, 2.0]))
def test_slope_of_the_log_weights_equals_the_loop(
    splits: tuple[SplitNode, ...], seed: int, temperature: float
) -> None:
    x, leaves = rows_with_ties(6, 3, seed), len(splits) + 1
    found = log_weight_gradients(x, splits, leaves, temperature)
    for r, row in enumerate(x.double().numpy()):
        for leaf, steps in oracles.paths(slow(splits)).items():
            expected = oracles.log_weight_gradient(slow(splits), steps, row, temperature)
            np.testing.assert_allclose(found[r, leaf].numpy(), expected, rtol=1e-7, atol=1e-12)


def test_slope_of_the_log_weights_is_a_finite_difference() -> None:
    splits, step = make_splits(6, 3, seed=4), 1e-6
    x = torch.randn(5, 3, generator=generator(2), dtype=torch.float64)
    found = log_weight_gradients(x, splits, 6, 0.8)
    for j in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[j] = step
        above, below = (path_weights(x + side * shift, splits, 6, 0.8).log() for side in (1, -1))
        torch.testing.assert_close(found[:, :, j], (above - below) / (2 * step), rtol=1e-5, atol=1e-6)


def test_temperature_goes_from_hard_to_indifferent() -> None:
    splits, x = make_splits(8, 3, seed=1), torch.randn(40, 3, generator=generator(3))
    hard = path_weights(x, splits, 8, 0.0)
    torch.testing.assert_close(path_weights(x, splits, 8, 1e-9), hard)
    soft = path_weights(x, splits, 8, 1e9)
    depth = {leaf: len(steps) for leaf, steps in oracles.paths(slow(splits)).items()}
    expected = torch.tensor([0.5 ** depth[leaf] for leaf in range(8)], dtype=torch.float64)
    torch.testing.assert_close(soft, expected.expand(40, 8), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 16, 33, 100])
def test_a_projection_does_not_depend_on_the_rows_around_it(d: int) -> None:
    x = torch.randn(1500, d, generator=generator(d))
    direction = torch.randn(d, generator=generator(d + 1), dtype=torch.float64)
    whole = project(x, direction)
    torch.testing.assert_close(whole, x.double() @ direction)
    order = torch.randperm(1500, generator=generator(9))
    assert_same_bits(project(x[order], direction), whole[order])
    for start, stop in ((0, 1), (3, 10), (1020, 1030), (1499, 1500)):
        assert_same_bits(project(x[start:stop], direction), whole[start:stop])


def test_a_tree_without_splits_has_one_leaf() -> None:
    x = rows_with_ties(4, 3, 0)
    assert route(x, ()).tolist() == [0, 0, 0, 0]
    assert path_weights(x, (), 1, 0.5).tolist() == [[1.0]] * 4
    assert route(x[:0], make_splits(3, 3, 0)).shape == (0,)
