"""Kernel Poisson and gamma regression with a log link: least squares, then Newton steps."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.solvers.reweighted import LossSolution, RowLoss, Solve, solve_by_newton

ENOUGH = 0.1  # stop after a step whose mean change of a mean is below this share of the leaf's mean
LEAST_MEAN = 0.1  # lower limit of the first step's means, as shares of the leaf's: least squares go below 0
LEAST_CURVATURE = 1e-3  # lower limit of a row's mean as its curvature, as a share of the leaf's mean
LARGEST_EXPONENT = 30.0  # of means relative to 1, far beyond any that data support


def solve_log_link(
    solve: Solve,
    y: Tensor,
    ridge: float,
    weights: Tensor | None = None,
    *,
    family: Literal["poisson", "gamma"],
    enough: float = ENOUGH,
) -> LossSolution:
    """Minimise ``2 s sum_i w_i loss(y_i, f_i + b) + ridge alpha^T K alpha`` over ``alpha``; ``f = K alpha``.

    Means are ``mu = exp(f + b)``. The Poisson loss is ``mu - y log(mu)``, the gamma loss is ``log(mu) + y /
    mu``.
    With ``s = exp(-b)`` for Poisson and 1 for gamma, a row of the leaf's mean has the same weight as in
    least squares. ``b`` is the logarithm of that mean, which the leaf predicts far from its rows.

    Args:
        solve: solves ``(K + ridge diag(1/w)) alpha = z`` for targets ``z (n, 1)`` and weights ``w (n,)``.
        y: amounts of at least 0 ``(n, 1)``, divided by the mean of all training rows.
        ridge: the ridge that ``solve`` adds.
        weights: row weights ``(n,)``, positive.
        family: of the loss.
        enough: iteration stops once the mean change of a mean, relative to the leaf's, is at most this.

    The first step starts from the least-squares fit of ``y exp(-b) - 1``. A gamma step uses the expected
    curvature, 1 (Fisher scoring). McCullagh and Nelder, Generalized Linear Models, section 2.5.

    >>> from xrfm_cli.leaf_models.solvers.reweighted import Ridged
    >>> k = torch.eye(2)
    >>> def solve(z, w):
    ...     alpha = torch.linalg.solve(k + 1e-6 * torch.diag(1.0 / w), z)
    ...     return Ridged(coefficients=alpha, values=k @ alpha, at_centers=k @ alpha, jitter=0.0)
    >>> found = solve_log_link(solve, torch.tensor([[0.5], [1.5]]), 1e-6, family="poisson", enough=0.0)
    >>> (found.coefficients + found.intercept).exp().ravel()
    tensor([0.5000, 1.5000])
    """
    amounts = widened(y).clamp(min=0)
    mass = torch.ones_like(amounts) if weights is None else widened(weights)[:, None]
    # Half a row of the mean of all rows keeps the logarithm of a leaf of zeros finite.
    mean = (float((mass * amounts).sum()) + 0.5) / (float(mass.sum()) + 0.5)

    def means(f: Tensor) -> Tensor:
        return torch.exp(f.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT))

    if family == "poisson":
        row_loss = RowLoss(
            loss=lambda f: means(f) - amounts * f,
            slope=lambda f: means(f) - amounts,
            curvature=lambda f: means(f).clamp(min=LEAST_CURVATURE * mean),
            mean=means,
            scale=1 / mean,
        )
    else:
        row_loss = RowLoss(
            loss=lambda f: amounts * means(-f) + f,
            slope=lambda f: 1 - amounts * means(-f),
            curvature=torch.ones_like,
            mean=means,
            scale=1.0,
        )
    least_squares = solve((amounts / mean - 1).to(y.dtype), mass[:, 0].to(y.dtype))
    return solve_by_newton(
        solve,
        row_loss,
        like=y,
        mass=mass,
        ridge=ridge,
        least_squares=least_squares,
        start=math.log(mean) + torch.log((1 + widened(least_squares.values)).clamp(min=LEAST_MEAN)),
        intercept=math.log(mean),
        enough=enough * mean,
    )
