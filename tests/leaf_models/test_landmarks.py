"""Landmarks: fewer centers that follow the predictions of the whole leaf."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.leaf_variants import generator, sample
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.landmarks import RIDGE, with_landmarks

MEMORY_BYTES = 1 << 28


def whole(loss: str = "squared", **changes: object) -> RFMLeaf:
    x, y = sample(200)
    config = LeafConfig.from_dict({"bandwidth": 2.0, "iterations": 1, "ridge": 0.1, "loss": loss, **changes})
    leaf = fit_leaf(x, y[:, :1] if loss != "squared" else y, config, generator=generator())
    assert isinstance(leaf, RFMLeaf)
    return leaf


@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_coefficients_are_least_squares_to_the_predictions(is_weighted: bool) -> None:
    leaf, kept = whole(), torch.arange(0, 200, 7)
    weights = torch.rand(200, generator=generator(1)) + 0.1 if is_weighted else None
    found = with_landmarks(leaf, kept, weights, memory_bytes=MEMORY_BYTES)
    _, kernel, centers = leaf.prepare()
    k = kernel.matrix(centers.rows, centers.rows[kept]).double().numpy()
    w = np.ones(200) if weights is None else weights.double().numpy()
    values = leaf.predict(leaf.centers).double().numpy()
    matrix = (k.T * w) @ k + RIDGE * k[kept.numpy()]
    expected = k @ np.linalg.solve(matrix, (k.T * w) @ values)
    assert np.abs(found.predict(leaf.centers).double().numpy() - expected).max() < 1e-3 * values.std()
    assert torch.equal(found.centers, leaf.centers[kept])


@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_with_every_row_a_landmark_predictions_stay(loss: str) -> None:
    leaf = whole(loss)
    same = with_landmarks(leaf, torch.arange(200), memory_bytes=MEMORY_BYTES)
    before = leaf.predict(leaf.centers)
    assert float((same.predict(leaf.centers) - before).abs().max()) < 0.01 * float(before.std())
    assert same.intercept == leaf.intercept


def test_every_update_learns_from_all_centers_and_yields_few() -> None:
    x, y = sample(200)
    few = LeafConfig(bandwidth=2.0, iterations=2, max_centers=30, center_choice="landmarks")
    plain = LeafConfig(bandwidth=2.0, iterations=2)
    found = list(iterate_leaf(x, y, few, generator=generator()))
    assert [len(leaf.centers) for leaf in found] == [30, 30, 30]
    # The matrices are learned by leaves of all centers, so they are close to those without a limit; the rows
    # for them are drawn after the landmarks.
    full = list(iterate_leaf(x, y, plain, generator=generator()))
    for one, other in zip(found, full, strict=True):
        assert torch.allclose(one.feature_matrix, other.feature_matrix, rtol=0.2, atol=0.02)


def test_enough_centers_or_too_little_memory_need_no_landmarks() -> None:
    x, y = sample(200)
    config = LeafConfig(bandwidth=2.0, iterations=0, max_centers=200, center_choice="landmarks")
    assert len(fit_leaf(x, y, config, generator=generator()).centers) == 200
    few = LeafConfig(bandwidth=2.0, iterations=0, max_centers=20, center_choice="landmarks")
    drawn = LeafConfig(bandwidth=2.0, iterations=0, max_centers=20)
    one, other = (
        fit_leaf(x, y, config, generator=generator(), memory_bytes=40_000) for config in (few, drawn)
    )
    assert torch.equal(one.coefficients, other.coefficients)


def test_landmarks_need_their_number() -> None:
    with pytest.raises(OptionError, match="needs max_centers"):
        LeafConfig(center_choice="landmarks")
