"""Kernel logistic regression: least squares, then Newton steps, each with its own row weights.

One step from a good start is nearly as good as all of them (Le Cam's one-step estimator; van der Vaart,
Asymptotic Statistics, section 5.7), and each costs a factorisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened

STEPS = 12  # maximum number of Newton steps
HALVINGS = 6  # halvings of a step that does not reduce the objective
ENOUGH = 0.08  # stop after a step whose mean change of probabilities is below this share of the chance level
LEAST_CURVATURE = 1e-3  # lower limit of a row's p (1 - p), so that very confident rows keep some weight
CLIP = 0.03  # limits of the first step's probabilities, as least squares may leave (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ridged:
    """A solution of ``(K + ridge diag(1/w)) alpha = z`` from any solver."""

    coefficients: Tensor  # (m, 1), of the centers
    values: Tensor  # (n, 1): K alpha at the rows
    at_centers: Tensor  # (m, 1): K alpha at the centers
    jitter: float


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


def solve_logistic(
    solve: Callable[[Tensor, Tensor], Ridged],
    y: Tensor,
    ridge: float,
    weights: Tensor | None = None,
    *,
    enough: float = ENOUGH,
) -> LossSolution:
    """Minimise ``8 sum_i w_i loss(y_i, f_i + b) + ridge alpha^T K alpha`` over ``alpha``; ``f = K alpha``.

    The loss is minus the log probability of the class under ``1 / (1 + exp(-f - b))``. With the factor 8, a
    row whose classes are equally likely has the same weight as in least squares, so that one ridge suits both
    losses. ``b`` is the log odds of the leaf's rows, which it predicts far from them.

    Args:
        solve: solves ``(K + ridge diag(1/w)) alpha = z`` for targets ``z (n, 1)`` and weights ``w (n,)``.
        y: classes ``(n, 1)``: -1 or 1, or in between for rows that represent several.
        ridge: the ridge that ``solve`` adds.
        weights: row weights ``(n,)``, positive.
        enough: iteration stops once the mean change of a probability, relative to that between two random
            rows, is at most this; 0 stops only if nothing changes.

    The first step starts from the least-squares fit; every step is halved until the objective falls.
    Hastie, Tibshirani, Friedman: The Elements of Statistical Learning, sections 4.4.1 and 5.6.

    >>> k = torch.tensor([[1.0, 0.2], [0.2, 1.0]])
    >>> def solve(z, w):
    ...     alpha = torch.linalg.solve(k + torch.diag(1.0 / w), z)
    ...     return Ridged(coefficients=alpha, values=k @ alpha, at_centers=k @ alpha, jitter=0.0)
    >>> solve_logistic(solve, torch.tensor([[-1.0], [1.0]]), 1.0, enough=0.0).coefficients.ravel()
    tensor([-1.1438,  1.1438])
    """
    t = ((widened(y) + 1) / 2).clamp(0, 1)  # removes rounding errors of means of equal classes
    mass = torch.ones_like(t) if weights is None else widened(weights)[:, None]
    total = float(mass.sum())
    share = (float((mass * t).sum()) + 0.5) / (total + 1.0)  # keeps a leaf of one class from being certain
    intercept = math.log(share / (1 - share))

    def objective(state: Ridged) -> float:
        f = widened(state.values) + intercept
        surprise = mass * (torch.nn.functional.softplus(f) - t * f)
        norm = (widened(state.coefficients) * widened(state.at_centers)).sum()
        return 8 * float(surprise.sum()) + ridge * float(norm)

    least_squares = solve((t - share).to(y.dtype), mass[:, 0].to(y.dtype))
    odds = torch.logit((widened(least_squares.values) + share).clamp(CLIP, 1 - CLIP))
    found = Ridged(
        coefficients=torch.zeros_like(least_squares.coefficients),
        values=torch.zeros_like(least_squares.values),
        at_centers=torch.zeros_like(least_squares.at_centers),
        jitter=0.0,
    )
    value, jitter = objective(found), least_squares.jitter
    for _ in range(STEPS):
        p = torch.sigmoid(odds)
        curvature = (p * (1 - p)).clamp(min=LEAST_CURVATURE)
        targets = odds - intercept + (t - p) / curvature
        reached = solve(targets.to(y.dtype), (4 * mass * curvature)[:, 0].to(y.dtype))
        jitter = max(jitter, reached.jitter)
        for halving in range(HALVINGS + 1):
            tried = _between(found, reached, 0.5**halving)
            if (tried_value := objective(tried)) < value:
                found, value = tried, tried_value
                break
        odds = widened(found.values) + intercept
        moved = float((mass * (torch.sigmoid(odds) - p).abs()).sum()) / total
        if moved <= enough * 2 * share * (1 - share):
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
