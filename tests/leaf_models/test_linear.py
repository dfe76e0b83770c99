"""Linear and constant leaves against the formulas in float64, and the functions that they must recover."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import oracles
from tests.leaf_variants import LINEAR_VARIANTS, assert_same_bits, generator, sample
from xrfm_cli.errors import InputError, ModelFileError
from xrfm_cli.events import Event
from xrfm_cli.leaf_models import LeafConfig, LinearLeaf, fit_leaf, iterate_leaf, leaf_from_state
from xrfm_cli.trees import TreeConfig, TreeModel, fit_tree, read_model_file, write_model_file
from xrfm_cli.trees.mean_gradients import segment_change

LINEAR = LeafConfig(kernel="linear", ridge=1e-2)
CONSTANT = LeafConfig(kernel="constant")
Shape = Literal["diagonal", "full"]
each_shape = pytest.mark.parametrize("shape", ["diagonal", "full"])


def fitted(x: Tensor, y: Tensor, config: LeafConfig, weights: Tensor | None = None) -> LinearLeaf:
    leaf = fit_leaf(x, y, config, generator=generator(), weights=weights)
    assert isinstance(leaf, LinearLeaf)
    return leaf


@each_shape
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "d"), [(30, 4), (9, 9), (7, 12)])
@pytest.mark.parametrize("power", [0.5, 0.25])
def test_every_step_equals_the_formula(shape: Shape, weighted: bool, n: int, d: int, power: float) -> None:
    x, y = sample(n, d=d, c=2)
    w = torch.rand(n, generator=generator(1), dtype=x.dtype) + 0.5 if weighted else None
    config = dataclasses.replace(LINEAR, metric_shape=shape, iterations=3, agop_power=power)
    leaves = list(iterate_leaf(x, y, config, generator=generator(), weights=w))
    assert len(leaves) == 4
    mass = np.ones(n) if w is None else w.numpy()
    x_mean, y_mean = np.average(x, axis=0, weights=mass), np.average(y, axis=0, weights=mass)
    feature_matrix = np.ones(d) if shape == "diagonal" else np.eye(d)
    for leaf in leaves:
        assert isinstance(leaf, LinearLeaf)
        np.testing.assert_allclose(leaf.feature_matrix.numpy(), feature_matrix, rtol=1e-6, atol=1e-9)
        # The dual form, as for any kernel: (K + ridge diag(1/w)) alpha = Y with K the products of rows.
        u = oracles.transform(x.numpy() - x_mean, oracles.feature_matrix_power(feature_matrix, power))
        alpha = oracles.ridge_solve(u @ u.T, y.numpy() - y_mean, config.ridge, mass)
        root = oracles.feature_matrix_power(feature_matrix, power)
        beta = u.T @ alpha
        coefficients = root[:, None] * beta if shape == "diagonal" else root @ beta
        np.testing.assert_allclose(leaf.coefficients.numpy(), coefficients, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(leaf.intercept.numpy(), y_mean, rtol=1e-12)
        found = leaf.predict(x[:3]).numpy()
        np.testing.assert_allclose(found, y_mean + (x[:3].numpy() - x_mean) @ coefficients, rtol=1e-6)
        outer = leaf.coefficients.numpy() @ leaf.coefficients.numpy().T
        feature_matrix = oracles.next_feature_matrix(outer, feature_matrix, shape)


@pytest.mark.parametrize("n", [40, 60])
def test_a_sparse_truth_is_recovered_exactly_from_fewer_rows_than_columns(n: int) -> None:
    d, kept, source = 100, 5, generator(n)
    x = torch.randn(n, d, generator=source)
    chosen = torch.randperm(d, generator=source)[:kept].sort().values
    truth = torch.zeros(d, 1)
    truth[chosen, 0] = torch.tensor([2.0, -1.5, 1.0, -0.7, 0.5])
    config = LeafConfig(kernel="linear", ridge=1e-6, iterations=15)
    leaf = fitted(x, x @ truth + 3, config)
    assert torch.equal(leaf.coefficients[:, 0].nonzero()[:, 0], chosen)
    torch.testing.assert_close(leaf.coefficients[chosen], truth[chosen], rtol=1e-4, atol=0.0)
    probe = torch.randn(9, d, generator=source)
    torch.testing.assert_close(leaf.predict(probe), probe @ truth + 3, rtol=1e-4, atol=1e-4)
    plain = fitted(x, x @ truth + 3, dataclasses.replace(config, iterations=0))
    assert float((plain.coefficients - truth).abs().max()) > 0.3  # not without the feature matrix


def test_a_truth_of_low_rank_is_recovered_by_the_full_metric() -> None:
    source = generator(0)
    left, right = (torch.randn(s, generator=source, dtype=torch.float64) for s in ((20, 2), (2, 10)))
    truth = left @ right
    x = torch.randn(100, 20, generator=source, dtype=torch.float64)
    y = x @ truth + 0.5 * torch.randn(100, 10, generator=source, dtype=torch.float64)
    config = LeafConfig(kernel="linear", ridge=1.0, metric_shape="full", iterations=10)
    plain, learned = (fitted(x, y, dataclasses.replace(config, iterations=t)).coefficients for t in (0, 10))
    assert int(torch.linalg.matrix_rank(plain, rtol=1e-4)) == 10
    assert int(torch.linalg.matrix_rank(learned, rtol=1e-8)) == 2
    assert float((learned - truth).norm()) < 0.6 * float((plain - truth).norm())


def test_a_line_is_drawn_through_points_far_from_the_origin() -> None:
    x = 1e4 + torch.linspace(-2, 2, 40)[:, None]
    leaf = fitted(x, 3 * x - 7, dataclasses.replace(LINEAR, ridge=1e-6))
    torch.testing.assert_close(leaf.predict(x), 3 * x - 7, rtol=1e-6, atol=0.0)
    assert leaf.coefficients.item() == pytest.approx(3.0, rel=1e-3)  # x itself is rounded to a thousandth


def test_a_constant_is_the_weighted_mean() -> None:
    x, y = sample(12, dtype=torch.float32)
    weights = torch.arange(12.0)
    leaves = list(iterate_leaf(x, y, CONSTANT, generator=generator(), weights=weights))
    assert len(leaves) == CONSTANT.iterations + 1
    mean = (weights[:, None] * y).sum(0) / weights.sum()
    for leaf in leaves:
        torch.testing.assert_close(leaf.predict(x[:5]), mean.expand(5, -1))
        assert float(leaf.gradients(x).abs().max()) == 0.0
        assert torch.equal(leaf.feature_matrix, torch.ones(3))


@each_shape
def test_gradients_are_the_slope_of_predictions(shape: Shape) -> None:
    x, y = sample(14)
    leaf = fitted(x, y, dataclasses.replace(LINEAR, metric_shape=shape))
    probe, step = sample(3, seed=4)[0], 1e-3
    slopes = leaf.gradients(probe)
    for j in range(3):
        shift = torch.zeros(3, dtype=x.dtype)
        shift[j] = step
        difference = (leaf.predict(probe + shift) - leaf.predict(probe - shift)) / (2 * step)
        torch.testing.assert_close(slopes[:, :, j], difference, rtol=1e-9, atol=1e-11)


def test_the_change_along_a_segment_is_the_coefficients_times_the_way() -> None:
    x, y = sample(20, dtype=torch.float32)
    leaf = fitted(x, y, LINEAR)
    start, stop = sample(5, seed=1, dtype=torch.float32)[0], sample(5, seed=2, dtype=torch.float32)[0]
    change = segment_change(leaf, start, stop)
    assert_same_bits(change.gradients, leaf.coefficients.T.double().expand(5, -1, -1).contiguous())
    way = (stop.double() - start.double()) @ leaf.coefficients.double()
    torch.testing.assert_close(change.stop_values - change.start_values, way, rtol=1e-12, atol=1e-12)


def test_blocks_of_rows_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    for n, d in ((50, 4), (20, 30)):
        x, y = sample(n, d=d)
        whole = fitted(x, y, LINEAR)
        monkeypatch.setattr("xrfm_cli.leaf_models.linear.ROWS", 7)
        parts = fitted(x, y, LINEAR)
        monkeypatch.undo()
        torch.testing.assert_close(parts.coefficients, whole.coefficients, rtol=1e-8, atol=1e-10)


def test_a_start_from_a_metric_needs_no_updates() -> None:
    x, y = sample(30)
    *_, before, last = iterate_leaf(x, y, LINEAR, generator=generator())
    again = fit_leaf(
        x,
        y,
        dataclasses.replace(LINEAR, iterations=0),
        generator=generator(),
        initial_feature_matrix=last.feature_matrix,
    )
    assert not torch.equal(before.feature_matrix, last.feature_matrix)
    assert_same_bits(again.coefficients, last.coefficients)


def test_a_jitter_is_told() -> None:
    heard: list[Event] = []
    x = torch.ones(30, 1, dtype=torch.float64) * torch.linspace(0, 1e6, 30, dtype=torch.float64)[:, None]
    config = dataclasses.replace(LINEAR, ridge=1e-12, iterations=0)
    leaf = fit_leaf(x.repeat(1, 3), x, config, generator=generator(), on_event=heard.append)
    assert isinstance(leaf, LinearLeaf)
    assert leaf.jitter > 0
    assert f"{leaf.jitter:.1e}" in heard[0].message
    assert heard[0].kind == "fallback"


def test_memory_goes_by_the_smaller_side() -> None:
    x, y = sample(500, dtype=torch.float32)
    fit_leaf(x, y, LINEAR, generator=generator(), memory_bytes=1_000)
    wide, target = sample(40, d=60, dtype=torch.float32)
    with pytest.raises(InputError, match="linear leaf of 40 rows"):
        fit_leaf(wide, target, LINEAR, generator=generator(), memory_bytes=1_000)


@pytest.mark.parametrize("config", LINEAR_VARIANTS.values(), ids=list(LINEAR_VARIANTS))
def test_the_model_file_keeps_every_bit_and_no_row(config: LeafConfig, tmp_path: Path) -> None:
    x, y = sample(60, dtype=torch.float32)
    tree = fit_tree(x, y, TreeConfig(leaf=config, leaf_size=30), generator=generator())
    facts, tensors = tree.state()
    write_model_file(tmp_path / "model.xrfm", {"tree": facts}, tensors)
    manifest, stored = read_model_file(tmp_path / "model.xrfm")
    assert not any(name.endswith("centers") for name in stored)
    again = TreeModel.from_state(manifest["tree"], stored)
    assert_same_bits(again.predict(x), tree.predict(x))
    assert_same_bits(again.gradients(x), tree.gradients(x))
    assert [leaf.n_rows for leaf in again.leaves] == [30, 30]


@pytest.mark.parametrize("name", ["coefficients", "intercept", "mean", "deviations", "metric"])
@pytest.mark.parametrize("damage", ["shape", "type", "absent"])
def test_a_damaged_state_is_refused(name: str, damage: str) -> None:
    x, y = sample(20, dtype=torch.float32)
    facts, tensors = fitted(x, y, LINEAR).state()
    if damage == "shape":
        tensors[name] = tensors[name][:1].clone()
    elif damage == "type":
        tensors[name] = tensors[name].double()
    else:
        del tensors[name]
    with pytest.raises((ModelFileError, KeyError)):
        leaf_from_state(facts, tensors)
