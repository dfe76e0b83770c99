"""Kernel logistic regression: least squares, then Newton steps, each with its own row weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.solvers.reweighted import LossSolution, RowLoss, Solve, solve_by_newton

ENOUGH = 0.08  # stop after a step whose mean change of probabilities is below this share of the chance level
LEAST_CURVATURE = 1e-3  # lower limit of a row's p (1 - p), so that very confident rows keep some weight
CLIP = 0.03  # limits of the first step's probabilities, as least squares may leave (0, 1)


def solve_logistic(
    solve: Solve, y: Tensor, ridge: float, weights: Tensor | None = None, *, enough: float = ENOUGH
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

    The first step starts from the least-squares fit.

    >>> from xrfm_cli.leaf_models.solvers.reweighted import Ridged
    >>> k = torch.tensor([[1.0, 0.2], [0.2, 1.0]])
    >>> def solve(z, w):
    ...     alpha = torch.linalg.solve(k + torch.diag(1.0 / w), z)
    ...     return Ridged(coefficients=alpha, values=k @ alpha, at_centers=k @ alpha, jitter=0.0)
    >>> solve_logistic(solve, torch.tensor([[-1.0], [1.0]]), 1.0, enough=0.0).coefficients.ravel()
    tensor([-1.1438,  1.1438])
    """
    t = ((widened(y) + 1) / 2).clamp(0, 1)  # removes rounding errors of means of equal classes
    mass = torch.ones_like(t) if weights is None else widened(weights)[:, None]
    share = (float((mass * t).sum()) + 0.5) / (float(mass.sum()) + 1.0)  # no leaf of one class is certain

    def curvature(f: Tensor) -> Tensor:
        p = torch.sigmoid(f)
        return (p * (1 - p)).clamp(min=LEAST_CURVATURE)

    least_squares = solve((t - share).to(y.dtype), mass[:, 0].to(y.dtype))
    return solve_by_newton(
        solve,
        RowLoss(
            loss=lambda f: torch.nn.functional.softplus(f) - t * f,
            slope=lambda f: torch.sigmoid(f) - t,
            curvature=curvature,
            mean=torch.sigmoid,
            scale=4.0,
        ),
        like=y,
        mass=mass,
        ridge=ridge,
        least_squares=least_squares,
        start=torch.logit((widened(least_squares.values) + share).clamp(CLIP, 1 - CLIP)),
        intercept=math.log(share / (1 - share)),
        enough=enough * 2 * share * (1 - share),
    )
