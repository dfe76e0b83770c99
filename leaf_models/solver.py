"""Kernel ridge regression by Cholesky, with a short ladder of named jitters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.datasets.errors import NumericalError

# Relative to the mean diagonal. Each step is tried once; what was needed is reported, never silent.
JITTERS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
REFINEMENTS = 3  # steps of iterative refinement at most
BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients and what it took to get them."""

    coefficients: Tensor  # (n, c)
    jitter: float  # what had to be added to the diagonal, 0 as a rule


def solve_ridge(kernel: Tensor, y: Tensor, ridge: float, weights: Tensor | None = None) -> Solution:
    """Solve ``(K + ridge diag(1/w)) alpha = Y``; the kernel's diagonal is left changed.

    ``kernel (n, n)`` symmetric, ``y (n, c)``, ``weights (n,)`` positive. A weight of 2 equals two copies
    of the row.

    >>> solve_ridge(torch.eye(2), torch.tensor([[2.0], [4.0]]), 1.0).coefficients.ravel()
    tensor([1., 2.])

    Raises NumericalError if no jitter of the ladder makes the matrix positive definite.
    """
    diagonal = kernel.diagonal()
    diagonal.add_(ridge if weights is None else ridge / weights)
    scale, added = float(diagonal.mean()), 0.0
    for jitter in JITTERS:
        diagonal.add_(jitter * scale - added)
        added = jitter * scale
        factor, info = torch.linalg.cholesky_ex(kernel)
        if int(info) == 0:
            coefficients = _refined(kernel, factor, y)
            if bool(torch.isfinite(coefficients).all()):
                return Solution(coefficients=coefficients, jitter=added)
        del factor
    raise NumericalError(
        f"the kernel matrix of {len(kernel)} rows is not positive definite even with {added:.1e} on its "
        f"diagonal. Raise the ridge: --set ridge={max(ridge * 100, 1e-3):g}."
    )


def _refined(kernel: Tensor, factor: Tensor, y: Tensor) -> Tensor:
    """The solution by a factor, improved with residuals in float64 for as long as they shrink.

    A float32 factor of a badly conditioned matrix leaves errors that differ between numbers of threads;
    refinement takes them out for a few matrix-vector products (Higham, Accuracy and Stability of Numerical
    Algorithms, chapter 12).
    """
    coefficients = torch.cholesky_solve(y, factor).double()
    if y.dtype == torch.float64:
        return coefficients.contiguous()
    best = float("inf")
    target, step = y.double(), torch.zeros_like(coefficients)
    for _ in range(REFINEMENTS + 1):
        residual = target - _product_in_double(kernel, coefficients + step)
        size = float(residual.norm())
        if not size < best:  # no better, or not finite
            break
        coefficients, best = coefficients + step, size
        step = torch.cholesky_solve(residual.to(y.dtype), factor).double()
    return coefficients.to(y.dtype).contiguous()


def _product_in_double(kernel: Tensor, columns: Tensor) -> Tensor:  # (n, n) float32, (n, c) float64
    """``kernel @ columns`` in float64, a few rows at a time."""
    blocks = [
        kernel[start : start + BLOCK_ROWS].double() @ columns for start in range(0, len(kernel), BLOCK_ROWS)
    ]
    return torch.cat(blocks)
