"""Start matrices from squares of the target."""

from __future__ import annotations

from dataclasses import replace

import torch

from xrfm_cli.leaf_models import LeafConfig, fit_leaf
from xrfm_cli.tuning.squares import squares_matrix

CONFIG = LeafConfig(kernel_q=1.55, bandwidth=15.0, bandwidth_mode="adaptive", ridge=1e-3, iterations=2)


def hidden_product(n: int, seed: int, d: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """A product of three of many columns, and a line."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=draws)
    return x, x[:, 0:1] * x[:, 1:2] * x[:, 2:3] + 0.7 * x[:, 3:4] + 0.1 * torch.randn(n, 1, generator=draws)


def test_a_product_of_three_columns_is_found_among_many() -> None:
    x, y = hidden_product(1_500, 0)
    fresh, truth = hidden_product(1_000, 1)
    start = squares_matrix(x, y, None, CONFIG, generator=torch.Generator().manual_seed(0))
    assert set(start.argsort(descending=True)[:4].tolist()) == {0, 1, 2, 3}

    def r2(initial: torch.Tensor | None) -> float:
        leaf = fit_leaf(
            x, y, CONFIG, generator=torch.Generator().manual_seed(0), initial_feature_matrix=initial
        )
        return float(1 - (leaf.predict(fresh) - truth).square().mean() / truth.var())

    assert r2(start) > 0.8
    assert r2(None) < 0.5


def test_neither_outliers_nor_the_scale_of_the_target_matter() -> None:
    x, y = hidden_product(400, 2, d=6)
    plain = squares_matrix(x, y, None, CONFIG, generator=torch.Generator().manual_seed(0))
    stretched = 3 + 1e6 * y.pow(3)
    assert torch.equal(
        squares_matrix(x, stretched, None, CONFIG, generator=torch.Generator().manual_seed(0)), plain
    )


def test_a_target_without_squares_starts_alike() -> None:
    x = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    y = torch.cat([torch.ones(50, 1), -torch.ones(50, 1)])
    for shape in ("diagonal", "full"):
        config = replace(CONFIG, metric_shape=shape)
        start = squares_matrix(x, y, None, config, generator=torch.Generator().manual_seed(0))
        assert torch.isfinite(start).all()
        leaf = fit_leaf(
            x, y, config, generator=torch.Generator().manual_seed(0), initial_feature_matrix=start
        )
        assert torch.isfinite(leaf.predict(x)).all()
