"""Log odds of two classes: the minimiser against SciPy's, from the formulas in float64."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from tests import oracles
from tests.leaf_variants import KERNEL_VARIANTS, assert_same_bits, generator, numbers, oracle_kernel, sample
from xrfm_cli.errors import InputError, ModelFileError
from xrfm_cli.leaf_models import LeafConfig, LeafModel, RFMLeaf, fit_leaf, iterate_leaf, leaf_from_state
from xrfm_cli.leaf_models.fixed_feature_matrix import FixedFeatureMatrix
from xrfm_cli.leaf_models.solvers.logistic import ENOUGH, solve_logistic
from xrfm_cli.leaf_models.solvers.reweighted import Ridged

LOGISTIC = {
    name: dataclasses.replace(config, loss="logistic", ridge=0.1)
    for name, config in KERNEL_VARIANTS.items()
    if name.startswith(("norm2-", "norm1-", "norm1.5-", "sum2-"))
}
each_kernel = pytest.mark.parametrize("config", LOGISTIC.values(), ids=list(LOGISTIC))
CONFIG = LOGISTIC["norm2-diagonal"]


def classes(n: int, *, share: float = 0.5, seed: int = 0, noise: float = 0.5) -> tuple[Tensor, Tensor]:
    """Rows, and classes -1 and 1 of which so large a share is the second."""
    x, _ = sample(n, seed=seed)
    scores = x[:, 0] + x[:, 1].square() + noise * torch.randn(n, generator=generator(seed), dtype=x.dtype)
    return x, torch.where(scores > scores.quantile(1 - share), 1.0, -1.0)[:, None].to(x.dtype)


def fit(x: Tensor, y: Tensor, config: LeafConfig = CONFIG, weights: Tensor | None = None) -> RFMLeaf:
    leaf = fit_leaf(x, y, config, generator=generator(), weights=weights)
    assert isinstance(leaf, RFMLeaf)
    return leaf


def objective(
    alpha: np.ndarray, k: np.ndarray, t: np.ndarray, w: np.ndarray, ridge: float, b: float
) -> tuple[float, np.ndarray]:
    """``8 sum w (log(1 + exp(f + b)) - t (f + b)) + ridge alpha^T K alpha`` and its slope."""
    odds = k @ alpha + b
    value = 8 * np.sum(w * (np.logaddexp(0.0, odds) - t * odds)) + ridge * alpha @ k @ alpha
    return float(value), k @ (8 * w * (1 / (1 + np.exp(-odds)) - t) + 2 * ridge * alpha)


def oracle(leaf: RFMLeaf, y: Tensor, weights: Tensor | None) -> tuple[np.ndarray, np.ndarray, float]:
    """The kernel matrix of a leaf, the minimiser's probabilities at its rows, and the least objective."""
    centers, _, root = numbers(leaf)
    placed = oracles.transform(centers, root)
    k = oracles.kernel_matrix(oracle_kernel(leaf.config, leaf.bandwidth), placed, placed)
    t = (y[:, 0].double().numpy() + 1) / 2
    w = np.ones(len(t)) if weights is None else weights.double().numpy()
    share = (w @ t + 0.5) / (w.sum() + 1)
    assert leaf.intercept == pytest.approx(np.log(share / (1 - share)))
    of = (k, t, w, leaf.config.ridge, leaf.intercept)
    best = minimize(objective, np.zeros(len(t)), of, jac=True, options={"maxiter": 5000})
    return k, 1 / (1 + np.exp(-(k @ best.x + leaf.intercept))), float(best.fun)


@each_kernel
@pytest.mark.parametrize("weighted", [False, True])
def test_a_leaf_is_near_the_minimiser(config: LeafConfig, weighted: bool) -> None:
    x, y = classes(60)
    weights = torch.rand(60, generator=generator(5), dtype=x.dtype) + 0.1 if weighted else None
    leaf = fit(x, y, config, weights)
    _, best, _ = oracle(leaf, y, weights)
    found = torch.sigmoid(leaf.predict(x))[:, 0].numpy()
    w = np.ones(60) if weights is None else weights.numpy()
    share = 1 / (1 + np.exp(-leaf.intercept))
    assert np.average(np.abs(found - best), weights=w) <= ENOUGH * 2 * share * (1 - share)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_all_steps_together_reach_the_minimiser(share: float, ridge: float) -> None:
    """With classes that a surface separates, so that a small ridge makes rows nearly certain."""
    x, y = classes(100, share=share, noise=0.0)
    leaf = fit(x, y, dataclasses.replace(CONFIG, ridge=ridge))
    k, best, least = oracle(leaf, y, None)
    matrix = torch.from_numpy(k)

    def solve(z: Tensor, w: Tensor) -> Ridged:
        alpha = torch.linalg.solve(matrix + torch.diag(ridge / w), z)
        return Ridged(coefficients=alpha, values=matrix @ alpha, at_centers=matrix @ alpha, jitter=0.0)

    found = solve_logistic(solve, y, ridge, enough=0.0)
    alpha = found.coefficients[:, 0].numpy()
    t = (y[:, 0].numpy() + 1) / 2
    reached = objective(alpha, k, t, np.ones(100), ridge, found.intercept)[0]
    # Rows surer than 0.999 count as if they were not, so their last digits would take more steps.
    assert reached == pytest.approx(least, rel=1e-3, abs=8 * 100 * 1e-4)
    p = 1 / (1 + np.exp(-(k @ alpha + found.intercept)))
    np.testing.assert_allclose(p, best, atol=0.01)


def test_weight_two_is_two_copies_and_a_mean_stands_for_its_rows() -> None:
    x, y = classes(60)
    config = dataclasses.replace(CONFIG, iterations=0)
    twice = torch.ones(60, dtype=x.dtype)
    twice[:20] = 2
    copied = fit(torch.cat([x, x[:20]]), torch.cat([y, y[:20]]), config)
    torch.testing.assert_close(fit(x, y, config, twice).predict(x), copied.predict(x), atol=0.02, rtol=0.02)
    both = fit(torch.cat([x, x[:20], x[:20]]), torch.cat([y, y[:20], -y[:20]]), config)
    means, weights = torch.cat([y[:20] / 3, y[20:]]), torch.ones(60, dtype=x.dtype)
    weights[:20] = 3
    torch.testing.assert_close(
        fit(x, means, config, weights).predict(x), both.predict(x), atol=0.02, rtol=0.02
    )


def test_far_rows_get_the_odds_of_the_leaf() -> None:
    x, y = classes(200, share=0.2)
    far = fit(x, y).predict(1e6 * torch.ones(1, 3, dtype=x.dtype))
    assert float(torch.sigmoid(far)) == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_leaf_of_one_class_is_not_certain_of_it(sign: float) -> None:
    x, _ = sample(9)
    p = torch.sigmoid(sign * fit(x, torch.full((9, 1), sign, dtype=x.dtype)).predict(x))
    assert bool(((p > 0.9) & (p < 0.999)).all())


def test_a_first_step_that_leads_nowhere_is_taken_from_the_intercept() -> None:
    """A solver that fails where it is asked for the step from least squares."""
    asked = 0

    def solve(z: Tensor, w: Tensor) -> Ridged:
        nonlocal asked
        asked += 1
        alpha = torch.linalg.solve(torch.eye(2) + torch.diag(1.0 / w.float()), z.float())
        alpha = -100 * alpha if asked == 2 else alpha
        return Ridged(coefficients=alpha, values=alpha, at_centers=alpha, jitter=0.0)

    found = solve_logistic(solve, torch.tensor([[-1.0], [1.0]]), 1.0, enough=0.0)
    alpha = float(found.coefficients[1])  # minimises 8 log(1 + exp(-alpha)) + alpha^2
    assert alpha * (1 + np.exp(alpha)) == pytest.approx(4.0, rel=0.02)
    assert asked > 2


def test_with_most_rows_as_centers_it_is_near_the_direct_solve() -> None:
    x, y = classes(300)
    config = dataclasses.replace(CONFIG, iterations=1)
    direct, iterative = (
        fit(x, y, dataclasses.replace(config, max_centers=centers)) for centers in (None, 250)
    )
    new, _ = classes(100, seed=1)
    difference = torch.sigmoid(direct.predict(new)) - torch.sigmoid(iterative.predict(new))
    assert float(difference.abs().mean()) < 0.01


def test_kernels_under_one_metric_predict_what_leaves_predict() -> None:
    x, y = classes(120)
    new, _ = classes(30, seed=1)
    config = dataclasses.replace(CONFIG, iterations=0)
    leaf = fit(x, y, config)
    fixed = FixedFeatureMatrix.prepare(x, y, new, config, leaf.feature_matrix, generator=generator())
    (found,) = fixed.predict(config, [config.ridge])
    torch.testing.assert_close(found, leaf.predict(new), atol=1e-3, rtol=1e-3)


@each_kernel
def test_gradients_are_slopes_of_the_log_odds(config: LeafConfig) -> None:
    x, y = classes(60)
    leaf = fit(x, y, config)
    at, _ = sample(5, seed=9)
    at = at + 0.37  # away from every center
    step = 1e-6
    for j in range(3):
        ahead, behind = at.clone(), at.clone()
        ahead[:, j] += step
        behind[:, j] -= step
        slope = (leaf.predict(ahead) - leaf.predict(behind)) / (2 * step)
        torch.testing.assert_close(leaf.gradients(at)[:, :, j], slope, atol=1e-5, rtol=1e-4)


@each_kernel
def test_state_comes_back_and_rows_stand_alone(config: LeafConfig) -> None:
    x, y = classes(80)
    leaf = fit(x.float(), y.float(), config)
    facts, tensors = leaf.state()
    again: LeafModel = leaf_from_state(json.loads(json.dumps(facts)), tensors)
    predicted = leaf.predict(x.float())
    assert_same_bits(again.predict(x.float()), predicted)
    assert_same_bits(torch.cat([leaf.predict(x[k : k + 1].float()) for k in (0, 7)]), predicted[[0, 7]])
    repeated = list(iterate_leaf(x.float(), y.float(), config, generator=generator()))
    assert len(repeated) == config.iterations + 1
    assert_same_bits(repeated[-1].predict(x.float()), predicted)
    for wrong in (float("nan"), float("inf"), -1e300):
        with pytest.raises(ModelFileError, match="intercept"):
            leaf_from_state(facts | {"intercept": wrong}, tensors)


def test_means_of_equal_classes_may_be_rounded() -> None:
    x, y = classes(40)
    torch.testing.assert_close(fit(x, y * (1 + 1e-7)).predict(x), fit(x, y).predict(x))


@pytest.mark.parametrize("y", [[[0.5, 0.1]] * 4, [[1.5]] * 4], ids=["two outputs", "no class"])
def test_targets_that_are_no_two_classes_are_refused(y: list[list[float]]) -> None:
    x, _ = sample(4)
    with pytest.raises(InputError, match="-1 and 1"):
        fit(x, torch.tensor(y, dtype=x.dtype))
