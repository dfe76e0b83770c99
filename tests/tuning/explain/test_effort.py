"""The estimated cost of a row, which decides how many rows an explanation takes."""

from __future__ import annotations

import pytest
import torch

from xrfm_cli.leaf_models import LeafConfig, iterate_leaf
from xrfm_cli.trees import TreeConfig, TreeModel
from xrfm_cli.tuning.explain.effort import gradient_ns, prediction_ns

LEAVES = [
    LeafConfig(kernel="norm", kernel_p=2.0),
    LeafConfig(kernel="norm", kernel_p=1.5),
    LeafConfig(kernel="sum_power", kernel_q=1.0),
    LeafConfig(kernel="sum_power", kernel_q=0.8),
    LeafConfig(kernel="linear"),
]


def one_leaf(config: LeafConfig, *, rows: int, d: int) -> TreeModel:
    x = torch.randn(rows, d, generator=torch.Generator().manual_seed(d))
    leaf = next(iterate_leaf(x, x[:, :1], config, generator=torch.Generator().manual_seed(0)))
    return TreeModel(config=TreeConfig(leaf=config), splits=(), leaves=(leaf,))


@pytest.mark.parametrize("config", LEAVES, ids=lambda leaf: f"{leaf.kernel} {leaf.kernel_p} {leaf.kernel_q}")
def test_a_row_costs_more_with_more_columns_and_centers(config: LeafConfig) -> None:
    few, wide = one_leaf(config, rows=40, d=4), one_leaf(config, rows=40, d=64)
    assert prediction_ns(wide) > 2 * prediction_ns(few)
    assert gradient_ns(few) > 3 * prediction_ns(few)
    many = one_leaf(config, rows=120, d=4)
    centers = 1 if config.kernel == "linear" else 3
    assert prediction_ns(many) == pytest.approx(centers * prediction_ns(few))
