"""Degenerate inputs in float32: a right answer or a named error, never a silent wrong one."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.leaf_variants import KERNEL_VARIANTS, assert_same_bits, generator, sample
from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, fit_leaf

each_variant = pytest.mark.parametrize("config", KERNEL_VARIANTS.values(), ids=list(KERNEL_VARIANTS))


def adaptive(config: LeafConfig) -> LeafConfig:
    return dataclasses.replace(config, bandwidth=1.0, bandwidth_mode="adaptive")


def fit(x: torch.Tensor, y: torch.Tensor, config: LeafConfig) -> RFMLeaf:
    leaf = fit_leaf(x, y, config, generator=generator())
    assert isinstance(leaf, RFMLeaf)
    return leaf


@pytest.mark.parametrize("exponent", [-100, -60, 60, 100])
@each_variant
def test_a_power_of_two_changes_nothing_but_the_scale(config: LeafConfig, exponent: int) -> None:
    x, y = sample(60, dtype=torch.float32)
    new, _ = sample(20, seed=1, dtype=torch.float32)
    factor = 2.0**exponent
    plain, scaled = fit(x, y, adaptive(config)), fit(x * factor, y, adaptive(config))
    assert_same_bits(scaled.feature_matrix, plain.feature_matrix)
    assert_same_bits(scaled.predict(new * factor), plain.predict(new))
    assert scaled.bandwidth == plain.bandwidth * factor
    if exponent > -100:  # else gradients are beyond float32 themselves
        assert_same_bits(scaled.gradients(new * factor) * factor, plain.gradients(new))


@pytest.mark.parametrize("exponent", [-80, 80])
@each_variant
def test_targets_may_be_huge_or_tiny(config: LeafConfig, exponent: int) -> None:
    x, y = sample(60, dtype=torch.float32)
    factor = 2.0**exponent
    plain, scaled = fit(x, y, config), fit(x, y * factor, config)
    assert_same_bits(scaled.predict(x), plain.predict(x) * factor)
    assert_same_bits(scaled.feature_matrix, plain.feature_matrix)


@each_variant
def test_more_columns_than_rows(config: LeafConfig) -> None:
    x, y = sample(8, d=40, dtype=torch.float32)
    leaf = fit(x, y, adaptive(config))
    assert bool(torch.isfinite(leaf.predict(x)).all())
    assert float((leaf.predict(x) - y).abs().max()) < 0.2 * float(y.abs().max())  # the ridge is small


@each_variant
def test_all_rows_equal_give_the_shrunk_mean(config: LeafConfig) -> None:
    x = torch.full((30, 3), 2.5)
    _, y = sample(30, dtype=torch.float32)
    leaf = fit(x, y, adaptive(config))
    expected = y.mean(0) * 30 / (30 + config.ridge + leaf.jitter)
    torch.testing.assert_close(leaf.predict(x[:1])[0], expected, rtol=1e-3, atol=1e-3)
    assert_same_bits(leaf.gradients(x[:1]), torch.zeros(1, 2, 3))


@each_variant
def test_one_row_far_away_disturbs_nothing(config: LeafConfig) -> None:
    x, y = sample(60, dtype=torch.float32)
    far = torch.cat([x, torch.full((1, 3), 1e6)])
    leaf = fit(far, torch.cat([y, y[:1]]), adaptive(config))
    assert bool(torch.isfinite(leaf.predict(far)).all())
    assert bool(torch.isfinite(leaf.gradients(far)).all())


@each_variant
def test_rows_beyond_float32_are_a_named_error(config: LeafConfig) -> None:
    x, y = sample(10, dtype=torch.float32)
    x[1:], x[0] = 3e38, -3e38
    with pytest.raises(NumericalError, match="too far apart for float32"):
        fit(x, y, config)


@pytest.mark.parametrize("bandwidth", [1e-30, 1e-6, 1e6, 1e15])
@each_variant
def test_any_bandwidth_ends_in_finite_predictions(config: LeafConfig, bandwidth: float) -> None:
    x, y = sample(30, dtype=torch.float32)
    leaf = fit(x, y, dataclasses.replace(config, bandwidth=bandwidth))
    assert bool(torch.isfinite(leaf.predict(x)).all())
    assert bool(torch.isfinite(leaf.feature_matrix).all())
