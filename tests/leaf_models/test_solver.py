"""Kernel ridge regression against a dense solve, and the ladder of jitters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import oracles
from tests.leaf_variants import generator, sample
from xrfm_cli.datasets.errors import NumericalError
from xrfm_cli.leaf_models import NormKernel, solve_ridge


@pytest.mark.parametrize("ridge", [1e-6, 1e-3, 10.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_solution_equals_the_dense_solve(ridge: float, weighted: bool) -> None:
    x, y = sample(15)
    gram = NormKernel(p=2.0, q=1.0, bandwidth=2.0).matrix(x, x)
    weights = torch.rand(15, generator=generator(1), dtype=x.dtype) + 0.1 if weighted else None
    slow = oracles.ridge_solve(
        gram.numpy().copy(), y.numpy(), ridge, None if weights is None else weights.numpy()
    )
    solution = solve_ridge(gram.clone(), y, ridge, weights)
    np.testing.assert_allclose(solution.coefficients.numpy(), slow, rtol=1e-7, atol=1e-9)
    assert solution.jitter == 0.0


def test_residual_is_the_ridge_times_the_coefficients() -> None:
    x, y = sample(20, dtype=torch.float32)
    gram = NormKernel(p=2.0, q=1.0, bandwidth=2.0).matrix(x, x)
    solution = solve_ridge(gram.clone(), y, 0.1)
    torch.testing.assert_close(
        y - gram @ solution.coefficients, 0.1 * solution.coefficients, atol=1e-5, rtol=1e-4
    )


def test_a_singular_matrix_is_solved_with_a_jitter_that_is_told() -> None:
    solution = solve_ridge(torch.ones(50, 50), torch.ones(50, 1), 1e-12)
    assert 0.0 < solution.jitter <= 1e-2
    torch.testing.assert_close(
        torch.ones(50, 50) @ solution.coefficients, torch.ones(50, 1), atol=1e-2, rtol=0.0
    )


def test_a_jitter_is_the_smallest_of_the_ladder_that_serves() -> None:
    values = torch.tensor([1.0, -3e-5])  # positive definite from 3e-5 on
    vectors, _ = torch.linalg.qr(torch.randn(2, 2, generator=generator(2), dtype=torch.float64))
    matrix = (vectors * values.double()) @ vectors.T
    solution = solve_ridge(matrix.clone(), torch.ones(2, 1, dtype=torch.float64), 1e-9)
    assert 3e-5 < solution.jitter < 3e-4
    expected = torch.linalg.solve(
        matrix + (1e-9 + solution.jitter) * torch.eye(2), torch.ones(2, 1, dtype=torch.float64)
    )
    torch.testing.assert_close(solution.coefficients, expected, rtol=1e-6, atol=1e-9)


def test_what_no_jitter_can_mend_is_a_named_error() -> None:
    with pytest.raises(NumericalError, match=r"not positive definite.*--set ridge="):
        solve_ridge(torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.ones(2, 1), 1e-3)
