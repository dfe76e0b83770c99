"""Kernel ridge regression by Cholesky, with a short ladder of named jitters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.datasets.errors import NumericalError

# Relative to the mean diagonal. Each step is tried once; what was needed is reported, never silent.
JITTERS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)


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
            coefficients = torch.cholesky_solve(y, factor).contiguous()  # solved column by column
            if bool(torch.isfinite(coefficients).all()):
                return Solution(coefficients=coefficients, jitter=added)
        del factor
    raise NumericalError(
        f"the kernel matrix of {len(kernel)} rows is not positive definite even with {added:.1e} on its "
        f"diagonal. Raise the ridge: --set ridge={max(ridge * 100, 1e-3):g}."
    )
