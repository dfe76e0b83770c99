"""Losses that take several solves, each with its own row weights: their records, and Newton steps.

One Newton step from a good start is nearly as good as all of them (Le Cam's one-step estimator; van der
Vaart, Asymptotic Statistics, section 5.7), and each costs a factorisation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened

STEPS = 12  # maximum number of Newton steps
HALVINGS = 6  # halvings of a step that does not reduce the objective


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ridged:
    """A solution of ``(K + ridge diag(1/w)) alpha = z`` from any solver."""

    coefficients: Tensor  # (m, 1), of the centers
    values: Tensor  # (n, 1): K alpha at the rows
    at_centers: Tensor  # (m, 1): K alpha at the centers
    jitter: float


Solve = Callable[[Tensor, Tensor], Ridged]  # targets z (n, 1) and weights w (n,)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossSolution:
    """Coefficients and intercept under a loss, and the jitter."""

    coefficients: Tensor  # (m, c)
    least_squares: Tensor  # (m, c): used to learn the feature matrix under any loss
    intercept: float
    jitter: float  # the largest amount that a step added to the diagonal, usually 0


def of_least_squares(coefficients: Tensor, jitter: float) -> LossSolution:
    """Return a least-squares solution, which has no intercept."""
    return LossSolution(coefficients=coefficients, least_squares=coefficients, intercept=0.0, jitter=jitter)


def penalty(state: Ridged) -> float:
    """Return ``alpha^T K alpha``."""
    return float((widened(state.coefficients) * widened(state.at_centers)).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowLoss:
    """A convex loss of the rows, by their raw predictions ``(n, 1)`` with the intercept."""

    loss: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]  # first derivative
    curvature: Callable[[Tensor], Tensor]  # second derivative, or its expectation (Fisher scoring); above 0
    mean: Callable[[Tensor], Tensor]  # expected target: a probability, count or amount
    # A typical row has a curvature of 1 / scale, so that it has the same weight as in least squares.
    scale: float


def solve_by_newton(
    solve: Solve,
    row_loss: RowLoss,
    *,
    like: Tensor,
    mass: Tensor,
    ridge: float,
    least_squares: Ridged,
    start: Tensor,
    intercept: float,
    enough: float,
) -> LossSolution:
    """Minimise ``2 scale sum_i w_i loss_i(f_i + b) + ridge alpha^T K alpha`` over ``alpha``; ``f = K alpha``.

    Args:
        solve: solves ``(K + ridge diag(1/w)) alpha = z``.
        row_loss: the loss of each row.
        like: a tensor of the type that ``solve`` takes.
        mass: row weights ``(n, 1)``.
        ridge: the ridge that ``solve`` adds.
        least_squares: the fit that the feature matrix is learned from.
        start: raw predictions ``(n, 1)`` with the intercept, at which the first step is made.
        intercept: ``b``.
        enough: the iteration stops once a step changes the expected targets by at most this on average.

    Every step is halved until the objective falls. Hastie, Tibshirani, Friedman: The Elements of Statistical
    Learning, sections 4.4.1 and 5.6.
    """

    def objective(state: Ridged) -> float:
        losses = mass * row_loss.loss(widened(state.values) + intercept)
        return 2 * row_loss.scale * float(losses.sum()) + ridge * penalty(state)

    found = Ridged(
        coefficients=torch.zeros_like(least_squares.coefficients),
        values=torch.zeros_like(least_squares.values),
        at_centers=torch.zeros_like(least_squares.at_centers),
        jitter=0.0,
    )
    value, jitter, total, at = objective(found), least_squares.jitter, float(mass.sum()), start
    for _ in range(STEPS):
        before, curvature = row_loss.mean(at), row_loss.curvature(at)
        targets = at - intercept - row_loss.slope(at) / curvature
        reached = solve(targets.to(like.dtype), (row_loss.scale * mass * curvature)[:, 0].to(like.dtype))
        jitter = max(jitter, reached.jitter)
        for halving in range(HALVINGS + 1):
            tried = _between(found, reached, 0.5**halving)
            if (tried_value := objective(tried)) < value:
                found, value = tried, tried_value
                break
        at = widened(found.values) + intercept
        if float((mass * (row_loss.mean(at) - before).abs()).sum()) / total <= enough:
            break
    return LossSolution(
        coefficients=found.coefficients,
        least_squares=least_squares.coefficients,
        intercept=intercept,
        jitter=jitter,
    )


def _between(start: Ridged, end: Ridged, share: float) -> Ridged:
    """Interpolate; everything is linear in the coefficients."""
    return Ridged(
        coefficients=torch.lerp(start.coefficients, end.coefficients, share),
        values=torch.lerp(start.values, end.values, share),
        at_centers=torch.lerp(start.at_centers, end.at_centers, share),
        jitter=end.jitter,
    )
