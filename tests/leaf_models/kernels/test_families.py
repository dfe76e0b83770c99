"""Every kernel and its gradient against slow loops, automatic differentiation and finite differences."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests import oracles
from tests.leaf_variants import (
    KERNEL_VARIANTS,
    assert_same_bits,
    categories,
    generator,
    oracle_kernel,
    sample,
)
from xrfm_cli.leaf_models import LeafConfig, make_kernel
from xrfm_cli.leaf_models.batched.kernels import typical_distances
from xrfm_cli.leaf_models.compiled.sums import expand
from xrfm_cli.leaf_models.kernels.coordinates import expanded_sums, has_loops, prepare_centers
from xrfm_cli.leaf_models.kernels.families import power_sums
from xrfm_cli.leaf_models.terms import cache_blocks

CONFIGS = {
    name.removesuffix("-full"): config for name, config in KERNEL_VARIANTS.items() if name.endswith("-full")
}
TOLERANCE = {torch.float64: 1e-9, torch.float32: 3e-5}

each_kernel = pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
each_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, centers (two of them equal to rows, one sharing a coordinate) and coefficients."""
    x, coefficients = sample(12, seed=5, dtype=dtype)
    rows, centers = x[:5].clone(), x[5:].clone()
    centers[0], centers[1] = rows[0], rows[1]
    centers[2, 1] = rows[2, 1]
    return rows, centers, coefficients[5:]


@each_dtype
@each_kernel
def test_matrix_equals_the_loop(config: LeafConfig, dtype: torch.dtype) -> None:
    rows, centers, _ = inputs(dtype)
    fast = make_kernel(config, 2.0).matrix(rows, centers)
    slow = oracles.kernel_matrix(oracle_kernel(config, 2.0), rows.double().numpy(), centers.double().numpy())
    assert fast.dtype == dtype
    np.testing.assert_allclose(fast.double().numpy(), slow, atol=TOLERANCE[dtype])


@each_dtype
@each_kernel
def test_gradient_sums_equal_the_loop(config: LeafConfig, dtype: torch.dtype) -> None:
    rows, centers, coefficients = inputs(dtype)
    fast = make_kernel(config, 2.0).gradient_sums(rows, centers, coefficients)
    slow = oracles.leaf_gradients(
        oracle_kernel(config, 2.0),
        rows.double().numpy(),
        centers.double().numpy(),
        coefficients.double().numpy(),
        np.ones(3),
    )
    assert fast.shape == (5, 2, 3)
    np.testing.assert_allclose(fast.double().numpy(), slow, atol=10 * TOLERANCE[dtype])


def rows_beside_categories(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Centers with columns of two values; rows like them, rows that equal them, rows with a third value."""
    centers, _ = categories(25, seed=1, dtype=dtype)
    rows, _ = categories(9, seed=2, dtype=dtype)
    rows[0], rows[1] = centers[0], centers[1]
    rows[2, 0], rows[3, 4], rows[4, :5] = 0.5, -7.0, 0.25
    return rows, centers, torch.randn(25, 3, generator=generator(3), dtype=dtype)


@each_dtype
@each_kernel
def test_columns_of_two_values_equal_the_loop(config: LeafConfig, dtype: torch.dtype) -> None:
    rows, centers, coefficients = rows_beside_categories(dtype)
    kernel, slow = make_kernel(config, 2.0), oracle_kernel(config, 2.0)
    u, a, alpha = (values.double().numpy() for values in (rows, centers, coefficients))
    expected = oracles.kernel_matrix(slow, u, a)
    np.testing.assert_allclose(kernel.matrix(rows, centers).double().numpy(), expected, atol=TOLERANCE[dtype])
    slopes = oracles.leaf_gradients(slow, u, a, alpha, np.ones(6))
    found = kernel.gradient_sums(rows, centers, coefficients)
    np.testing.assert_allclose(found.double().numpy(), slopes, atol=20 * TOLERANCE[dtype], rtol=1e-4)


@settings(max_examples=60)
@given(data=st.data(), name=st.sampled_from(sorted(CONFIGS)))
def test_columns_with_few_values_equal_the_loop(data: st.DataObject, name: str) -> None:
    values = st.sampled_from([0.0, 1.0, -0.3, 0.1 + 0.2, 7.5])
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4)))
    b, m, d = shape
    row = st.lists(values, min_size=d, max_size=d)
    u = torch.tensor(data.draw(st.lists(row, min_size=b, max_size=b)), dtype=torch.float64)
    a = torch.tensor(data.draw(st.lists(row, min_size=m, max_size=m)), dtype=torch.float64)
    kernel, slow = make_kernel(CONFIGS[name], 1.5), oracle_kernel(CONFIGS[name], 1.5)
    expected = oracles.kernel_matrix(slow, u.numpy(), a.numpy())
    np.testing.assert_allclose(kernel.matrix(u, a).numpy(), expected, atol=1e-7)
    coefficients = torch.linspace(-1, 2, m, dtype=torch.float64)[:, None]
    slopes = oracles.leaf_gradients(slow, u.numpy(), a.numpy(), coefficients.numpy(), np.ones(d))
    np.testing.assert_allclose(kernel.gradient_sums(u, a, coefficients).numpy(), slopes, atol=1e-6)


@each_kernel
def test_gradient_sums_equal_automatic_differentiation(config: LeafConfig) -> None:
    x, coefficients = sample(12, seed=6)
    x = x + torch.linspace(0, 0.1, 36, dtype=x.dtype).reshape(12, 3)  # no coordinate of two rows agrees
    rows, centers = x[:5].requires_grad_(), x[5:]
    oracle = make_kernel(config, 2.0).gradient_sums(rows.detach(), centers, coefficients[5:])
    for output in range(2):
        total = _differentiable_matrix(config, rows, centers) @ coefficients[5:, output]
        (slope,) = torch.autograd.grad(total.sum(), rows)
        torch.testing.assert_close(oracle[:, output], slope, rtol=1e-9, atol=1e-10)


def _differentiable_matrix(config: LeafConfig, rows: Tensor, centers: Tensor) -> Tensor:
    """The kernel in plain torch operations that autograd can differentiate twice over."""
    delta = (rows[:, None, :] - centers[None, :, :]).abs()
    if config.kernel == "norm":
        distance = delta.pow(config.kernel_p).sum(-1).pow(1 / config.kernel_p)
        return torch.exp(-((distance / 2.0) ** config.kernel_q))
    base = torch.exp(-((delta / 2.0) ** config.kernel_q)).mean(-1)
    return (config.constant + (1 - config.constant) * base) ** config.power


@each_kernel
def test_matrix_is_symmetric_and_positive_definite(config: LeafConfig) -> None:
    x, _ = sample(40, seed=7)
    matrix = make_kernel(config, 2.0).matrix(x, x)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(40, dtype=x.dtype))
    assert float(torch.linalg.eigvalsh(matrix).min()) > -1e-10


@each_kernel
def test_zero_distance_contributes_nothing(config: LeafConfig) -> None:
    row = torch.tensor([[1.0, -2.0, 0.5]])
    slope = make_kernel(config, 2.0).gradient_sums(row, row.clone(), torch.ones(1, 1))
    torch.testing.assert_close(slope, torch.zeros(1, 1, 3))


@each_kernel
def test_distant_rows_are_unrelated_and_finite(config: LeafConfig) -> None:
    far = torch.tensor([[1e15, -1e15, 1e15]])
    near = torch.zeros(1, 3)
    kernel = make_kernel(config, 2.0)
    assert float(kernel.matrix(far, near)) <= config.constant**config.power + 1e-6
    assert bool(torch.isfinite(kernel.gradient_sums(far, near, torch.ones(1, 1))).all())


@each_kernel
def test_typical_distance_is_the_median_of_pairs(config: LeafConfig) -> None:
    x, _ = sample(7, seed=8)  # 21 pairs: the median is one of them
    found = make_kernel(config, 1.0).typical_distance(x)
    rows = x.numpy()
    if config.kernel == "norm":
        expected = oracles.median_distance(rows, config.kernel_p)
    else:  # along a coordinate, on average
        expected = oracles.median_distance(rows, 1.0) / rows.shape[1]
    assert found == pytest.approx(expected, rel=1e-9)


@each_kernel
def test_typical_distance_of_rows_without_spread_is_usable(config: LeafConfig) -> None:
    kernel = make_kernel(config, 1.0)
    assert kernel.typical_distance(torch.ones(1, 2)) > 0
    assert kernel.typical_distance(torch.ones(5, 2)) > 0
    mostly_equal = torch.cat([torch.zeros(9, 2), torch.ones(1, 2)])
    assert kernel.typical_distance(mostly_equal) > 0


@pytest.mark.parametrize("p", [2**-40, 1e-9, 1e-6, 0.01, 0.04, 0.125])
def test_typical_distance_of_any_exponent_is_finite_and_quick(p: float) -> None:
    """Roots of sums leave the range of float32, and whole ones are not made of a million products."""
    config = LeafConfig(kernel_p=p, kernel_q=p, bandwidth_mode="adaptive")
    u = torch.tensor([[0.0] * 90, [1.0] * 90, [3.0] * 90])
    one = make_kernel(config, 1.0).typical_distance(u)
    assert typical_distances(config, u[None], torch.ones(1, 3, dtype=torch.float64)) == [one]
    assert math.log(one) == pytest.approx(min(math.log(90 * 2.0**p) / p, 300.0), rel=1e-5)


@each_kernel
def test_values_do_not_depend_on_the_size_of_the_block(config: LeafConfig) -> None:
    x, _ = sample(64, seed=12, dtype=torch.float32)
    centers, _ = sample(17, seed=13, dtype=torch.float32)  # an odd number: blocks end amid a vector register
    for power in (2, 3, 5) if config.kernel == "sum_power" else (config.power,):
        kernel = make_kernel(dataclasses.replace(config, power=power), 2.0)
        whole = kernel.matrix(x, centers)
        for size in (1, 3, 10):
            blocks = torch.cat([kernel.matrix(rows, centers) for rows in x.split(size)])
            if config.kernel == "norm" and config.kernel_p == 2:  # a matrix product needs blocks of one shape
                torch.testing.assert_close(blocks, whole)
            else:
                assert_same_bits(blocks, whole)


def test_many_columns_of_centers_are_cut_into_blocks() -> None:
    config = dataclasses.replace(CONFIGS["sum2"], kernel_q=1.0)
    x, coefficients = sample(700, seed=9, dtype=torch.float32)
    assert len(list(cache_blocks(700, 700))) > 1
    for candidate in (config, CONFIGS["norm1"], CONFIGS["norm2"]):
        kernel = make_kernel(candidate, 2.0)
        whole, slopes = kernel.matrix(x, x), kernel.gradient_sums(x, x, coefficients)
        for start in (0, 350, 690):
            rows = slice(start, start + 10)
            torch.testing.assert_close(whole[rows], kernel.matrix(x[rows], x), rtol=1e-4, atol=2e-3)
            torch.testing.assert_close(
                slopes[rows], kernel.gradient_sums(x[rows], x, coefficients), rtol=1e-3, atol=1e-2
            )


def test_short_distances_far_from_the_origin_keep_their_digits_and_equal_rows_are_at_zero() -> None:
    base = torch.full((1, 4), 1000.0)
    shifted = base + torch.tensor([[0.0, 0.0, 0.0, 0.01]])
    apart = float(shifted[0, 3].double() - 1000.0)  # 0.01 as float32 has it there
    assert float(power_sums(base, shifted, 2.0)) ** 0.5 == pytest.approx(apart, rel=1e-3)
    assert float(power_sums(base, base.clone(), 2.0)) == 0.0
    assert float(power_sums(base.double(), shifted.double(), 2.0)) ** 0.5 == pytest.approx(apart, rel=1e-3)


coordinates = st.floats(-50, 50, width=32).map(lambda value: round(value, 2))


@settings(max_examples=60)
@given(
    u=st.lists(coordinates, min_size=3, max_size=3),
    v=st.lists(coordinates, min_size=3, max_size=3),
    q=st.floats(0.3, 2.0),
    extra=st.floats(0.0, 1.0),
    bandwidth=st.floats(0.5, 200.0),
)
def test_norm_kernel_for_any_exponents(
    u: list[float], v: list[float], q: float, extra: float, bandwidth: float
) -> None:
    p = q + (2.0 - q) * extra
    config = LeafConfig(kernel_p=min(p, 2.0), kernel_q=q)
    rows, centers = torch.tensor([u], dtype=torch.float64), torch.tensor([v], dtype=torch.float64)
    kernel = make_kernel(config, bandwidth)
    slow = oracle_kernel(config, bandwidth)
    assert float(kernel.matrix(rows, centers)) == pytest.approx(
        slow.value(rows[0].numpy(), centers[0].numpy()), abs=1e-6
    )
    fast = kernel.gradient_sums(rows, centers, torch.ones(1, 1, dtype=torch.float64))[0, 0]
    expected = slow.gradient(rows[0].numpy(), centers[0].numpy())
    np.testing.assert_allclose(fast.numpy(), expected, rtol=1e-4, atol=1e-6)


@each_kernel
@pytest.mark.parametrize("outputs", [1, 3])
def test_compiled_expansions_equal_the_formula(config: LeafConfig, outputs: int) -> None:
    rows, centers, _ = rows_beside_categories(torch.float32)
    prepared = prepare_centers(centers)
    if not has_loops(rows):
        pytest.skip("the package was installed without a compiler")
    coefficients = torch.randn(25, outputs, generator=generator(4))
    for several in (rows, rows.repeat(40, 1)):  # the second in more than one block
        found = expanded_sums(*make_kernel(config, 2.0).parts(6), several, prepared, coefficients.T)
        values = oracles.kernel_matrix(
            oracle_kernel(config, 2.0), several.double().numpy(), centers.double().numpy()
        )
        expected = values @ coefficients.double().numpy()
        np.testing.assert_allclose(found.double().numpy(), expected, atol=10 * TOLERANCE[torch.float32])


@each_kernel
@pytest.mark.parametrize("m", [1, 255, 256, 300])
def test_compiled_expansions_do_not_depend_on_other_rows_or_threads(config: LeafConfig, m: int) -> None:
    x, _ = sample(90, seed=14, dtype=torch.float32)
    centers, _ = sample(m, seed=15, dtype=torch.float32)
    if not has_loops(x):
        pytest.skip("the package was installed without a compiler")
    weights = torch.randn(2, m, generator=generator(5))
    term, link = make_kernel(config, 2.0).parts(3)
    whole = expand(term, link, x, centers.T.contiguous(), None, weights)
    parts = [expand(term, link, rows, centers.T.contiguous(), None, weights) for rows in x.split(7)]
    assert_same_bits(torch.cat(parts), whole)
    expected = oracles.kernel_matrix(oracle_kernel(config, 2.0), x.double().numpy(), centers.double().numpy())
    bound = TOLERANCE[torch.float32] * (1 + m) ** 0.5
    np.testing.assert_allclose(whole.numpy(), expected @ weights.double().numpy().T, atol=10 * bound)
