"""The iteration of a Recursive Feature Machine, step by step against slow loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import oracles
from tests.leaf_variants import KERNEL_VARIANTS, categories, generator, numbers, oracle_kernel, sample
from xrfm_cli.errors import InputError, NumericalError
from xrfm_cli.events import Event
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.steps import nystrom_bytes

Sample = Callable[[int], tuple[Tensor, Tensor]]
each_variant = pytest.mark.parametrize("config", KERNEL_VARIANTS.values(), ids=list(KERNEL_VARIANTS))


@pytest.mark.parametrize("rows", [sample, categories])
@pytest.mark.parametrize("weighted", [False, True])
@each_variant
def test_every_step_equals_the_loops(config: LeafConfig, weighted: bool, rows: Sample) -> None:
    x, y = rows(14)
    weights = torch.rand(14, generator=generator(1), dtype=x.dtype) + 0.5 if weighted else None
    slow_weights = None if weights is None else weights.numpy()
    leaves = list(iterate_leaf(x, y, config, generator=generator(), weights=weights))
    assert len(leaves) == config.iterations + 1

    kernel, centers = oracle_kernel(config), x.numpy()
    feature_matrix = np.ones(x.shape[1]) if config.metric_shape == "diagonal" else np.eye(x.shape[1])
    for leaf in leaves:
        np.testing.assert_allclose(leaf.feature_matrix.numpy(), feature_matrix, rtol=1e-5, atol=1e-7)
        root = oracles.feature_matrix_power(leaf.feature_matrix.numpy(), config.agop_power)
        moved = oracles.transform(centers, root)
        gram = oracles.kernel_matrix(kernel, moved, moved)
        coefficients = oracles.ridge_solve(gram, y.numpy(), config.ridge, slow_weights)
        np.testing.assert_allclose(leaf.coefficients.numpy(), coefficients, rtol=1e-5, atol=1e-6)
        slopes = oracles.leaf_gradients(kernel, centers, centers, leaf.coefficients.numpy(), root)
        feature_matrix = oracles.next_feature_matrix(
            oracles.agop(slopes, slow_weights), feature_matrix, config.metric_shape
        )


@each_variant
def test_predictions_and_gradients_equal_the_loops(config: LeafConfig) -> None:
    x, y = sample(14, dtype=torch.float32)
    leaf = fit_leaf(x, y, config, generator=generator())
    probe = torch.cat([sample(4, seed=3, dtype=torch.float32)[0], x[:3]])  # new rows, and centers themselves
    kernel, (centers, coefficients, root) = oracle_kernel(config), numbers(leaf)
    slow = oracles.leaf_predict(kernel, probe.double().numpy(), centers, coefficients, root)
    np.testing.assert_allclose(leaf.predict(probe).double().numpy(), slow, rtol=1e-3, atol=1e-3)
    slopes = oracles.leaf_gradients(kernel, probe.double().numpy(), centers, coefficients, root)
    np.testing.assert_allclose(leaf.gradients(probe).double().numpy(), slopes, rtol=2e-3, atol=2e-3)


@each_variant
def test_gradients_are_the_slope_of_predictions(config: LeafConfig) -> None:
    x, y = sample(14)
    leaf = fit_leaf(x, y, config, generator=generator())
    probe = sample(3, seed=4)[0] + 0.037  # away from the centers' ties
    slopes, step = leaf.gradients(probe), 1e-6
    for j in range(3):
        shift = torch.zeros(3, dtype=x.dtype)
        shift[j] = step
        difference = (leaf.predict(probe + shift) - leaf.predict(probe - shift)) / (2 * step)
        torch.testing.assert_close(slopes[:, :, j], difference, rtol=1e-4, atol=1e-5)


@each_variant
def test_adaptive_bandwidth_follows_the_metric(config: LeafConfig) -> None:
    config = dataclasses.replace(config, bandwidth_mode="adaptive", bandwidth=0.7)
    x, y = sample(7)  # 21 pairs: the median is one of them
    for leaf in iterate_leaf(x, y, config, generator=generator()):
        assert isinstance(leaf, RFMLeaf)
        moved = oracles.transform(x.numpy(), numbers(leaf)[2])
        if config.kernel == "norm":
            typical = oracles.median_distance(moved, config.kernel_p)
        else:
            typical = oracles.median_distance(moved, 1.0) / 3
        assert leaf.bandwidth == pytest.approx(0.7 * typical, rel=1e-6)
        slow = oracles.kernel_matrix(oracle_kernel(config, leaf.bandwidth), moved, moved)
        expected = oracles.ridge_solve(slow, y.numpy(), config.ridge)
        np.testing.assert_allclose(leaf.coefficients.numpy(), expected, rtol=1e-5, atol=1e-6)


@each_variant
def test_adaptive_bandwidth_forgets_the_scale_of_the_inputs(config: LeafConfig) -> None:
    config = dataclasses.replace(config, bandwidth_mode="adaptive", bandwidth=0.7)
    x, y = sample(20)
    probe = sample(4, seed=3)[0]
    small = fit_leaf(x, y, config, generator=generator()).predict(probe)
    large = fit_leaf(1000 * x, y, config, generator=generator()).predict(1000 * probe)
    torch.testing.assert_close(small, large, rtol=1e-6, atol=1e-8)


def test_rows_of_the_agop_are_drawn_at_random_not_the_first() -> None:
    x, y = sample(400, dtype=torch.float32)
    x[:200, 1] = 0.0  # in the first half column 1 says nothing, in the second half everything
    y = y[:, :1] * 0 + 5 * x[:, 1:2]
    config = LeafConfig(agop_rows=50, iterations=1, bandwidth=2.0)
    feature_matrix = fit_leaf(x, y, config, generator=generator()).feature_matrix
    assert int(feature_matrix.argmax()) == 1
    other = fit_leaf(x, y, config, generator=generator(1)).feature_matrix
    assert not torch.equal(feature_matrix, other)
    torch.testing.assert_close(feature_matrix, other, atol=0.2, rtol=0.0)


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_iteration_may_start_from_any_metric(shape: str) -> None:
    x, y = sample(14)
    config = KERNEL_VARIANTS[f"norm2-{shape}"]
    full = torch.diag(torch.tensor([1.0, 0.5, 0.1], dtype=x.dtype))
    from_full = list(iterate_leaf(x, y, config, generator=generator(), initial_feature_matrix=full))
    from_diagonal = list(
        iterate_leaf(x, y, config, generator=generator(), initial_feature_matrix=full.diagonal())
    )
    for left, right in zip(from_full, from_diagonal, strict=True):
        torch.testing.assert_close(left.predict(x), right.predict(x), rtol=1e-6, atol=1e-8)


def test_relevant_columns_are_found() -> None:
    source = generator(0)
    x = torch.randn(300, 8, generator=source)
    y = torch.sin(2 * x[:, 2:3]) + x[:, 5:6]
    config = LeafConfig(bandwidth=5.0, iterations=3)
    feature_matrix = fit_leaf(x, y, config, generator=generator()).feature_matrix
    assert set(feature_matrix.argsort(descending=True)[:2].tolist()) == {2, 5}
    noise = torch.cat([feature_matrix[:2], feature_matrix[3:5], feature_matrix[6:]])
    assert float(noise.max()) < 0.02


def test_relevant_direction_is_found() -> None:
    x = torch.randn(300, 5, generator=generator(0))
    direction = torch.tensor([0.6, 0.8, 0.0, 0.0, 0.0])
    y = torch.tanh(2 * x @ direction)[:, None]
    feature_matrix = fit_leaf(
        x, y, LeafConfig(metric_shape="full", iterations=3), generator=generator()
    ).feature_matrix
    top = torch.linalg.eigh(feature_matrix.double()).eigenvectors[:, -1].float()
    assert abs(float(top @ direction)) > 0.99


def test_a_jitter_is_told_and_kept() -> None:
    heard: list[Event] = []
    x = torch.linspace(0, 1e-3, 200)[:, None]
    config = LeafConfig(kernel_q=2.0, bandwidth=100.0, ridge=1e-9, iterations=0)
    leaf = fit_leaf(x, x * 1e3, config, generator=generator(), on_event=heard.append)
    assert isinstance(leaf, RFMLeaf)
    assert leaf.jitter > 0
    assert [event.kind for event in heard] == ["fallback"]
    assert f"{leaf.jitter:.1e}" in heard[0].message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    x, y = sample(5)
    x[2, 1] = value
    with pytest.raises(NumericalError, match="not finite"):
        fit_leaf(x, y, LeafConfig(), generator=generator())


def test_no_rows_are_refused() -> None:
    x, y = sample(3)
    with pytest.raises(InputError, match="at least one row"):
        fit_leaf(x, y, LeafConfig(), generator=generator(), weights=torch.zeros(3, dtype=x.dtype))


def test_a_kernel_matrix_beyond_the_memory_takes_fewer_centers_and_says_so() -> None:
    x, y = sample(100)
    heard: list[Event] = []
    leaf = fit_leaf(
        x, y, LeafConfig(), generator=generator(), memory_bytes=nystrom_bytes(30), on_event=heard.append
    )
    assert len(leaf.centers) == 30
    assert [event.kind for event in heard] == ["fallback"]
    assert "30 of its rows are centers" in heard[0].message


def test_centers_that_do_not_fit_are_refused_with_the_way_out() -> None:
    x, y = sample(100)
    with pytest.raises(InputError, match=r"max_centers=50.*Choose fewer, or allow more: --memory"):
        fit_leaf(x, y, LeafConfig(max_centers=50), generator=generator(), memory_bytes=nystrom_bytes(49))
