"""The average gradient outer product and the powers of a feature matrix against slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import oracles
from tests.leaf_variants import generator
from xrfm_cli.leaf_models import agop_diagonal
from xrfm_cli.leaf_models.agop import (
    agop,
    apply_feature_matrix,
    feature_matrix_power,
    normalise_feature_matrix,
)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_agop_equals_the_loop(outputs: int, weighted: bool) -> None:
    source = generator(1)
    gradients = torch.randn(9, outputs, 4, generator=source, dtype=torch.float64)
    weights = torch.rand(9, generator=source, dtype=torch.float64) if weighted else None
    slow = oracles.agop(gradients.numpy(), None if weights is None else weights.numpy())
    np.testing.assert_allclose(agop(gradients, weights).numpy(), slow, rtol=1e-12)
    np.testing.assert_allclose(agop_diagonal(gradients, weights).numpy(), np.diag(slow), rtol=1e-12)


def test_weight_two_is_two_copies_and_weight_zero_is_none() -> None:
    gradients = torch.randn(4, 2, 3, generator=generator(2))
    copies = gradients[[0, 0, 2, 3]]
    torch.testing.assert_close(agop(gradients, torch.tensor([2.0, 0.0, 1.0, 1.0])), agop(copies))


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_the_largest_entry_of_a_metric_is_one(shape: str) -> None:
    gradients = torch.randn(9, 2, 4, generator=generator(3), dtype=torch.float64)
    average = agop_diagonal(gradients) if shape == "diagonal" else agop(gradients)
    previous = torch.ones_like(average)
    found = normalise_feature_matrix(average, previous)
    expected = oracles.next_feature_matrix(oracles.agop(gradients.numpy()), previous.numpy(), shape)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert float(found.abs().max()) == pytest.approx(1.0)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_an_unusable_agop_keeps_the_metric(value: float) -> None:
    previous = torch.tensor([0.5, 1.0])
    torch.testing.assert_close(normalise_feature_matrix(torch.full((2,), value), previous), previous)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_metric_power_equals_the_oracle(power: float) -> None:
    half = torch.randn(4, 4, generator=generator(4), dtype=torch.float64)
    full = half @ half.T
    np.testing.assert_allclose(
        feature_matrix_power(full, power).numpy(),
        oracles.feature_matrix_power(full.numpy(), power),
        atol=1e-10,
    )
    diagonal = full.diagonal()
    np.testing.assert_allclose(
        feature_matrix_power(diagonal, power).numpy(),
        oracles.feature_matrix_power(diagonal.numpy(), power),
        rtol=1e-12,
    )


def test_root_squared_is_the_metric_even_without_full_rank() -> None:
    direction = torch.tensor([[3.0, 4.0, 0.0]])
    feature_matrix = direction.T @ direction
    root = feature_matrix_power(feature_matrix, 0.5)
    torch.testing.assert_close(root @ root, feature_matrix, atol=1e-5, rtol=1e-5)


def test_a_diagonal_metric_is_the_full_one_with_zeros_elsewhere() -> None:
    x = torch.randn(5, 3, generator=generator(5))
    diagonal = torch.tensor([1.0, 0.25, 0.0])
    by_column = apply_feature_matrix(x, feature_matrix_power(diagonal, 0.5))
    by_matrix = apply_feature_matrix(x, feature_matrix_power(torch.diag(diagonal), 0.5))
    torch.testing.assert_close(by_column, by_matrix)
