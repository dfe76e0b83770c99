"""Kernel median regression: least squares, then steps with weights that turn squares into absolute values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xrfm_cli.leaf_models.kernels.families import median
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.solvers.logistic import LossSolution, Ridged

STEPS = 8  # maximum number of reweighted solves
ENOUGH = 0.01  # stop after a step that lowers the objective by less than this share
FLAT = 0.1  # errors below this share of the mean count as squares, so that no weight is huge


def solve_absolute(
    solve: Callable[[Tensor, Tensor], Ridged],
    y: Tensor,
    ridge: float,
    weights: Tensor | None = None,
    *,
    enough: float = ENOUGH,
) -> LossSolution:
    """Minimise ``2 s sum_i w_i |y_i - f_i - b| + ridge alpha^T K alpha`` over ``alpha``; ``f = K alpha``.

    ``s`` is the mean error of least squares: with this factor a row with a typical error has the same weight
    as in least squares, so that one ridge suits both losses. ``b`` is the median of the leaf's targets, which
    it predicts far from them.

    Args:
        solve: solves ``(K + ridge diag(1/w)) alpha = z`` for targets ``z (n, 1)`` and weights ``w (n,)``.
        y: targets ``(n, 1)``.
        ridge: the ridge that ``solve`` adds.
        weights: row weights ``(n,)``, positive.
        enough: iteration stops once a step lowers the objective by less than this share.

    Each step replaces ``2 s |r|`` by ``s r^2 / |r_before|``, which lies above it: majorisation, Hunter and
    Lange, Journal of Computational and Graphical Statistics 9 (2000).

    >>> k = torch.eye(3)
    >>> def solve(z, w):
    ...     alpha = torch.linalg.solve(k + 1e-3 * torch.diag(1.0 / w), z)
    ...     return Ridged(coefficients=alpha, values=k @ alpha, at_centers=k @ alpha, jitter=0.0)
    >>> solve_absolute(solve, torch.tensor([[0.0], [1.0], [100.0]]), 1e-3).intercept
    1.0
    """
    mass = torch.ones_like(widened(y)) if weights is None else widened(weights)[:, None]
    intercept = median(widened(y)[:, 0], None if weights is None else mass[:, 0])
    targets = (widened(y) - intercept).to(y.dtype)
    found = least_squares = solve(targets, mass[:, 0].to(y.dtype))
    jitter = found.jitter
    errors = _errors(targets, found)
    scale = float((mass * errors).sum() / mass.sum())

    def objective(state: Ridged, errors: Tensor) -> float:
        flat = FLAT * scale
        bent = torch.where(errors < flat, errors.square() / (2 * flat) + flat / 2, errors)
        norm = (widened(state.coefficients) * widened(state.at_centers)).sum()
        return 2 * scale * float((mass * bent).sum()) + ridge * float(norm)

    value = objective(found, errors)
    for _ in range(STEPS):
        if scale == 0.0:
            break
        reweighted = mass * scale / errors.clamp(min=FLAT * scale)
        reached = solve(targets, reweighted[:, 0].to(y.dtype))
        errors = _errors(targets, reached)
        new_value = objective(reached, errors)
        if new_value >= value:
            break
        found, jitter, gained = reached, max(jitter, reached.jitter), 1 - new_value / value
        value = new_value
        if gained < enough:
            break
    return LossSolution(
        coefficients=found.coefficients,
        least_squares=least_squares.coefficients,
        intercept=float(intercept),
        jitter=jitter,
    )


def _errors(targets: Tensor, state: Ridged) -> Tensor:
    return (widened(targets) - widened(state.values)).abs()
