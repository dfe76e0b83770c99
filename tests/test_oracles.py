"""The oracles are themselves checked: against finite differences, closed cases and the definition."""

from __future__ import annotations

import numpy as np
import pytest

from tests import oracles
from tests.oracles import Kernel, NormKernel, Split, SumPowerKernel

KERNELS: list[Kernel] = [
    NormKernel(p=2.0, q=1.0, bandwidth=3.0),
    NormKernel(p=1.0, q=1.0, bandwidth=2.0),
    NormKernel(p=1.5, q=0.8, bandwidth=2.0),
    NormKernel(p=0.7, q=0.7, bandwidth=5.0),
    NormKernel(p=2.0, q=2.0, bandwidth=1.5),
    SumPowerKernel(q=1.0, bandwidth=2.0, power=1.0),
    SumPowerKernel(q=1.3, bandwidth=2.0, power=2.0, constant=0.2),
    SumPowerKernel(q=0.8, bandwidth=2.0, power=3.0),
]


def differences(function: object, row: np.ndarray, step: float = 1e-6) -> np.ndarray:
    assert callable(function)
    columns = []
    for j in range(len(row)):
        shift = np.zeros(len(row))
        shift[j] = step
        columns.append((function(row + shift) - function(row - shift)) / (2 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_kernel_gradient_is_the_slope_of_its_value(kernel: Kernel) -> None:
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=4), rng.normal(size=4)
    slope = differences(lambda row: kernel.value(row, v), u)
    np.testing.assert_allclose(kernel.gradient(u, v), slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_kernel_at_distance_zero(kernel: Kernel) -> None:
    row = np.array([1.0, -2.0, 0.5])
    assert kernel.value(row, row) == 1.0
    np.testing.assert_array_equal(kernel.gradient(row, row), np.zeros(3))


def test_known_values() -> None:
    u, v = np.array([0.0, 0.0]), np.array([3.0, 4.0])
    assert NormKernel(p=2, q=1, bandwidth=5).value(u, v) == pytest.approx(np.exp(-1))
    assert NormKernel(p=1, q=1, bandwidth=7).value(u, v) == pytest.approx(np.exp(-1))
    half = (np.exp(-3) + np.exp(-4)) / 2
    assert SumPowerKernel(q=1, bandwidth=1, power=2).value(u, v) == pytest.approx(half**2)


def test_weight_two_is_two_copies_and_weight_zero_is_none() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    kernel, weights = NormKernel(), np.array([1.0, 2.0, 1.0, 0.0, 1.0, 1.0])
    fast = oracles.ridge_solve(oracles.kernel_matrix(kernel, x, x), y, 0.1, weights)
    copies = np.array([0, 1, 1, 2, 4, 5])
    slow = oracles.ridge_solve(oracles.kernel_matrix(kernel, x[copies], x[copies]), y[copies], 0.1)
    probe = rng.normal(size=(3, 2))
    np.testing.assert_allclose(
        oracles.kernel_matrix(kernel, probe, x) @ fast,
        oracles.kernel_matrix(kernel, probe, x[copies]) @ slow,
        rtol=1e-9,
    )


def test_mixture_gradient_is_the_slope_of_the_mixture() -> None:
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(3, 2))
    splits = [
        Split(direction=directions[0], threshold=0.1, iqr=1.2, left=1, right=2),
        Split(direction=directions[1], threshold=-0.3, iqr=0.8, left=~0, right=~1),
        Split(direction=directions[2], threshold=0.2, iqr=1.0, left=~2, right=~3),
    ]
    slopes = rng.normal(size=(4, 2, 2))  # four linear leaves with two outputs

    def votes(row: np.ndarray) -> np.ndarray:
        return oracles.voting_weights(oracles.path_weights(splits, row, 0.7, lambda z, b: z > b), share=1.1)

    row = rng.normal(size=2)
    values = slopes @ row
    slope = differences(lambda at: votes(at) @ (slopes @ at), row)
    found = oracles.mixture_gradient(splits, row, 0.7, votes(row), values, slopes)
    np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-8)
