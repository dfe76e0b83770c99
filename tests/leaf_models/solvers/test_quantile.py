"""Kernel quantile regression: its optimum, its coverage, and what stands for rows of equal inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from tests.leaf_variants import generator
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.leaf_models import LeafConfig, LinearLeaf, RFMLeaf, fit_leaf
from xrfm_cli.leaf_models.kernels.quantiles import quantile
from xrfm_cli.leaf_models.solvers.quantile import FLAT, solve_quantile
from xrfm_cli.leaf_models.solvers.reweighted import Ridged
from xrfm_cli.trees import TreeConfig, fit_tree

CONFIG = LeafConfig(bandwidth=2.0, ridge=1.0, iterations=0, loss="quantile", quantile=0.9)


def widening(n: int = 300, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A line whose noise grows along it."""
    x = torch.rand(n, 1, generator=generator(seed), dtype=torch.float64) * 4
    noise = torch.rand(n, 1, generator=generator(seed + 1), dtype=torch.float64)
    return x, x + x * noise


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("ridge", [0.05, 5.0])
def test_the_optimum_is_that_of_a_plain_solver(level: float, ridge: float) -> None:
    x, y = widening(60)
    kernel = torch.exp(-torch.cdist(x, x) / 2.0)

    def solve(z: Tensor, w: Tensor) -> Ridged:
        alpha = torch.linalg.solve(kernel + ridge * torch.diag(1.0 / w), z)
        return Ridged(coefficients=alpha, values=kernel @ alpha, at_centers=kernel @ alpha, jitter=0.0)

    found = solve_quantile(solve, y, ridge, level=level, enough=0.0)
    k, targets = kernel.numpy(), (y - found.intercept)[:, 0].numpy()
    start = found.least_squares[:, 0].numpy()
    scale = float(np.abs(targets - k @ start).mean())

    def objective(alpha: np.ndarray) -> tuple[float, np.ndarray]:
        errors, flat = targets - k @ alpha, FLAT * scale
        is_flat = np.abs(errors) < flat
        bent = np.where(is_flat, errors**2 / (2 * flat) + flat / 2, np.abs(errors))
        slope = np.where(is_flat, errors / flat, np.sign(errors)) + 2 * level - 1
        value = 2 * scale * (bent + (2 * level - 1) * errors).sum() + ridge * alpha @ k @ alpha
        return float(value), k @ (2 * ridge * alpha - 2 * scale * slope)

    least = minimize(objective, start, jac=True, options={"maxiter": 5000, "gtol": 1e-10}).fun
    reached, before = objective(found.coefficients[:, 0].numpy())[0], objective(start)[0]
    assert least <= reached < least + 0.05 * (before - least), (reached, least, before)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.98])
def test_a_share_of_new_rows_lies_below_its_quantile(level: float) -> None:
    (x, y), (others, targets) = widening(600), widening(2000, seed=7)
    leaf = fit_leaf(x, y, replace(CONFIG, quantile=level), generator=generator())
    below = (targets <= leaf.predict(others)).double()
    assert float(below.mean()) == pytest.approx(level, abs=0.04)
    for half in (others < 2, others >= 2):
        assert float(below[half].mean()) == pytest.approx(level, abs=0.07)


def test_the_level_of_the_median_is_the_absolute_loss() -> None:
    x, y = widening(50)
    median = fit_leaf(x, y, replace(CONFIG, quantile=0.5), generator=generator())
    absolute = fit_leaf(x, y, replace(CONFIG, loss="absolute"), generator=generator())
    assert torch.equal(median.predict(x), absolute.predict(x))


def test_far_rows_get_the_quantile_of_the_leaf() -> None:
    x, y = widening()
    leaf = fit_leaf(x, y, CONFIG, generator=generator())
    assert isinstance(leaf, RFMLeaf)
    assert leaf.intercept == np.quantile(y.numpy(), 0.9, method="inverted_cdf")
    assert float(leaf.predict(torch.full((1, 1), 1e4, dtype=torch.float64))) == pytest.approx(leaf.intercept)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_a_constant_leaf_is_the_weighted_quantile(level: float) -> None:
    x, y = widening(101)
    weights = torch.randint(1, 4, (101,), generator=generator()).double()
    config = replace(CONFIG, kernel="constant", quantile=level)
    leaf = fit_leaf(x, y, config, generator=generator(), weights=weights)
    assert isinstance(leaf, LinearLeaf)
    copies = np.repeat(y[:, 0].numpy(), weights.long().numpy())
    assert float(leaf.intercept) == np.quantile(copies, level, method="inverted_cdf")
    plain = fit_leaf(x, y, config, generator=generator())
    assert float(plain.predict(x[:1])) == np.quantile(y.numpy(), level, method="inverted_cdf")


def test_a_quantile_of_few_values_is_one_of_them() -> None:
    values = torch.tensor([3.0, 1.0, 2.0])
    assert [quantile(values, level, None) for level in (0.001, 1 / 3, 0.34, 2 / 3, 0.999)] == [1, 1, 2, 2, 3]
    assert quantile(values, 0.999, torch.tensor([2e-3, 1.0, 1e-9])) == 3.0


def test_a_row_of_weight_two_counts_like_two_copies() -> None:
    x, y = widening(40)
    weights = torch.ones(40, dtype=torch.float64)
    weights[:7] = 2.0
    weighted = fit_leaf(x, y, CONFIG, generator=generator(), weights=weights)
    doubled = fit_leaf(torch.cat([x, x[:7]]), torch.cat([y, y[:7]]), CONFIG, generator=generator())
    torch.testing.assert_close(weighted.predict(x), doubled.predict(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("loss", "level"), [("quantile", 0.9), ("absolute", 0.5)])
def test_equal_rows_keep_their_targets(loss: str, level: float) -> None:
    """The mean of their targets is not their quantile, so such rows are not merged."""
    x = torch.arange(2.0).repeat(100)[:, None]
    y = torch.rand(200, 1, generator=generator()) ** 4
    config = TreeConfig(leaf=replace(CONFIG, loss=loss, quantile=level, ridge=1e-3))  # type: ignore[arg-type]
    tree = fit_tree(x, y, config, generator=generator())
    for value in (0.0, 1.0):
        own = y[x == value].numpy()
        wanted, least = np.quantile(own, level), np.abs(np.quantile(own, level) - own.mean())
        assert abs(float(tree.predict(torch.tensor([[value]]))) - wanted) < 0.3 * least


def test_a_level_lies_between_0_and_1() -> None:
    for wrong in (0.0, 1.0, -0.5, float("nan"), "0.9", True):
        with pytest.raises(OptionError, match=r"quantile=.*between 0 and 1"):
            replace(CONFIG, quantile=wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one column"):
        fit_leaf(torch.ones(5, 1), torch.ones(5, 2), CONFIG, generator=generator())
    assert "quantile" not in LeafConfig().to_dict()
    assert LeafConfig.from_dict(CONFIG.to_dict()) == CONFIG
