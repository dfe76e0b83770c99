"""Poisson and gamma regression with a log link: the minimiser against SciPy's, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from tests.leaf_variants import generator, sample
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, fit_leaf
from xrfm_cli.leaf_models.solvers.log_link import ENOUGH, solve_log_link
from xrfm_cli.leaf_models.solvers.reweighted import Ridged

Family = Literal["poisson", "gamma"]
CONFIG = LeafConfig(bandwidth=3.0, ridge=0.3, iterations=0, loss="poisson")
each_family = pytest.mark.parametrize("family", ["poisson", "gamma"])


def amounts(n: int, family: Family, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, amounts divided by their mean, and the means that they were drawn from, divided likewise."""
    x, _ = sample(n, seed=seed)
    mean = torch.exp(x[:, 0] + 0.5 * x[:, 1]).numpy()
    random = np.random.default_rng(seed)
    y = random.poisson(mean) if family == "poisson" else random.gamma(2.0, mean / 2)
    return x, torch.from_numpy(y / y.mean()).to(x)[:, None], torch.from_numpy(mean / y.mean())


def objective(
    alpha: np.ndarray, k: np.ndarray, y: np.ndarray, w: np.ndarray, ridge: float, b: float, family: Family
) -> tuple[float, np.ndarray]:
    """``2 s sum w loss + ridge alpha^T K alpha`` and its slope."""
    f = k @ alpha + b
    mu = np.exp(f)
    scale = np.exp(-b) if family == "poisson" else 1.0
    losses, slopes = (mu - y * f, mu - y) if family == "poisson" else (y / mu + f, 1 - y / mu)
    value = 2 * scale * np.sum(w * losses) + ridge * alpha @ k @ alpha
    return float(value), k @ (2 * scale * w * slopes + 2 * ridge * alpha)


@each_family
@pytest.mark.parametrize("ridge", [0.05, 3.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_reach_the_minimiser(family: Family, ridge: float, weighted: bool) -> None:
    x, y, _ = amounts(80, family)
    kernel = torch.exp(-torch.cdist(x, x) / 3.0)
    weights = torch.rand(80, generator=generator(5), dtype=x.dtype) + 0.1 if weighted else None

    def solve(z: Tensor, w: Tensor) -> Ridged:
        alpha = torch.linalg.solve(kernel + ridge * torch.diag(1.0 / w), z)
        return Ridged(coefficients=alpha, values=kernel @ alpha, at_centers=kernel @ alpha, jitter=0.0)

    w = np.ones(80) if weights is None else weights.numpy()
    b = float(np.log((w @ y[:, 0].numpy() + 0.5) / (w.sum() + 0.5)))
    of = (kernel.numpy(), y[:, 0].numpy(), w, ridge, b, family)
    best = minimize(objective, np.zeros(80), of, jac=True, options={"maxiter": 5000, "gtol": 1e-9})
    wanted = np.exp(kernel.numpy() @ best.x + b)
    for enough, tolerance in ((0.0, 2e-3), (ENOUGH, ENOUGH)):
        found = solve_log_link(solve, y, ridge, weights, family=family, enough=enough)
        assert found.intercept == pytest.approx(b)
        reached = np.exp(kernel.numpy() @ found.coefficients[:, 0].numpy() + b)
        assert np.average(np.abs(reached - wanted), weights=w) < tolerance * np.exp(b)


@each_family
def test_means_are_nearer_the_truth_than_those_of_least_squares(family: Family) -> None:
    x, y, truth = amounts(400, family)
    learned = fit_leaf(x, y, replace(CONFIG, loss=family, ridge=1.0), generator=generator())
    squares = fit_leaf(x, y - 1, replace(CONFIG, loss="squared", ridge=1.0), generator=generator())
    found, other = learned.predict(x)[:, 0].exp(), (squares.predict(x)[:, 0] + 1).clamp(min=1e-3)

    def deviance(mu: Tensor) -> float:
        rest = (
            mu - truth - truth * (mu / truth).log()
            if family == "poisson"
            else (mu / truth).log() + truth / mu
        )
        return float(rest.mean()) - (0.0 if family == "poisson" else 1.0)

    assert 0 < deviance(found) < 0.9 * deviance(other)


@each_family
def test_a_row_of_weight_two_is_two_copies_and_a_mean_stands_for_its_rows(family: Family) -> None:
    x, y, _ = amounts(60, family)
    config = replace(CONFIG, loss=family)
    weights = torch.ones(60, dtype=x.dtype)
    weights[:20] = 2.0
    copied = fit_leaf(torch.cat([x, x[:20]]), torch.cat([y, y[:20]]), config, generator=generator())
    weighted = fit_leaf(x, y, config, generator=generator(), weights=weights)
    torch.testing.assert_close(weighted.predict(x), copied.predict(x), rtol=0.02, atol=0.02)
    both = torch.cat([y, 3 * y[:20]])
    apart = fit_leaf(torch.cat([x, x[:20]]), both, config, generator=generator())
    merged = fit_leaf(x, torch.cat([2 * y[:20], y[20:]]), config, generator=generator(), weights=weights)
    torch.testing.assert_close(merged.predict(x), apart.predict(x), rtol=0.03, atol=0.03)


@each_family
def test_far_rows_get_the_mean_of_the_leaf(family: Family) -> None:
    x, y, _ = amounts(100, family)
    leaf = fit_leaf(x, y, replace(CONFIG, loss=family), generator=generator())
    assert isinstance(leaf, RFMLeaf)
    far = float(leaf.predict(1e6 * torch.ones(1, x.shape[1], dtype=x.dtype)))
    assert far == pytest.approx(leaf.intercept) == pytest.approx(0.0, abs=0.01)


def test_a_leaf_without_an_amount_is_finite() -> None:
    x, y, _ = amounts(50, "poisson")
    leaf = fit_leaf(x, 0 * y, CONFIG, generator=generator())
    assert bool(torch.isfinite(leaf.predict(x)).all())
    assert float(leaf.predict(x).exp().max()) < 0.05


def test_an_amount_far_above_the_others_leaves_means_finite() -> None:
    x, y, _ = amounts(50, "gamma")
    y[0] = 1e6
    for family in ("poisson", "gamma"):
        leaf = fit_leaf(x, y / y.mean(), replace(CONFIG, loss=family, ridge=1e-3), generator=generator())
        assert bool(torch.isfinite(leaf.predict(x).exp()).all())


def test_what_is_no_amount_is_refused() -> None:
    x, y, _ = amounts(20, "poisson")
    for wrong in (y - 1, torch.cat([y, y], dim=1)):
        with pytest.raises(InputError, match="one column of targets of at least 0"):
            fit_leaf(x, wrong, CONFIG, generator=generator())
    with pytest.raises(OptionError, match="only has loss='squared'"):
        replace(CONFIG, kernel="linear")
