"""Leaves along straight paths."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from xrfm_cli.leaf_models import LeafConfig, fit_leaf
from xrfm_cli.leaf_models.compiled.paths import follow
from xrfm_cli.leaf_models.terms import Link, Term
from xrfm_cli.trees.leaf_paths import Paths, follow_leaf, follow_twice


@pytest.mark.parametrize(
    "config",
    [
        LeafConfig(),
        LeafConfig(metric_shape="full"),
        LeafConfig(kernel_p=1.5),
        LeafConfig(kernel="sum_power", kernel_q=1.2),
        LeafConfig(kernel="linear"),
    ],
    ids=["p = 2", "full", "p = 1.5", "sum_power", "linear"],
)
def test_both_lengths_of_segments_come_from_one_walk(config: LeafConfig) -> None:
    x = torch.randn(150, 5, generator=torch.Generator().manual_seed(0))
    y = torch.cat([x[:, :1] * x[:, 1:2], x[:, 2:3].sin()], dim=1)
    leaf = fit_leaf(x, y, config, generator=torch.Generator().manual_seed(0))
    positions = torch.linspace(0, 1, 5, dtype=torch.float64).repeat(20, 1)
    way = (x[20:40] - x[:20]).double()
    way[:, 3] = 0.0  # a coordinate at rest
    fine = Paths(
        start=x[:20].double(),
        way=way,
        positions=positions,
        held=torch.ones_like(positions[:, 1:]),
        rates=torch.rand(20, 2, generator=torch.Generator().manual_seed(1)).double(),
    )
    coarse = replace(fine, positions=positions[:, ::2], held=fine.held[:, ::2])
    found = follow_twice(leaf, fine)
    for own, paths in zip(found, (coarse, fine), strict=True):
        assert torch.equal(own, follow_leaf(leaf, paths)[0])
    if config.kernel != "linear":  # along which every length gives the same
        assert not torch.equal(*found)


def test_an_odd_number_of_segments_has_no_halves() -> None:
    rows, odd = torch.zeros(2, 3).double(), torch.zeros(2, 4).double()
    with pytest.raises(ValueError, match="even number"):
        follow(
            Term(kind="power", exponent=1.0),
            Link(kind="raised", exponent=1, rate=1.0, constant=0.0),
            torch.zeros(3, 8),
            torch.zeros(1, 8).double(),
            (rows, rows, odd, rows, rows[:, :1].contiguous()),
            coarse=rows.clone(),
        )
