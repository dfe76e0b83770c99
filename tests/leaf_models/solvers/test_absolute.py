"""Kernel median regression: its optimum, its robustness and its place in a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.leaf_variants import generator
from tests.tuning.tables import answers, fit, law, table_of
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.solvers.quantile import FLAT, solve_quantile
from xrfm_cli.leaf_models.solvers.reweighted import Ridged

CONFIG = LeafConfig(bandwidth=2.0, ridge=0.05, iterations=0, loss="absolute")


def outliers(n: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    """A wave with one row in ten far above it, and the wave."""
    x = torch.linspace(-2, 2, n, dtype=torch.float64)[:, None]
    wave = torch.sin(2 * x)
    y = wave + 0.05 * torch.randn(n, 1, generator=generator(), dtype=torch.float64)
    y[::10] += 20.0
    return x, y, wave


def test_it_follows_the_median_where_least_squares_follow_the_mean() -> None:
    x, y, wave = outliers()
    median, mean = (
        fit_leaf(x, y, replace(CONFIG, ridge=1.0, loss=loss), generator=generator())
        for loss in ("absolute", "squared")
    )
    assert float((median.predict(x) - wave).abs().mean()) < 0.5
    assert float((mean.predict(x) - wave).abs().mean()) > 1.0


def test_the_optimum_is_that_of_a_plain_solver() -> None:
    """Reweighting lowers the objective nearly to its minimum, found by gradient steps in float64."""
    x, y, _ = outliers(60)
    kernel = torch.exp(-torch.cdist(x, x) / 2.0)
    ridge = 0.05

    def solve(z: Tensor, w: Tensor) -> Ridged:
        alpha = torch.linalg.solve(kernel + ridge * torch.diag(1.0 / w), z)
        return Ridged(coefficients=alpha, values=kernel @ alpha, at_centers=kernel @ alpha, jitter=0.0)

    found = solve_quantile(solve, y, ridge, enough=0.0)
    targets = y - found.intercept
    scale = float((targets - kernel @ found.least_squares).abs().mean())

    def objective(alpha: Tensor) -> Tensor:
        errors = (targets - kernel @ alpha).abs()
        flat = FLAT * scale
        bent = torch.where(errors < flat, errors.square() / (2 * flat) + flat / 2, errors)
        return 2 * scale * bent.sum() + ridge * (alpha * (kernel @ alpha)).sum()

    best = found.coefficients.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([best], max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = objective(best)
        value.backward()
        return value

    optimiser.step(closure)
    reached, least, start = (
        float(objective(alpha)) for alpha in (found.coefficients, best.detach(), found.least_squares)
    )
    assert reached < start - 0.9 * (start - least), (reached, least, start)


def test_a_row_of_weight_two_counts_like_two_copies() -> None:
    x, y, _ = outliers(40)
    weights = torch.ones(40, dtype=torch.float64)
    weights[:7] = 2.0
    weighted = fit_leaf(x, y, CONFIG, generator=generator(), weights=weights)
    doubled = fit_leaf(torch.cat([x, x[:7]]), torch.cat([y, y[:7]]), CONFIG, generator=generator())
    torch.testing.assert_close(weighted.predict(x), doubled.predict(x), rtol=1e-4, atol=1e-4)


def test_far_from_the_rows_it_predicts_their_median() -> None:
    x, y, _ = outliers()
    leaf = fit_leaf(x, y, CONFIG, generator=generator())
    assert isinstance(leaf, RFMLeaf)
    assert leaf.intercept == pytest.approx(float(y.median()), abs=0.1)
    assert float(leaf.predict(torch.full((1, 1), 1e4, dtype=torch.float64))) == pytest.approx(leaf.intercept)


def test_several_targets_and_classes_have_no_median() -> None:
    x, y, _ = outliers(20)
    with pytest.raises(InputError, match="one column"):
        list(iterate_leaf(x, torch.cat([y, y], dim=1), CONFIG, generator=generator()))
    columns = law(30) | {"y": ["a", "b"] * 15}
    with pytest.raises(OptionError, match="a class has no median"):
        fit(table_of(columns), pinned={"loss": "absolute"})
    with pytest.raises(OptionError, match="only has loss='squared'"):
        replace(CONFIG, kernel="linear")


def test_the_search_tries_it_for_absolute_errors_alone() -> None:
    def losses(metric: str) -> set[str | None]:
        found = fit(table_of(law(60)), trials=4, metric=metric)
        return {trial["params"].get("loss") for trial in found.report.trials}

    assert losses("mae") == {"squared", "absolute"}
    assert losses("rmse") == {"squared"}


def test_a_target_with_outliers_is_predicted_better() -> None:
    columns, test = law(150), law(400, seed=9, noise=0.0)
    y = np.array(columns["y"])
    y[::8] += 30.0
    errors = {}
    for loss in ("absolute", "squared"):
        pinned = {"loss": loss, "ridge": 3.0}
        found = fit(table_of(columns | {"y": y}), metric="mae", pinned=pinned)
        errors[loss] = np.abs(answers(found, table_of(test)) - test["y"]).mean()
    assert errors["absolute"] < 0.6 * errors["squared"], errors
