"""Kernel ridge regression against a dense solve, and the ladder of jitters."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from tests import oracles
from tests.leaf_variants import generator, sample
from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models import LeafConfig, NormKernel, fit_leaf, solve_ridge
from xrfm_cli.leaf_models.solvers.ridge import OUTER, PANEL, factorise_


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


@pytest.mark.parametrize("n", [1, PANEL, PANEL + 1, OUTER, OUTER + 1, 2 * OUTER + PANEL + 3])
def test_the_factor_is_below_and_the_matrix_stays_above(n: int) -> None:
    x, _ = sample(n)
    matrix = NormKernel(p=2.0, q=1.0, bandwidth=2.0).matrix(x, x) + 0.1 * torch.eye(n)
    factored = matrix.clone()
    assert factorise_(factored)
    torch.testing.assert_close(factored.tril(), torch.linalg.cholesky(matrix), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(factored.triu(1), matrix.triu(1), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("bad_row", [0, PANEL + 1, OUTER - 1, OUTER + PANEL + 1, 2 * OUTER])
def test_a_jitter_is_added_to_the_whole_matrix_wherever_the_factorisation_stopped(bad_row: int) -> None:
    n = 2 * OUTER + 5
    source = generator(4)
    matrix = torch.randn(n, n, generator=source, dtype=torch.float64) / n
    matrix = matrix @ matrix.T + torch.eye(n)
    # A row that is nearly twice another: not positive definite by 1e-7, until the ladder adds more.
    twin = (bad_row + 1) % n
    matrix[bad_row], matrix[:, bad_row] = matrix[twin].clone(), matrix[:, twin].clone()
    matrix[bad_row, bad_row] = matrix[twin, twin] - 1e-7
    y = torch.randn(n, 3, generator=source, dtype=torch.float64)
    solution = solve_ridge(matrix.clone(), y, 1e-12)
    assert 0 < solution.jitter < 1e-4
    expected = torch.linalg.solve(matrix + (1e-12 + solution.jitter) * torch.eye(n), y)
    torch.testing.assert_close(solution.coefficients, expected, rtol=1e-6, atol=1e-6)


def noisy(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of six columns, and a target that is mostly noise: coefficients are as large as 1 / ridge."""
    source = generator(3)
    x = torch.randn(n, 6, generator=source)
    return x, x[:, :1].sign() + torch.randn(n, 1, generator=source)


def test_a_badly_conditioned_matrix_is_solved_as_if_in_float64() -> None:
    x, y = noisy(700)
    gram = NormKernel(p=2.0, q=1.5, bandwidth=30.0).matrix(x, x)
    expected = torch.linalg.solve(gram.double() + 1e-4 * torch.eye(700), y.double())
    by_factor = torch.cholesky_solve(y, torch.linalg.cholesky(gram + 1e-4 * torch.eye(700)))
    found = solve_ridge(gram.clone(), y, 1e-4).coefficients

    def error(coefficients: torch.Tensor) -> float:
        return float((coefficients.double() - expected).norm() / expected.norm())

    assert error(found) < 1e-5
    assert error(by_factor) > 10 * error(found)  # what float32 alone would leave


@pytest.mark.parametrize("kernel_p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("shape", ["diagonal", "full"])
@pytest.mark.parametrize("ridge", [1e-2, 1e-4])
def test_the_number_of_threads_does_not_show(
    kernel_p: float, shape: Literal["diagonal", "full"], ridge: float
) -> None:
    x, y = noisy(900)
    config = LeafConfig(
        kernel_p=kernel_p,
        kernel_q=min(kernel_p, 1.5),
        bandwidth=30.0,
        ridge=ridge,
        iterations=2,
        metric_shape=shape,
    )

    def predict(threads: int, targets: torch.Tensor) -> torch.Tensor:
        torch.set_num_threads(threads)
        return fit_leaf(x[:800], targets, config, generator=generator()).predict(x[800:])

    before = torch.get_num_threads()
    try:
        one, two = predict(1, y[:800]), predict(2, y[:800])
        rounded = predict(1, y[:800] * (1 + torch.finfo(y.dtype).eps))
    finally:
        torch.set_num_threads(before)
    # Some processors' libraries add the terms of a product with a vector by threads. With the small ridge,
    # two AGOP updates amplify each rounding: threads must not change more than a rounding of the target does.
    amplified = float((one - rounded).abs().max())
    assert 0.0 < amplified < 0.05 * float(y.std())
    most = 1e-3 * float(y.std()) if ridge == 1e-2 else 5 * amplified
    assert float((one - two).abs().max()) < most
