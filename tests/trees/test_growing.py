"""Growing: which rows reach which leaf, with ties, weights, overlap and limits."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.leaf_variants import generator, sample
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.trees import Partition, TrainingRows, TreeConfig, fit_tree, grow
from xrfm_cli.trees.routing import project, right_share, route


def table(n: int, levels: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of whole numbers below ``levels``: the fewer levels, the heavier the ties."""
    source = generator(seed)
    x = torch.randint(0, levels, (n, 2), generator=source).float()
    return x, torch.sin(x.sum(1, keepdim=True)) + 0.1 * torch.randn(n, 1, generator=source)


def plain(x: Tensor, y: Tensor, weights: Tensor | None = None) -> TrainingRows:
    """Return rows that are routed by the features on which they are fitted."""
    return TrainingRows(x=x, routed=x, y=y, weights=weights)


tables = st.builds(
    table, n=st.integers(2, 120), levels=st.sampled_from([1, 2, 3, 10, 1000]), seed=st.integers(0, 10_000)
)


@settings(max_examples=40)
@given(rows=tables, leaf_size=st.integers(2, 60), min_leaf_size=st.integers(1, 20))
def test_every_row_is_in_exactly_one_leaf_the_one_it_is_routed_to(
    rows: tuple[Tensor, Tensor], leaf_size: int, min_leaf_size: int
) -> None:
    x, y = rows
    config = TreeConfig(leaf_size=leaf_size, min_leaf_size=min_leaf_size)
    partition = grow(plain(x, y), config, generator=generator())
    assert sorted(itertools.chain(*(leaf.tolist() for leaf in partition.leaf_rows))) == list(range(len(x)))
    reached = route(x, partition.splits)
    for number, leaf in enumerate(partition.leaf_rows):
        assert (reached[leaf] == number).all()
        assert leaf.tolist() == sorted(leaf.tolist())
        assert len(leaf) >= min(min_leaf_size, len(x))
        assert len(leaf) <= leaf_size or not _can_be_split(x[leaf], min_leaf_size)


def _can_be_split(x: Tensor, min_leaf_size: int) -> bool:
    """Whether any cut along a single column leaves both sides enough rows, well away from the limit."""
    for column in x.T:
        below = int((column <= column.median()).sum())
        if min_leaf_size * 3 <= below <= len(x) - min_leaf_size * 3:
            return True
    return False


@settings(max_examples=40)
@given(
    rows=tables,
    overlap=st.sampled_from([0.05, 0.1, 0.25]),
    leaf_size=st.integers(2, 60),
    min_leaf_size=st.integers(1, 20),
)
def test_with_overlap_every_row_still_trains_the_leaf_it_is_routed_to(
    rows: tuple[Tensor, Tensor], overlap: float, leaf_size: int, min_leaf_size: int
) -> None:
    x, y = rows
    config = TreeConfig(leaf_size=leaf_size, min_leaf_size=min_leaf_size, overlap=overlap)
    partition = grow(plain(x, y), config, generator=generator())
    members = [set(leaf.tolist()) for leaf in partition.leaf_rows]
    for row, leaf in enumerate(route(x, partition.splits).tolist()):
        assert row in members[leaf]


def test_overlap_puts_the_middle_in_both_children() -> None:
    x = torch.randn(1000, 3, generator=generator(1))
    y = torch.tanh(x[:, :1])
    partition = grow(plain(x, y), TreeConfig(leaf_size=700, overlap=0.1), generator=generator())
    assert len(partition.leaf_rows) == 2
    left, right = (set(leaf.tolist()) for leaf in partition.leaf_rows)
    both = left & right
    assert len(both) == pytest.approx(200, abs=2)
    assert left | right == set(range(1000))
    order = project(x, partition.splits[0].direction).argsort().tolist()
    assert both <= set(order[398:602])
    without = grow(plain(x, y), TreeConfig(leaf_size=700), generator=generator())
    assert [len(leaf) for leaf in without.leaf_rows] == [500, 500]


@pytest.mark.parametrize("overlap", [0.15, 0.25])
@pytest.mark.parametrize("zeros", [10, 40, 60, 90])
def test_overlap_of_tied_rows_ends(overlap: float, zeros: int) -> None:
    x = torch.cat([torch.zeros(zeros, 1), torch.ones(100 - zeros, 1)])
    partition = grow(
        plain(x, x.clone()),
        TreeConfig(leaf_size=30, min_leaf_size=5, overlap=overlap),
        generator=generator(),
    )
    assert all(len(leaf) < 100 for leaf in partition.leaf_rows) or len(partition.leaf_rows) == 1


def test_a_known_three_leaf_truth() -> None:
    x = torch.cat([torch.full((100, 1), value) for value in (0.0, 1.0, 5.0)])
    y = torch.cat([torch.full((100, 1), value) for value in (0.0, 3.0, -2.0)])
    partition = grow(plain(x, y), TreeConfig(leaf_size=150), generator=generator())
    found = sorted(tuple(leaf.tolist()) for leaf in partition.leaf_rows)
    assert found == [tuple(range(start, start + 100)) for start in (0, 100, 200)]


def test_the_first_split_is_along_what_matters() -> None:
    x = torch.randn(600, 6, generator=generator(2))
    direction = torch.tensor([0.0, 0.6, 0.0, -0.8, 0.0, 0.0], dtype=torch.float64)
    y = torch.tanh(2 * x.double() @ direction).float()[:, None]
    partition = grow(plain(x, y), TreeConfig(leaf_size=400), generator=generator())
    found = partition.splits[0].direction
    assert float((found @ direction).abs()) > 0.99
    assert float(found[found.abs().argmax()]) > 0  # the sign is fixed
    assert float(found.norm()) == pytest.approx(1.0)


def test_threshold_and_iqr_are_those_of_the_projections() -> None:
    x, y = sample(400, dtype=torch.float32)
    node = grow(plain(x, y), TreeConfig(leaf_size=300), generator=generator()).splits[0]
    projection = project(x, node.direction)
    assert int((projection <= node.threshold).sum()) == pytest.approx(200, abs=1)
    low, high = projection.quantile(0.25), projection.quantile(0.75)
    nearer = min(node.threshold - float(low), float(high) - node.threshold)
    assert node.iqr == pytest.approx(2 * nearer, rel=0.02)


def test_rows_that_are_alike_on_both_sides_have_their_interquartile_range() -> None:
    x = torch.linspace(-1, 1, 401)[:, None]
    node = grow(plain(x, x.square()), TreeConfig(leaf_size=300), generator=generator()).splits[0]
    projection = project(x, node.direction)
    spread = float(projection.quantile(0.75) - projection.quantile(0.25))
    assert node.iqr == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize("merged", [False, True])
def test_equal_rows_beside_the_threshold_has_no_say_from_far_leaves(merged: bool) -> None:
    """300 equal rows at -0.01; those of the other side reach to 5, and with them the interquartile range."""
    equal = torch.full((300, 1), -0.01)
    x = torch.cat([equal, torch.linspace(0.0, 5.0, 280)[:, None], torch.linspace(-3.0, -2.0, 20)[:, None]])
    weights = None
    if merged:
        x, weights = x[299:], torch.cat([torch.full((1,), 300.0), torch.ones(300)])
    config = TreeConfig(leaf_size=400 if weights is None else 200)
    node = grow(plain(x, torch.tanh(x), weights), config, generator=generator()).splits[0]
    at_equal = project(equal[:1], node.direction)
    assert node.threshold - float(at_equal) == pytest.approx(0.005, abs=1e-4)
    assert float(right_share(at_equal, node, 0.05)) < 1e-4


def test_rows_are_sent_by_what_predictions_see_of_them() -> None:
    source = generator(8)
    routed = torch.randn(600, 3, generator=source)
    x = routed + 0.3 * torch.randn(600, 3, generator=source)
    rows = TrainingRows(x=x, routed=routed, y=torch.sin(routed[:, :1]), weights=None)
    partition = grow(rows, TreeConfig(leaf_size=100), generator=generator())
    reached = route(routed, partition.splits)
    assert len(partition.leaf_rows) == 8
    for number, own in enumerate(partition.leaf_rows):
        assert (reached[own] == number).all()
    assert not torch.equal(route(x, partition.splits), reached)


def test_the_median_is_weighted() -> None:
    x = torch.arange(200.0)[:, None] / 200
    weights = torch.ones(200)
    weights[150:] = 9.0  # 150 below, 450 above: half of 600 lies at row 150 + 150 / 9
    node = grow(plain(x, x.square(), weights), TreeConfig(leaf_size=150), generator=generator()).splits[0]
    assert int((project(x, node.direction) <= node.threshold).sum()) == pytest.approx(167, abs=1)


def test_rows_that_cannot_be_told_apart_become_one_leaf() -> None:
    rows = plain(torch.ones(500, 3), torch.arange(500.0)[:, None])
    partition = grow(rows, TreeConfig(leaf_size=50), generator=generator())
    assert partition.splits == ()
    assert len(partition.leaf_rows[0]) == 500


def test_a_target_without_signal_is_still_split() -> None:
    x = torch.randn(300, 2, generator=generator(3))
    flat = grow(plain(x, torch.zeros(300, 1)), TreeConfig(leaf_size=100), generator=generator())
    assert max(len(leaf) for leaf in flat.leaf_rows) <= 100


@pytest.mark.parametrize("n", [1, 2, 20])
def test_small_tables_are_one_leaf(n: int) -> None:
    x, y = sample(n, dtype=torch.float32)
    partition = grow(plain(x, y), TreeConfig(leaf_size=20), generator=generator())
    assert partition.splits == ()
    assert partition.leaf_rows[0].tolist() == list(range(n))


def test_the_generator_decides_and_nothing_else() -> None:
    x, y = sample(500, dtype=torch.float32)
    config = TreeConfig(leaf_size=100, split_rows=80)
    before = torch.random.get_rng_state()
    first = grow(plain(x, y), config, generator=generator(4))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(10, generator=generator(5))
    assert _same(first, grow(plain(x, y), config, generator=generator(4)))
    assert not _same(first, grow(plain(x, y), config, generator=generator(6)))


def _same(left: Partition, right: Partition) -> bool:
    return (
        len(left.splits) == len(right.splits)
        and all(torch.equal(a.direction, b.direction) for a, b in zip(left.splits, right.splits, strict=True))
        and [a.threshold for a in left.splits] == [b.threshold for b in right.splits]
    )


@pytest.mark.parametrize("weighs", [False, True])
def test_rows_held_back_do_not_change_a_tree(weighs: bool, tmp_path: Path) -> None:
    x, y = sample(300, dtype=torch.float32)
    weights = torch.linspace(0, 2, 300) if weighs else None  # the first weight is 0
    held = torch.arange(5, 300, 7)
    kept = torch.tensor(sorted(set(range(300)) - set(held.tolist())))
    config = TreeConfig(leaf_size=60, split_rows=100)

    def bits(x: Tensor, y: Tensor, weights: Tensor | None, **more: Any) -> list[Tensor]:
        tree = fit_tree(x, y, config, generator=generator(2), weights=weights, routed=2 * x, **more)
        return [tree.predict(2 * sample(50, dtype=torch.float32)[0]), *(leaf.centers for leaf in tree.leaves)]

    alone = bits(x[kept], y[kept], None if weights is None else weights[kept])
    scratch = Scratch(folder=tmp_path, memory_bytes=1 << 14)
    for found in (bits(x, y, weights, held=held), bits(x, y, weights, held=held, scratch=scratch)):
        assert all(torch.equal(*pair) for pair in zip(found, alone, strict=True))
