"""Kernels tried under a fixed feature matrix equal those of a leaf that is fitted with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.leaf_variants import KERNEL_VARIANTS, generator, sample
from xrfm_cli.leaf_models import LeafConfig, fit_leaf, make_kernel
from xrfm_cli.leaf_models.fixed_feature_matrix import FREE, FixedFeatureMatrix

N = 40  # all rows are drawn for the median distance, so a leaf and a fixed matrix agree on the bandwidth
each_kernel = pytest.mark.parametrize("config", KERNEL_VARIANTS.values(), ids=list(KERNEL_VARIANTS))


def metric_for(config: LeafConfig, d: int) -> torch.Tensor:
    diagonal = torch.linspace(0.3, 1.0, d, dtype=torch.float64)
    if config.metric_shape == "diagonal":
        return diagonal
    mixed = torch.randn(d, d, generator=generator(5), dtype=torch.float64)
    return torch.diag(diagonal) + 0.1 * mixed @ mixed.T


def other_kernels(config: LeafConfig) -> list[LeafConfig]:
    if config.kernel == "sum_power":
        return [dataclasses.replace(config, power=power) for power in (1, 4)]
    changes: list[dict[str, Any]] = [
        {"bandwidth": 1.5},
        {"kernel_q": 0.6},
        {"kernel_q": 0.5, "bandwidth": 6.0},
    ]
    return [dataclasses.replace(config, **change) for change in changes]


@pytest.mark.slow
@each_kernel
@pytest.mark.parametrize("mode", ["constant", "adaptive"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_try_predicts_what_a_leaf_predicts(config: LeafConfig, mode: Any, weighted: bool) -> None:
    x, y = sample(N)
    others = torch.cat([sample(9, seed=3)[0], x[:2]])
    weights = torch.linspace(0.5, 2.0, N, dtype=torch.float64) if weighted else None
    config = dataclasses.replace(config, bandwidth_mode=mode, iterations=0)
    feature_matrix = metric_for(config, x.shape[1])
    fixed = FixedFeatureMatrix.prepare(
        x, y, others, config, feature_matrix, generator=generator(), weights=weights
    )
    ridges = [0.3, 1e-2, 3.0]
    for tried in [config, *other_kernels(config)]:
        for ridge, found in zip(ridges, fixed.predict(tried, ridges), strict=True):
            leaf = fit_leaf(
                x,
                y,
                dataclasses.replace(tried, ridge=ridge),
                generator=generator(),
                weights=weights,
                initial_feature_matrix=feature_matrix,
            )
            torch.testing.assert_close(found, leaf.predict(others), rtol=1e-9, atol=1e-9)


@each_kernel
def test_bases_make_the_kernel(config: LeafConfig) -> None:
    u, a = sample(7)[0], sample(20, seed=1)[0]
    kernel = make_kernel(config, 2.0)
    bases = kernel.bases(u, a)
    before = bases.clone()
    torch.testing.assert_close(kernel.of_bases(bases), kernel.matrix(u, a), rtol=1e-12, atol=1e-12)
    assert torch.equal(bases, before)


@each_kernel
def test_what_would_need_other_bases_is_refused(config: LeafConfig) -> None:
    x, y = sample(N)
    fixed = FixedFeatureMatrix.prepare(x, y, x[:3], config, metric_for(config, 3), generator=generator())
    other: dict[str, Any] = {"kernel_p": 2.0 if config.kernel_p < 2 else 1.9, "agop_power": 0.3}
    if config.kernel == "sum_power":
        other |= {"bandwidth": 2.0, "kernel_q": 0.9}
    for name, value in other.items():
        changed = dataclasses.replace(
            config, **({"kernel_q": 0.5} if name == "kernel_p" else {}) | {name: value}
        )
        with pytest.raises(ValueError, match="may differ"):
            next(fixed.predict(changed, [1.0]))


def test_what_may_differ_are_hyperparameters() -> None:
    names = {field.name for field in dataclasses.fields(LeafConfig)}
    assert all(free <= names for free in FREE.values())
