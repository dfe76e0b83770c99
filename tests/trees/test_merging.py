"""Merging equal rows: nothing but the work changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.leaf_variants import VARIANTS, generator
from xrfm_cli.trees import TrainingRows, TreeConfig, fit_tree
from xrfm_cli.trees.merging import LARGE_GROUP, WORTHWHILE, merge_equal_rows


def rows_of(n: int, levels: int, seed: int, *, weighted: bool) -> TrainingRows:
    """Rows of whole numbers below ``levels``."""
    source = generator(seed)
    x = torch.randint(0, levels, (n, 3), generator=source).float()
    y = torch.randn(n, 2, generator=source)
    weights = torch.rand(n, generator=source) + 0.1 if weighted else None
    return TrainingRows(x=x, routed=x, y=y, weights=weights)


def by_hand(rows: TrainingRows) -> dict[tuple[float, ...], tuple[float, np.ndarray]]:
    """Weight and weighted mean target of every distinct row, in the order of first ones."""
    found: dict[tuple[float, ...], tuple[float, np.ndarray]] = {}
    for number, (x, y) in enumerate(zip(rows.x.tolist(), rows.y.double().numpy(), strict=True)):
        weight = 1.0 if rows.weights is None else float(rows.weights[number])
        mass, total = found.get(tuple(x), (0.0, np.zeros(2)))
        found[tuple(x)] = (mass + weight, total + weight * y)
    return {x: (mass, total / mass) for x, (mass, total) in found.items()}


@settings(max_examples=40)
@given(n=st.integers(1, 200), levels=st.integers(1, 4), seed=st.integers(0, 10_000), weighted=st.booleans())
def test_each_distinct_row_has_the_weight_and_the_mean_target_of_its_copies(
    n: int, levels: int, seed: int, weighted: bool
) -> None:
    rows = rows_of(n, levels, seed, weighted=weighted)
    expected = by_hand(rows)
    merged = merge_equal_rows(rows)
    if len(expected) > WORTHWHILE * n:
        assert merged is rows
        return
    assert merged.weights is not None
    assert [tuple(row) for row in merged.x.tolist()] == list(expected)
    assert merged.routed is merged.x
    np.testing.assert_allclose(merged.weights, [mass for mass, _ in expected.values()], rtol=1e-6)
    np.testing.assert_allclose(merged.y, [mean for _, mean in expected.values()], rtol=1e-5, atol=1e-6)


def test_zeros_of_both_signs_are_equal() -> None:
    x = torch.tensor([[0.0], [-0.0], [1.0]])
    merged = merge_equal_rows(TrainingRows(x=x, routed=x, y=x.clone(), weights=None))
    assert merged.x.tolist() == [[0.0], [1.0]]


def cross_fitted(copies: int, noise: float) -> TrainingRows:
    """Copies of one row and as many others, fitted on what differs between eight folds."""
    source = generator(1)
    routed = torch.cat([torch.ones(copies, 2), torch.randn(copies, 2, generator=source)])
    x = routed.clone()
    x[:, 0] += noise * (torch.arange(2 * copies) % 8)
    return TrainingRows(x=x, routed=routed, y=torch.randn(2 * copies, 1, generator=source), weights=None)


def test_a_large_group_that_differs_by_its_folds_alone_is_one_row() -> None:
    rows = cross_fitted(2 * LARGE_GROUP, 1e-3)
    merged = merge_equal_rows(rows)
    assert len(merged.x) == 1 + 2 * LARGE_GROUP
    assert merged.weights is not None
    assert merged.weights.tolist() == [2 * LARGE_GROUP] + [1] * (2 * LARGE_GROUP)
    torch.testing.assert_close(merged.x[0], rows.x[: 2 * LARGE_GROUP].mean(0))
    assert torch.equal(merged.x[1:], rows.x[2 * LARGE_GROUP :])
    assert merged.routed[0].tolist() == [1.0, 1.0]


def test_a_few_rows_keep_what_was_left_out_of_their_mean_targets() -> None:
    merged = merge_equal_rows(cross_fitted(LARGE_GROUP - 20, 1e-3))
    assert len(merged.x) == 8 + LARGE_GROUP - 20


def test_rows_that_are_fitted_alike_but_routed_apart_stay_apart() -> None:
    routed = torch.arange(200.0)[:, None] % 20
    rows = TrainingRows(x=torch.zeros(200, 1), routed=routed, y=routed.clone(), weights=None)
    assert merge_equal_rows(rows).routed[:, 0].tolist() == list(range(20))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tree_of_copies_is_the_tree_of_weighted_rows(variant: str) -> None:
    """Copies, which are merged, against weights that say the same."""
    source = generator(3)
    x = torch.randn(120, 3, generator=source)
    y = torch.sin(x[:, :1]) + 0.1 * torch.randn(120, 1, generator=source)
    copies = torch.randint(1, 5, (120,), generator=source)
    config = TreeConfig(leaf=VARIANTS[variant], leaf_size=80)

    def tree(x: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
        fitted = fit_tree(x, y, config, generator=generator(), weights=weights)
        assert len(fitted.splits) == 1
        return fitted.predict(seen)

    seen = torch.randn(50, 3, generator=source)
    weighted = tree(x, y, copies.float())
    torch.testing.assert_close(
        tree(x.repeat_interleave(copies, 0), y.repeat_interleave(copies, 0), None),
        weighted,
        rtol=1e-4,
        atol=1e-5,
    )
    assert not torch.allclose(tree(x, y, None), weighted, atol=1e-3)
