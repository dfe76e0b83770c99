"""Properties of every leaf, whatever its kernel and its feature matrix."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import Tensor

from tests.leaf_variants import VARIANTS, assert_same_bits, categories, generator, sample
from xrfm_cli.leaf_models import (
    LINEAR_FAMILIES,
    LeafConfig,
    LeafModel,
    fit_leaf,
    iterate_leaf,
    leaf_from_state,
)
from xrfm_cli.leaf_models.steps import direct_bytes

pytestmark = pytest.mark.parametrize("config", VARIANTS.values(), ids=list(VARIANTS))


def fit(
    x: Tensor, y: Tensor, config: LeafConfig, weights: Tensor | None = None, *, memory_bytes: int = 1 << 30
) -> LeafModel:
    return fit_leaf(x, y, config, generator=generator(), weights=weights, memory_bytes=memory_bytes)


def test_shapes(config: LeafConfig) -> None:
    for outputs in (1, 3):
        x, y = sample(20, c=outputs, dtype=torch.float32)
        leaf = fit(x, y, config)
        kept = 0 if config.kernel in LINEAR_FAMILIES else 20
        assert leaf.n_rows == 20
        assert leaf.centers.shape == (kept, 3)
        assert leaf.coefficients.shape == (kept or 3, outputs)
        assert leaf.feature_matrix.shape == ((3,) if config.metric_shape == "diagonal" else (3, 3))
        assert leaf.predict(x[:7]).shape == (7, outputs)
        assert leaf.gradients(x[:7]).shape == (7, outputs, 3)
        assert leaf.predict(x[:0]).shape == (0, outputs)
        assert leaf.gradients(x[:0]).shape == (0, outputs, 3)
        assert leaf.predict(x).dtype == torch.float32


def test_outputs_are_fitted_as_if_alone_under_one_metric(config: LeafConfig) -> None:
    x, y = sample(20)
    config = dataclasses.replace(config, iterations=0)
    both = fit(x, y, config).predict(x)
    alone = torch.cat([fit(x, y[:, i : i + 1], config).predict(x) for i in range(2)], dim=1)
    torch.testing.assert_close(both, alone, rtol=1e-8, atol=1e-10)


def test_one_row(config: LeafConfig) -> None:
    x, y = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[4.0]])
    expected = y if config.kernel in LINEAR_FAMILIES else y / (1 + config.ridge)
    for leaf in iterate_leaf(x, y, config, generator=generator()):
        torch.testing.assert_close(leaf.predict(x), expected)
        assert bool(torch.isfinite(leaf.predict(x + 1)).all())
        torch.testing.assert_close(leaf.gradients(x), torch.zeros(1, 1, 3))


def test_one_column(config: LeafConfig) -> None:
    if config.kernel in LINEAR_FAMILIES:
        pytest.skip("no curves: test_linear.py has the lines")
    x = torch.linspace(-2, 2, 40)[:, None]
    leaf = fit(x, torch.sin(x), dataclasses.replace(config, ridge=1e-4))
    assert float((leaf.predict(x) - torch.sin(x)).abs().max()) < 0.05
    assert bool(torch.isfinite(leaf.gradients(x)).all())


def test_constant_target(config: LeafConfig) -> None:
    x, _ = sample(20, dtype=torch.float32)
    zero = fit(x, torch.zeros(20, 1), config)
    torch.testing.assert_close(zero.predict(x), torch.zeros(20, 1))
    torch.testing.assert_close(
        zero.feature_matrix, torch.ones(3) if zero.feature_matrix.ndim == 1 else torch.eye(3)
    )
    five = fit(x, torch.full((20, 1), 5.0), config)
    assert float((five.predict(x) - 5).abs().max()) < 0.5


def test_a_constant_column_changes_nothing_but_the_count(config: LeafConfig) -> None:
    x, y = sample(20)
    leaf = fit(torch.cat([x, torch.full((20, 1), 3.0, dtype=x.dtype)], dim=1), y, config)
    probe = torch.cat([x, torch.full((20, 1), 3.0, dtype=x.dtype)], dim=1)
    assert bool(torch.isfinite(leaf.predict(probe)).all())
    assert float(leaf.gradients(probe)[:, :, 3].abs().max()) == 0.0


def test_duplicate_rows(config: LeafConfig) -> None:
    x, y = sample(10, dtype=torch.float32)
    x, y = x.repeat(5, 1), y.repeat(5, 1)
    leaf = fit(x, y, config)
    assert leaf.state()[0]["jitter"] == 0.0
    prediction = leaf.predict(x)
    torch.testing.assert_close(prediction[:10], prediction[10:20])
    assert bool(torch.isfinite(leaf.gradients(x)).all())
    plain = fit(x[:10], y[:10], dataclasses.replace(config, ridge=config.ridge / 5))
    torch.testing.assert_close(leaf.predict(x[:10]), plain.predict(x[:10]), atol=5e-3, rtol=5e-3)


def test_contradictory_duplicates_meet_in_the_middle(config: LeafConfig) -> None:
    x = torch.zeros(4, 2)
    y = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    torch.testing.assert_close(fit(x, y, config).predict(x), torch.full((4, 1), 0.5), atol=0.01, rtol=0.0)


def test_row_order(config: LeafConfig) -> None:
    x, y = sample(30)
    weights = torch.rand(30, generator=generator(2), dtype=x.dtype) + 0.5
    order = torch.randperm(30, generator=generator(3))
    probe = sample(9, seed=4)[0]
    forward = fit(x, y, config, weights)
    shuffled = fit(x[order], y[order], config, weights[order])
    torch.testing.assert_close(forward.predict(probe), shuffled.predict(probe), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(forward.gradients(probe), shuffled.gradients(probe), rtol=1e-5, atol=1e-7)


def test_batch_size(config: LeafConfig) -> None:
    x, y = sample(30, dtype=torch.float32)
    leaf = fit(x, y, config)
    probe = sample(600, seed=4, dtype=torch.float32)[0]  # more than two blocks
    whole = leaf.predict(probe)
    assert_same_bits(whole, torch.cat([leaf.predict(rows) for rows in probe.split(7)]))
    assert_same_bits(whole[123:124], leaf.predict(probe[123:124]))
    slopes = torch.cat([leaf.gradients(rows) for rows in probe.split(7)])
    torch.testing.assert_close(leaf.gradients(probe), slopes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(8, 5), (30, 9), (30, 11), (70, 20)])
def test_batch_size_of_awkward_shapes(config: LeafConfig, n: int, d: int) -> None:
    x, y = sample(n, d=d, dtype=torch.float32)
    leaf = fit(x, y, dataclasses.replace(config, iterations=1))
    probe = sample(60, d=d, seed=4, dtype=torch.float32)[0]
    whole = leaf.predict(probe)
    assert_same_bits(whole, torch.cat([leaf.predict(rows) for rows in probe.split(7)]))


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 5, 8, 11, 12, 40])
def test_batch_size_of_categories(config: LeafConfig, n: int) -> None:
    x, y = categories(n, dtype=torch.float32)
    leaf = fit(x, y, dataclasses.replace(config, iterations=1))
    probe, _ = categories(60, seed=4, dtype=torch.float32)
    probe[::7, 1] = 0.5  # a third value
    whole = leaf.predict(probe)
    assert_same_bits(whole, torch.cat([leaf.predict(rows) for rows in probe.split(7)]))
    order = torch.randperm(60, generator=generator(5))
    assert_same_bits(leaf.predict(probe[order]), whole[order])


def test_gradients_at_centers_do_not_depend_on_the_batch(config: LeafConfig) -> None:
    x, y = sample(60, d=20, dtype=torch.float32)  # wide enough for products of one row to round differently
    leaf = fit(x, y, config)
    whole = leaf.gradients(x)
    for size in (1, 7):
        parts = torch.cat([leaf.gradients(rows) for rows in x.split(size)])
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-3)


def test_prediction_leaves_its_input_alone(config: LeafConfig) -> None:
    x, y = sample(30, dtype=torch.float32)
    before_x, before_y = x.clone(), y.clone()
    leaf = fit(x, y, config)
    leaf.predict(x)
    leaf.gradients(x)
    assert torch.equal(x, before_x)
    assert torch.equal(y, before_y)


def test_weight_two_is_two_copies(config: LeafConfig) -> None:
    x, y = sample(15)
    weights = torch.ones(15, dtype=x.dtype)
    weights[[2, 7]] = 2.0
    copies = torch.cat([torch.arange(15), torch.tensor([2, 7])])
    probe = sample(5, seed=4)[0]
    weighted = fit(x, y, config, weights).predict(probe)
    torch.testing.assert_close(
        weighted, fit(x[copies], y[copies], config).predict(probe), rtol=1e-5, atol=1e-7
    )


def test_weight_zero_is_a_row_dropped(config: LeafConfig) -> None:
    x, y = sample(15)
    y[[3, 4]] = 1e6
    weights = torch.ones(15, dtype=x.dtype)
    weights[[3, 4]] = 0.0
    kept = weights > 0
    left, right = fit(x, y, config, weights), fit(x[kept], y[kept], config)
    assert left.n_rows == 13
    torch.testing.assert_close(left.predict(x), right.predict(x))


def test_equal_weights_are_a_ridge_divided(config: LeafConfig) -> None:
    x, y = sample(15)
    weighted = fit(x, y, config, torch.full((15,), 4.0, dtype=x.dtype))
    plain = fit(x, y, dataclasses.replace(config, ridge=config.ridge / 4))
    torch.testing.assert_close(weighted.predict(x), plain.predict(x), rtol=1e-6, atol=1e-8)


def test_save_and_load_bit_for_bit(config: LeafConfig) -> None:
    x, y = sample(30, dtype=torch.float32)
    for mode in ("constant", "adaptive"):
        leaf = fit(x, y, dataclasses.replace(config, bandwidth_mode=mode))
        facts, tensors = leaf.state()
        stored = {name: value.contiguous().clone() for name, value in tensors.items()}
        again = leaf_from_state(json.loads(json.dumps(facts)), stored)
        assert again.config == leaf.config
        assert_same_bits(again.predict(x), leaf.predict(x))
        assert_same_bits(again.gradients(x), leaf.gradients(x))


def test_the_generator_decides_and_nothing_else(config: LeafConfig) -> None:
    x, y = sample(60, dtype=torch.float32)
    config = dataclasses.replace(config, agop_rows=20)
    before = torch.random.get_rng_state()
    first = fit(x, y, config)
    assert torch.equal(torch.random.get_rng_state(), before)
    steps = iterate_leaf(x, y, config, generator=generator())
    for leaf in steps:
        torch.rand(5, generator=generator(9))
        second = leaf
    assert_same_bits(first.predict(x), second.predict(x))
    assert_same_bits(first.feature_matrix, second.feature_matrix)


def test_memory_changes_blocks_only(config: LeafConfig) -> None:
    x, y = sample(120, dtype=torch.float32)
    small = fit(x, y, config, memory_bytes=direct_bytes(120))
    large = fit(x, y, config, memory_bytes=8 << 30)
    torch.testing.assert_close(small.feature_matrix, large.feature_matrix, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(small.predict(x), large.predict(x), rtol=1e-3, atol=1e-3)
