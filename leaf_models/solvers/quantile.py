"""Kernel quantile regression: least squares, then steps with weights that turn squares into absolute values.

The absolute loss is the case of the median.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.kernels.quantiles import quantile
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.solvers.reweighted import LossSolution, Ridged, Solve, penalty

STEPS = 8  # maximum number of reweighted solves
ENOUGH = 0.01  # stop after a step that lowers the objective by less than this share
FLAT = 0.1  # errors below this share of the mean count as squares, so that no weight is huge


def solve_quantile(
    solve: Solve,
    y: Tensor,
    ridge: float,
    weights: Tensor | None = None,
    *,
    level: float = 0.5,
    enough: float = ENOUGH,
) -> LossSolution:
    """Minimise ``4 s sum_i w_i loss(y_i - f_i - b) + ridge alpha^T K alpha`` over ``alpha``; ``f = K alpha``.

    The pinball loss of an error ``r`` is ``level * r``, or ``(level - 1) * r`` if it is negative. ``s`` is
    the mean error of least squares: with this factor a row with a typical error has the same weight as in
    least squares, so that one ridge suits both losses. ``b`` is the quantile of the leaf's targets, which it
    predicts far from them.

    Args:
        solve: solves ``(K + ridge diag(1/w)) alpha = z`` for targets ``z (n, 1)`` and weights ``w (n,)``.
        y: targets ``(n, 1)``.
        ridge: the ridge that ``solve`` adds.
        weights: row weights ``(n,)``, positive.
        level: of the quantile, between 0 and 1; 0.5 is the median.
        enough: iteration stops once a step lowers the objective by less than this share.

    The loss is ``|r| / 2 + (level - 1/2) r``. Each step replaces ``|r|`` by ``(r^2 / |r_before| + |r_before|)
    / 2``, which lies above it. With the linear part, that is a square around targets moved by ``(2 level - 1)
    |r_before|``: majorisation, Hunter and Lange, Journal of Computational and Graphical Statistics 9 (2000).

    >>> k = torch.eye(3)
    >>> def solve(z, w):
    ...     alpha = torch.linalg.solve(k + 1e-3 * torch.diag(1.0 / w), z)
    ...     return Ridged(coefficients=alpha, values=k @ alpha, at_centers=k @ alpha, jitter=0.0)
    >>> y = torch.tensor([[0.0], [1.0], [100.0]])
    >>> [solve_quantile(solve, y, 1e-3, level=level).intercept for level in (0.5, 0.9)]
    [1.0, 100.0]
    """
    mass = torch.ones_like(widened(y)) if weights is None else widened(weights)[:, None]
    intercept = quantile(widened(y)[:, 0], level, None if weights is None else mass[:, 0])
    targets = widened((widened(y) - intercept).to(y.dtype))
    found = least_squares = solve(targets.to(y.dtype), mass[:, 0].to(y.dtype))
    jitter = found.jitter
    errors = _errors(targets, found)
    scale = float((mass * errors.abs()).sum() / mass.sum())
    lean = 2 * level - 1

    def objective(state: Ridged, errors: Tensor) -> float:
        flat, sizes = FLAT * scale, errors.abs()
        bent = torch.where(sizes < flat, sizes.square() / (2 * flat) + flat / 2, sizes) + lean * errors
        return 2 * scale * float((mass * bent).sum()) + ridge * penalty(state)

    value = objective(found, errors)
    if level != 0.5:  # a first step from the level of the quantile saves many steps
        errors = errors - quantile(errors[:, 0], level, mass[:, 0])
    for _ in range(STEPS):
        if scale == 0.0:
            break
        sizes = errors.abs().clamp(min=FLAT * scale)
        reweighted = mass * scale / sizes
        reached = solve((targets + lean * sizes).to(y.dtype), reweighted[:, 0].to(y.dtype))
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
    return targets - widened(state.values)
