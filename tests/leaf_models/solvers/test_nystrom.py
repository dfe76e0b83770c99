"""Fewer centers than rows: the iterative solver against dense float64 solutions of the same problem."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.leaf_variants import assert_same_bits, generator, sample
from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event
from xrfm_cli.leaf_models import LeafConfig, NormKernel, RFMLeaf, SumPowerKernel, fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.kernels.coordinates import prepare_centers
from xrfm_cli.leaf_models.solvers.nystrom import solve_nystrom

KERNELS: dict[str, NormKernel | SumPowerKernel] = {
    "laplace": NormKernel(p=2.0, q=1.0, bandwidth=2.0),
    "gauss": NormKernel(p=2.0, q=2.0, bandwidth=2.0),
    "city_block": NormKernel(p=1.0, q=1.0, bandwidth=3.0),
    "sum_power": SumPowerKernel(q=1.0, power=2, constant=0.1, bandwidth=1.0),
}
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))


def dense(
    cross: np.ndarray, square: np.ndarray, y: np.ndarray, ridge: float, weights: np.ndarray
) -> np.ndarray:
    """Predictions at the rows of the minimiser, from its normal equations."""
    weighted = cross.T * weights
    return np.asarray(cross @ np.linalg.solve(weighted @ cross + ridge * square, weighted @ y))


@each_kernel
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_the_minimiser_is_found(kernel: NormKernel | SumPowerKernel, weighted: bool, ridge: float) -> None:
    x, y = sample(200)
    weights = torch.rand(200, generator=generator(1), dtype=x.dtype) + 0.2 if weighted else None
    few = x[::5]
    solution = solve_nystrom(kernel, x, y, prepare_centers(few), ridge, weights)
    cross, square = kernel.matrix(x, few), kernel.matrix(few, few)
    ones = np.ones(200) if weights is None else weights.numpy()
    expected = dense(cross.numpy(), square.numpy(), y.numpy(), ridge, ones)
    found = (cross @ solution.coefficients).numpy()
    assert np.abs(found - expected).max() < 1e-4 * y.numpy().std()
    assert solution.residual <= 1e-6


@each_kernel
def test_with_every_row_a_center_it_is_the_direct_solve(kernel: NormKernel | SumPowerKernel) -> None:
    x, y = sample(150)
    square = kernel.matrix(x, x)
    direct = square @ torch.linalg.solve(square + 0.1 * torch.eye(150, dtype=x.dtype), y)
    iterative = square @ solve_nystrom(kernel, x, y, prepare_centers(x), 0.1).coefficients
    assert float((direct - iterative).abs().max()) < 1e-4 * float(y.std())


def test_the_preconditioner_makes_few_steps_enough() -> None:
    x, y = sample(600)
    kernel = KERNELS["laplace"]
    assert solve_nystrom(kernel, x, y, prepare_centers(x[::3]), 1e-3).steps < 30


def test_kept_values_and_values_computed_again_are_the_same() -> None:
    x, y = sample(700, dtype=torch.float32)
    few = prepare_centers(x[::7])
    kept, again = (
        solve_nystrom(KERNELS["laplace"], x, y, few, 1e-2, memory_bytes=size) for size in (1 << 30, 1 << 10)
    )
    assert_same_bits(kept.coefficients, again.coefficients)


def test_a_leaf_with_centers_among_its_rows() -> None:
    x, y = sample(500, dtype=torch.float32)
    config = LeafConfig(max_centers=100, bandwidth=3.0, ridge=1e-2, iterations=2)
    leaves = list(iterate_leaf(x, y, config, generator=generator()))
    assert len(leaves) == 3
    for leaf in leaves:
        assert leaf.centers.shape == (100, 3)
        assert leaf.coefficients.shape == (100, 2)
        assert all(bool((x == center).all(1).any()) for center in leaf.centers[:5])
    again = list(iterate_leaf(x, y, config, generator=generator()))
    assert_same_bits(leaves[-1].coefficients, again[-1].coefficients)
    new, _ = sample(200, seed=2, dtype=torch.float32)
    direct = fit_leaf(x, y, LeafConfig(bandwidth=3.0, ridge=1e-2, iterations=2), generator=generator())
    difference = (leaves[-1].predict(new) - direct.predict(new)).square().mean().sqrt()
    assert float(difference) < 0.15 * float(y.std())
    assert float(leaves[-1].feature_matrix.max()) == 1.0


@pytest.mark.parametrize(("q", "needed"), [(1.0, 0.0), (2.0, 1e-6)])
def test_what_the_centers_need_on_their_diagonal_is_told(q: float, needed: float) -> None:
    """Gaussian values of close rows in float32 are indefinite, those of a rough kernel are not."""
    x, y = sample(400, dtype=torch.float32)
    heard: list[Event] = []
    config = LeafConfig(kernel_q=q, bandwidth=30.0, max_centers=200, iterations=0)
    leaf = fit_leaf(x, y, config, generator=generator(), on_event=heard.append)
    assert isinstance(leaf, RFMLeaf)
    assert leaf.jitter == needed
    assert ["200 rows needed a jitter of 1.0e-06" in event.message for event in heard] == [True] * (
        needed > 0
    )


def test_as_many_centers_as_rows_is_the_direct_solve_itself() -> None:
    x, y = sample(60, dtype=torch.float32)
    pinned, plain = (LeafConfig(max_centers=m, bandwidth=3.0) for m in (60, None))
    leaves = [fit_leaf(x, y, config, generator=generator()) for config in (pinned, plain)]
    assert_same_bits(leaves[0].coefficients, leaves[1].coefficients)


def test_weight_two_is_two_copies() -> None:
    x, y = sample(80)
    kernel, few = KERNELS["laplace"], prepare_centers(x[:20])
    twice = solve_nystrom(kernel, torch.cat([x, x[:40]]), torch.cat([y, y[:40]]), few, 0.1)
    weights = torch.ones(80, dtype=x.dtype)
    weights[:40] = 2
    weighted = solve_nystrom(kernel, x, y, few, 0.1, weights)
    torch.testing.assert_close(
        kernel.matrix(x, few) @ twice.coefficients,
        kernel.matrix(x, few) @ weighted.coefficients,
        atol=1e-4,
        rtol=1e-4,
    )


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "many"])
def test_a_number_of_centers_is_a_positive_whole_number(value: object) -> None:
    with pytest.raises(OptionError, match="max_centers"):
        LeafConfig(max_centers=value)  # type: ignore[arg-type]
