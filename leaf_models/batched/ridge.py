"""Kernel ridge regression of several leaves at once, by batched Cholesky factors in float64.

The solver of a single leaf keeps one matrix in float32 and polishes its solution, to save memory for large
leaves. Small leaves can afford a factor in float64. It needs no polishing, which would take dozens of
launches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.solvers.ridge import JITTERS, not_positive_definite


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BatchedSolution:
    """Coefficients of several leaves, and the jitters."""

    coefficients: Tensor  # (b, n, c); zero for padding rows
    jitters: tuple[float, ...]  # added to each diagonal, usually 0


def solve_ridges(kernels: Tensor, y: Tensor, ridge: float, weights: Tensor) -> BatchedSolution:
    """Solve ``(K + ridge diag(1/w)) alpha = Y`` for several leaves.

    ``kernels (b, n, n)``, ``y (b, n, c)`` and ``weights (b, n)``. A weight of 0 marks a padding row: its row
    and column become those of the identity and its target 0. A leaf whose matrix is not positive definite
    gets the next jitter of the ladder; the others are not affected.

    >>> kernels, y = torch.eye(2).expand(2, 2, 2), torch.tensor([[[2.0], [4.0]], [[6.0], [0.0]]])
    >>> solve_ridges(kernels, y, 1.0, torch.tensor([[1.0, 1.0], [1.0, 0.0]])).coefficients[:, :, 0]
    tensor([[1., 2.],
            [3., 0.]])

    Raises NumericalError if no jitter of the ladder makes one of the matrices positive definite.
    """
    real = weights > 0
    added = (ridge / weights.double()).masked_fill(~real, 0.0)
    matrices = kernels.double().masked_fill(~(real[:, :, None] & real[:, None, :]), 0.0)
    diagonals = kernels.diagonal(dim1=1, dim2=2).double().masked_fill(~real, 1.0) + added
    scales = (diagonals * real).sum(1) / real.sum(1)
    coefficients, jitters = torch.zeros_like(y), torch.zeros_like(scales)
    pending = torch.arange(len(y), device=y.device)
    for jitter in JITTERS:
        some = slice(None) if len(pending) == len(y) else pending
        raised = diagonals[some] + jitter * scales[some, None] * real[some]
        found, solved = _solved(matrices[some], raised, y[some].double())
        done = pending[solved]
        coefficients[done], jitters[done] = found[solved].to(y.dtype), jitter * scales[done]
        pending = pending[~solved]
        if not len(pending):
            return BatchedSolution(coefficients=coefficients, jitters=tuple(jitters.tolist()))
    worst = int(pending[0])
    raise not_positive_definite(int(real[worst].sum()), float(scales[worst]), ridge)


def _solved(matrices: Tensor, diagonals: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return solutions ``(k, n, c)`` with these diagonals, and which of them are valid ``(k,)``."""
    matrices.diagonal(dim1=1, dim2=2).copy_(diagonals)
    factors, failures = torch.linalg.cholesky_ex(matrices)
    found = torch.cholesky_solve(y, factors)
    return found, (failures == 0) & torch.isfinite(found).flatten(1).all(1)
