"""The fitted tree: its mixture and gradients against slow loops, and properties of every tree."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import oracles
from tests.leaf_variants import VARIANTS, assert_same_bits, generator, numbers, oracle_kernel, sample
from tests.trees.test_routing import right_of, slow
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, leaves
from xrfm_cli.trees import TreeConfig, TreeModel, fit_tree, iterate_tree, read_model_file, write_model_file
from xrfm_cli.trees.routing import route

SMALL = {name: VARIANTS[name] for name in ("norm2-full", "norm1-diagonal", "norm1.5-full", "sum2-diagonal")}
LINEAR = {name: VARIANTS[name] for name in ("linear-diagonal", "linear-full", "constant-diagonal")}
each_family = pytest.mark.parametrize("leaf", (SMALL | LINEAR).values(), ids=list(SMALL | LINEAR))
each_leaf = pytest.mark.parametrize("leaf", SMALL.values(), ids=list(SMALL))
each_temperature = pytest.mark.parametrize("temperature", [0.0, 0.3])


def fit(x: Tensor, y: Tensor, leaf: LeafConfig, *, seed: int = 0, **options: float) -> TreeModel:
    config = TreeConfig.from_dict({**leaf.to_dict(), "leaf_size": 20, "min_leaf_size": 3, **options})
    return fit_tree(x, y, config, generator=generator(seed))


def mixture(model: TreeModel, row: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes, leaf values and leaf slopes at one row, all by loops."""
    weights = oracles.path_weights(slow(model.splits), row, model.temperature, right_of)
    values, slopes = [], []
    for leaf in model.leaves:
        assert isinstance(leaf, RFMLeaf)
        kernel = oracle_kernel(leaf.config, leaf.bandwidth)
        values.append(oracles.leaf_predict(kernel, row[None], *numbers(leaf))[0])
        slopes.append(oracles.leaf_gradients(kernel, row[None], *numbers(leaf))[0])
    return oracles.voting_weights(weights), np.array(values), np.array(slopes)


@each_temperature
@each_leaf
def test_prediction_and_gradient_equal_the_loops(leaf: LeafConfig, temperature: float) -> None:
    x, y = sample(60)
    model = fit(x, y, leaf, temperature=temperature)
    assert len(model.leaves) >= 4
    probe = torch.cat([sample(4, seed=8)[0], x[:2]])
    weights, found, slopes = model.votes(probe).dense(), model.predict(probe), model.gradients(probe)
    for r, row in enumerate(probe.numpy()):
        votes, values, leaf_slopes = mixture(model, row)
        np.testing.assert_allclose(weights[r].numpy(), votes, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(found[r].numpy(), votes @ values, rtol=1e-5, atol=1e-6)
        expected = oracles.mixture_gradient(slow(model.splits), row, temperature, votes, values, leaf_slopes)
        np.testing.assert_allclose(slopes[r].numpy(), expected, rtol=1e-5, atol=1e-5)


def test_soft_gradient_is_the_slope_of_the_prediction() -> None:
    x, y = sample(60)
    model = fit(x, y, SMALL["norm2-full"], temperature=2.0)  # few leaves, all of them voting
    probe, step = sample(5, seed=8)[0], 1e-6
    assert bool((model.votes(probe).dense() > 0).all())
    slopes = model.gradients(probe)
    for j in range(3):
        shift = torch.zeros(3, dtype=x.dtype)
        shift[j] = step
        difference = (model.predict(probe + shift) - model.predict(probe - shift)) / (2 * step)
        torch.testing.assert_close(slopes[:, :, j], difference, rtol=1e-4, atol=1e-5)


@each_leaf
def test_a_leaf_is_trained_on_the_rows_that_are_routed_to_it(leaf: LeafConfig) -> None:
    x, y = sample(80, dtype=torch.float32)
    x = x.round()  # heavy ties
    model = fit(x, y, leaf)
    reached = route(x, model.splits)
    assert torch.equal(model.route(x), reached)
    for number, part in enumerate(model.leaves):
        distinct = list(dict.fromkeys(tuple(row) for row in x[reached == number].tolist()))
        assert_same_bits(part.centers, torch.tensor(distinct))


@each_temperature
@each_family
def test_batch_size_and_row_order(leaf: LeafConfig, temperature: float) -> None:
    x, y = sample(60, dtype=torch.float32)
    model = fit(x, y, leaf, temperature=temperature)
    probe = sample(300, seed=8, dtype=torch.float32)[0]
    whole = model.predict(probe)
    assert_same_bits(whole, torch.cat([model.predict(rows) for rows in probe.split(17)]))
    order = torch.randperm(300, generator=generator(1))
    assert_same_bits(model.predict(probe[order]), whole[order])
    ready = model.ready()
    assert_same_bits(ready.predict(probe), whole)
    assert_same_bits(torch.cat([ready.predict(rows) for rows in probe[:9].split(1)]), whole[:9])
    slopes = torch.cat([model.gradients(rows) for rows in probe.split(17)])
    torch.testing.assert_close(model.gradients(probe), slopes, rtol=1e-3, atol=1e-3)


@each_temperature
def test_soft_weights_of_each_row_add_to_one(temperature: float) -> None:
    x, y = sample(200, dtype=torch.float32)
    model = fit(x, y, SMALL["norm2-full"], temperature=temperature)
    weights = model.votes(sample(50, seed=8, dtype=torch.float32)[0] * 5).dense()
    torch.testing.assert_close(weights.sum(1), torch.ones(50, dtype=torch.float64))
    if temperature == 0:
        assert bool(((weights == 0) | (weights == 1)).all())


def test_one_leaf_is_the_leaf_itself() -> None:
    x, y = sample(15, dtype=torch.float32)
    model = fit(x, y, SMALL["norm2-full"], temperature=0.5)
    assert_same_bits(model.predict(x), model.leaves[0].predict(x))
    assert_same_bits(model.ready().predict(x), model.leaves[0].predict(x))
    assert_same_bits(model.gradients(x), model.leaves[0].gradients(x))


def test_rounds_of_the_iteration_share_one_tree() -> None:
    x, y = sample(60, dtype=torch.float32)
    config = TreeConfig(
        leaf=dataclasses.replace(SMALL["norm2-full"], iterations=3), leaf_size=20, min_leaf_size=3
    )
    models = list(iterate_tree(x, y, config, generator=generator()))
    assert len(models) == 4
    assert all(model.splits is models[0].splits for model in models)
    assert_same_bits(models[0].leaves[0].feature_matrix, torch.eye(3))
    again = dataclasses.replace(config, leaf=dataclasses.replace(config.leaf, iterations=1))
    shorter = list(iterate_tree(x, y, again, generator=generator()))
    assert_same_bits(shorter[-1].predict(x), models[1].predict(x))


@each_temperature
@each_family
def test_save_and_load_bit_for_bit(leaf: LeafConfig, temperature: float, tmp_path: Path) -> None:
    x, y = sample(60, c=3, dtype=torch.float32)
    model = fit(x, y, leaf, temperature=temperature)
    facts, tensors = model.state()
    write_model_file(tmp_path / "model.xrfm", {"tree": facts}, tensors)
    manifest, stored = read_model_file(tmp_path / "model.xrfm")
    again = TreeModel.from_state(manifest["tree"], stored)
    probe = sample(300, seed=8, dtype=torch.float32)[0]
    assert again.temperature == temperature
    assert torch.equal(again.route(probe), model.route(probe))
    assert_same_bits(again.predict(probe), model.predict(probe))
    assert_same_bits(again.gradients(probe), model.gradients(probe))


def test_the_generator_decides_and_nothing_else() -> None:
    x, y = sample(150, dtype=torch.float32)
    options = {"split_rows": 40, "agop_rows": 10}
    first = fit(x, y, SMALL["norm2-full"], **options)
    config = first.config
    models = []
    for model in iterate_tree(x, y, config, generator=generator()):
        torch.rand(7, generator=generator(3))
        models.append(model)
    assert_same_bits(models[-1].predict(x), first.predict(x))
    other = fit(x, y, SMALL["norm2-full"], seed=1, **options)
    assert not torch.equal(other.predict(x), first.predict(x))


@pytest.mark.parametrize("weighted", [False, True])
@each_leaf
def test_leaves_fitted_together_make_the_same_tree(
    leaf: LeafConfig, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = sample(90)
    weights = torch.arange(90, dtype=x.dtype) % 4 if weighted else None  # some of weight 0
    config = TreeConfig(leaf=leaf, leaf_size=20, min_leaf_size=3, overlap=0.1)
    alone = list(iterate_tree(x, y, config, generator=generator(), weights=weights))
    monkeypatch.setattr(leaves, "leaves_per_batch", lambda *_: 3)
    together = list(iterate_tree(x, y, config, generator=generator(), weights=weights))
    assert len(together) == len(alone)
    for near, far in zip(together, alone, strict=True):
        torch.testing.assert_close(near.predict(x), far.predict(x), rtol=1e-6, atol=1e-6)
    facts, tensors = together[-1].state()
    stored = TreeModel.from_state(facts, {name: value.clone() for name, value in tensors.items()})
    assert_same_bits(stored.predict(x), together[-1].predict(x))
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors.values()}) == len(tensors)


def test_memory_changes_blocks_only() -> None:
    x, y = sample(150, dtype=torch.float32)
    config = TreeConfig(leaf=SMALL["norm2-full"], leaf_size=50)
    small = fit_tree(x, y, config, generator=generator(), memory_bytes=2 * 50 * 50 * 4)
    large = fit_tree(x, y, config, generator=generator(), memory_bytes=8 << 30)
    assert torch.equal(small.route(x), large.route(x))
    torch.testing.assert_close(small.predict(x), large.predict(x), rtol=1e-3, atol=1e-3)


def test_rows_of_weight_zero_are_dropped() -> None:
    x, y = sample(100)
    weights = torch.ones(100, dtype=x.dtype)
    weights[::3] = 0.0
    y[::3] = 1e6
    config = TreeConfig(leaf=SMALL["norm2-full"], leaf_size=30)
    weighted = fit_tree(x, y, config, generator=generator(), weights=weights)
    kept = weights > 0
    plain = fit_tree(x[kept], y[kept], config, generator=generator())
    torch.testing.assert_close(weighted.predict(x), plain.predict(x), rtol=1e-6, atol=1e-8)


def test_state_is_json_and_plain_tensors() -> None:
    x, y = sample(60, dtype=torch.float32)
    facts, tensors = fit(x, y, SMALL["norm2-full"]).state()
    assert json.loads(json.dumps(facts)) == facts
    assert all(isinstance(value, Tensor) for value in tensors.values())
    assert set(tensors) == {"directions"} | {
        f"leaf.{number}.{name}"
        for number in range(len(facts["leaves"]))
        for name in ("centers", "coefficients", "metric")
    }


@each_family
def test_several_temperatures_at_once_are_the_same_bits(leaf: LeafConfig) -> None:
    x, y = sample(60)
    model = fit(x.float(), y.float(), leaf)
    probe = sample(30, seed=8)[0].float()
    temperatures = [0.0, 0.1, 0.5]
    for temperature, found in zip(temperatures, model.predict_at(probe, temperatures), strict=True):
        assert_same_bits(found, model.with_temperature(temperature).predict(probe))
