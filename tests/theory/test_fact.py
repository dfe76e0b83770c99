"""The feature matrix of first-order optimality, from its formula in float64.

Boix-Adsera, Mallinar, Simon and Belkin, "FACT: the Features At Convergence Theorem for neural networks",
arXiv 2507.05644. Gradients come from central differences of the predictions.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.leaf_variants import generator
from tests.theory.tasks import accuracy, hypercube, modular_table, r_squared
from xrfm_cli.leaf_models import LeafConfig, LeafModel, RFMLeaf, iterate_leaf
from xrfm_cli.leaf_models.fact import symmetrised

STEP = 1e-5
SMOOTH = LeafConfig(
    kernel_q=2.0, bandwidth=4.0, ridge=0.1, iterations=2, agop_rows=10_000, feature_matrix="fact"
)
LAPLACE = LeafConfig(bandwidth=10.0, ridge=1e-3, iterations=8, agop_rows=10_000)


def rows(n: int = 40, d: int = 3, outputs: int = 2) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, d, generator=generator(1), dtype=torch.float64)
    return x, torch.stack([(x[:, 0] * x[:, 1]).sin(), x[:, 2] ** 2], dim=1)[:, :outputs]


def differences(leaf: LeafModel, x: Tensor) -> Tensor:  # -> (n, c, d)
    steps = STEP * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.stack([(leaf.predict(x + s) - leaf.predict(x - s)) / (2 * STEP) for s in steps], dim=2)


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_it_is_the_formula_with_residuals_for_coefficients(shape: str) -> None:
    """``alpha = (y - f) / ridge``: the loss gradients of ridge regression."""
    x, y = rows()
    config = replace(SMOOTH, metric_shape=shape)  # type: ignore[arg-type]
    leaves = list(iterate_leaf(x, y, config, generator=generator()))
    for before, after in pairwise(leaves):
        residuals = (y - before.predict(x)) / config.ridge
        formula = torch.einsum("ncj,nc,nk->jk", differences(before, x), residuals, x) / len(x)
        if shape == "diagonal":
            expected = formula.diagonal().abs()
        else:
            values, vectors = torch.linalg.eigh(formula @ formula.T)
            expected = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        found = after.feature_matrix
        torch.testing.assert_close(found, expected / expected.abs().max(), rtol=1e-5, atol=1e-6)


def test_a_row_of_weight_two_counts_like_two_copies() -> None:
    x, y = rows(20)
    weights = torch.ones(20, dtype=torch.float64)
    weights[:5] = 2.0
    weighted = list(iterate_leaf(x, y, SMOOTH, generator=generator(), weights=weights))[1]
    assert isinstance(weighted, RFMLeaf)
    residuals = weights[:, None] * (y - weighted.predict(x)) / SMOOTH.ridge
    torch.testing.assert_close(weighted.coefficients, residuals, rtol=1e-6, atol=1e-6)


def test_it_does_not_depend_on_the_origin() -> None:
    x, y = rows()
    for config in (SMOOTH, replace(LAPLACE, feature_matrix="fact", metric_shape="full", iterations=2)):
        *_, here = iterate_leaf(x, y, config, generator=generator())
        *_, there = iterate_leaf(x + 100.0, y, config, generator=generator())
        torch.testing.assert_close(here.feature_matrix, there.feature_matrix, rtol=1e-6, atol=1e-6)


def test_symmetrised_is_the_root_of_the_square() -> None:
    matrix = torch.randn(5, 5, generator=generator(2), dtype=torch.float64)
    found = symmetrised(matrix)
    torch.testing.assert_close(found @ found, matrix @ matrix.T)
    torch.testing.assert_close(found, found.T)
    assert float(torch.linalg.eigvalsh(found).min()) >= 0


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_it_finds_the_support_of_a_sparse_parity(shape: str) -> None:
    """Three of twenty coordinates of the hypercube: a plain kernel learns nothing from 500 rows."""
    x, new = hypercube(500, 20, seed=0), hypercube(1_000, 20, seed=7)
    config = replace(LAPLACE, feature_matrix="fact", metric_shape=shape)  # type: ignore[arg-type]
    leaves = list(iterate_leaf(x, x[:, :3].prod(1, keepdim=True), config, generator=generator()))
    scores = [r_squared(leaf, new, new[:, :3].prod(1, keepdim=True)) for leaf in leaves]
    assert scores[0] < 0.1
    assert max(scores) > 0.9
    learned = leaves[-1].feature_matrix
    entries = learned if learned.ndim == 1 else learned.diagonal()
    assert set(entries.argsort(descending=True)[:3].tolist()) == {0, 1, 2}


@pytest.mark.slow
def test_it_groks_modular_addition() -> None:
    split = modular_table("addition", 31, seed=0)
    config = LeafConfig(
        kernel_q=2.0,
        bandwidth=5.0,
        ridge=1e-8,
        iterations=25,
        metric_shape="full",
        agop_rows=10_000,
        agop_power=0.5,
        feature_matrix="fact",
    )
    history = [
        accuracy(leaf, split.new_x, split.new_y)
        for leaf in iterate_leaf(split.x, split.y, config, generator=generator())
    ]
    assert max(history[:10]) <= 2 / 31
    assert history[-1] > 0.4
