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
from xrfm_cli.leaf_models.compiled import loops
from xrfm_cli.trees.routing import SplitNode, project, reached_leaves, route
from xrfm_cli.trees.votes import (
    MAX_VOTING_LEAVES,
    VOTING_MASS,
    SplitTable,
    Votes,
    hard_routing,
    log_weight_gradients,
    soft_routing,
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


@pytest.fixture(params=["compiled", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to descend, the second as where the package was installed without a compiler."""
    if request.param == "torch":
        monkeypatch.setattr(loops, "extension", None)
    elif not loops.is_compiled():
        pytest.skip("the package was installed without a compiler")
    return str(request.param)


def path_weights(x: Tensor, splits: tuple[SplitNode, ...], leaves: int, temperature: float) -> Tensor:
    """The weight of every leaf for every row, from the pairs that are reached."""
    rows, reached, masses = reached_leaves(x, splits, temperature)
    out = torch.zeros(len(x), leaves, dtype=torch.float64)
    out[rows, reached] = masses
    return out


def vote(x: Tensor, splits: tuple[SplitNode, ...], leaves: int, temperature: float) -> Votes:
    found = soft_routing(x, splits, SplitTable.of(splits), leaves, temperature)
    return Votes.of(*found, leaves)


def expected_votes(x: Tensor, splits: tuple[SplitNode, ...], temperature: float) -> np.ndarray:
    """The votes of each row by loops over all leaves."""
    rows = [oracles.path_weights(slow(splits), row.double().numpy(), temperature, right_of) for row in x]
    return np.array([oracles.voting_weights(row, share=VOTING_MASS, most=MAX_VOTING_LEAVES) for row in rows])


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


@pytest.mark.parametrize("temperature", [1e-6, 0.1, 1.0, 50.0])
@pytest.mark.parametrize(("leaves", "hard_share"), [(2, 0.0), (17, 0.3), (60, 0.0), (60, 1.0)])
def test_votes_are_those_of_the_heaviest_leaves(
    way: str, leaves: int, hard_share: float, temperature: float
) -> None:
    splits = make_splits(leaves, 3, seed=leaves, hard_share=hard_share)
    x = rows_with_ties(40, 3, leaves)
    found = vote(x, splits, leaves, temperature)
    expected = expected_votes(x, splits, temperature)
    np.testing.assert_allclose(found.dense().numpy(), expected, rtol=1e-7, atol=1e-12)
    assert int((expected > 0).sum()) == len(found.rows)
    assert_same_bits(found.keys(), found.keys().sort().values)
    assert found.starts.diff().tolist() == found.leaves.bincount(minlength=leaves).tolist()


@pytest.mark.slow
def test_rows_that_spread_over_hundreds_of_leaves_are_followed_to_all_of_them(way: str) -> None:
    """None of the leaves has a weight that a search by weight would keep at first."""
    splits, x = make_splits(3000, 3, seed=5), torch.randn(6, 3, generator=generator(6))
    np.testing.assert_allclose(
        vote(x, splits, 3000, 1e9).dense().numpy(), expected_votes(x, splits, 1e9), rtol=1e-7, atol=1e-12
    )


@pytest.mark.parametrize("leaves", [2, 9, 400])
def test_fast_routing_is_routing(way: str, leaves: int) -> None:
    """Also where a row lies on a threshold or a rounding error beside it."""
    splits = make_splits(leaves, 3, seed=leaves)
    x = torch.cat([rows_with_ties(300, 3, 1), torch.randn(300, 3, generator=generator(2)), torch.zeros(2, 3)])
    assert_same_bits(hard_routing(x, splits, SplitTable.of(splits)), route(x, splits))


@pytest.mark.parametrize("offset", [0.0, 1e-17, -1e-17])
def test_a_row_on_a_threshold_goes_where_it_went_in_training(way: str, offset: float) -> None:
    x = torch.randn(50, 7, generator=generator(3))
    direction = torch.randn(7, generator=generator(4), dtype=torch.float64)
    for row in range(50):
        threshold = float(project(x, direction)[row]) + offset
        split = (SplitNode(direction=direction, threshold=threshold, iqr=0.0, left=-1, right=-2),)
        found = hard_routing(x, split, SplitTable.of(split))
        assert int(found[row]) == (1 if offset < 0 and threshold < float(project(x, direction)[row]) else 0)
        assert_same_bits(vote(x, split, 2, 1.0).dense().argmax(1), found)


def every_pair(n: int, leaves: int) -> Votes:
    """Every leaf votes on every row."""
    weights = torch.full((n, leaves), 1 / leaves, dtype=torch.float64)
    return Votes.of(torch.arange(leaves).expand(n, -1).contiguous(), weights, leaves)


@settings(max_examples=30)
@given(splits=trees, seed=st.integers(0, 1000), temperature=st.sampled_from([0.0, 0.3, 2.0]))
def test_slope_of_the_log_weights_equals_the_loop(
    splits: tuple[SplitNode, ...], seed: int, temperature: float
) -> None:
    x, leaves = rows_with_ties(6, 3, seed), len(splits) + 1
    if not splits:
        return
    steps = oracles.paths(slow(splits))
    found = log_weight_gradients(x, every_pair(6, leaves), SplitTable.of(splits), temperature)
    for slope, (leaf, r) in zip(found.numpy(), np.ndindex(leaves, 6), strict=True):
        row = x[r].double().numpy()
        expected = oracles.log_weight_gradient(slow(splits), steps[leaf], row, temperature)
        np.testing.assert_allclose(slope, expected, rtol=1e-7, atol=1e-12)


def test_slope_of_the_log_weights_is_a_finite_difference() -> None:
    splits, step = make_splits(6, 3, seed=4), 1e-6
    x = torch.randn(5, 3, generator=generator(2), dtype=torch.float64)
    table = SplitTable.of(splits)
    found = log_weight_gradients(x, every_pair(5, 6), table, 0.8).reshape(6, 5, 3).transpose(0, 1)
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
