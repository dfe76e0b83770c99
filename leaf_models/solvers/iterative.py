"""Kernel ridge regression of many rows: conjugate gradients on the kernel matrix, which stays as it is.

A few randomly pivoted columns of the matrix give a preconditioner. A step reads the matrix once, but a
factorisation takes ``n / 3`` operations for each of its numbers. So more rows save more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled.products import multiply

# With fewer rows a factorisation is as fast: both took 0.7 s at 5,000 rows, 5 and 2.5 s at 10,000.
FROM_ROWS = 6_000
# For smaller ridges, the smallest eigenvalues are so small compared with the largest that there may be too
# many steps. The ridge is known before a fit, whose time has to be estimated.
LEAST_RIDGE = 1e-2
ROWS_PER_PIVOT = 20  # a preconditioner of more columns saves fewer steps than it costs
PIVOTS = 128  # columns chosen at a time
ROWS_PER_STEP = 100  # one step for this many rows: all steps together take less time than a factorisation
# Tolerance of a residual, relative to its target. Predictions change by less than that share of their
# deviation.
TOLERANCE = 1e-5
PANEL = 512  # rows of a product, fixed so that it rounds in the same way for any number of threads
LEAST_PIVOT = 1e-5  # added to the diagonal of chosen columns, relative to it: they have float32 precision


class IterativeSolver:
    """Solves ``(K + ridge diag(1/w)) alpha = Y`` for one kernel matrix and any ridges and weights.

    Diaz et al., Robust, randomized preconditioning for kernel ridge regression, arXiv 2304.12465; randomly
    pivoted Cholesky: Chen et al., arXiv 2207.06503, in blocks of pivots. The matrix is not changed.
    """

    def __init__(self, kernel: Tensor) -> None:  # (n, n), symmetric, with a diagonal of ones
        self._kernel = kernel
        self._columns = low_rank(kernel, max(1, len(kernel) // ROWS_PER_PIVOT))

    @staticmethod
    def suits(kernel: Tensor, ridge: float) -> bool:
        """Return whether this is the faster way to solve for a kernel matrix."""
        is_plain = kernel.device.type == "cpu" and kernel.dtype == torch.float32 and kernel.is_contiguous()
        return is_plain and is_iterative(len(kernel), ridge)

    def solve(self, y: Tensor, ridge: float, weights: Tensor | None = None) -> Tensor | None:
        """Return coefficients ``(n, c)`` for targets ``y (n, c)``, or None if a factorisation is faster.

        Gives up after half of the allowed steps if they have not reached half of the digits.
        """
        most = max(2, len(y) // ROWS_PER_STEP)
        diagonal = torch.full((len(y),), ridge, dtype=torch.float64)
        diagonal = (diagonal if weights is None else ridge / weights.double())[:, None]
        preconditioner = _Preconditioner(self._columns, diagonal)
        residual = y.double()
        size = residual.norm(dim=0)
        coefficients = torch.zeros_like(residual)
        step = better = preconditioner(residual)
        power = (residual * better).sum(0)
        for number in range(1, most + 1):
            moved = multiply(self._kernel, step).addcmul_(diagonal, step)
            curvature = (step * moved).sum(0)
            if not bool((curvature >= 0).all()):  # not positive definite, or not finite
                return None
            length = torch.where(curvature > 0, power / curvature, 0.0)
            coefficients.addcmul_(length, step)
            before, residual = residual, residual - length * moved
            left = residual.norm(dim=0)
            if bool((left <= TOLERANCE * size).all()):
                return coefficients.to(y.dtype)
            if number == most // 2 and bool((left > TOLERANCE**0.5 * size).any()):
                return None
            better = preconditioner(residual)
            # Polak-Ribiere formula, because a float32 preconditioner varies slightly between steps.
            change = ((residual - before) * better).sum(0)
            step = better + torch.where(power > 0, change / power, 0.0).clamp_(min=0) * step
            power = (residual * better).sum(0)
        return None


def is_iterative(rows: float, ridge: float) -> bool:
    """Return whether a leaf on a CPU is solved iteratively rather than factorised.

    >>> is_iterative(10_000, 0.1), is_iterative(5_000, 0.1), is_iterative(10_000, 1e-4)
    (True, False, False)
    """
    return rows >= FROM_ROWS and ridge >= LEAST_RIDGE


class _Preconditioner:
    """Multiplies by the inverse of ``F F^T + diag(d)``, by the formula of Woodbury."""

    def __init__(self, columns: Tensor, diagonal: Tensor) -> None:  # (n, k), (n, 1)
        self._columns, self._diagonal = columns, diagonal
        root = diagonal.sqrt()
        inner = torch.zeros(columns.shape[1], columns.shape[1], dtype=torch.float64)
        for start in range(0, len(columns), PANEL):
            rows = slice(start, start + PANEL)
            scaled = (columns[rows] / root[rows]).float()
            inner += scaled.T @ scaled
        inner.diagonal().add_(1.0)
        self._factor = torch.linalg.cholesky(inner)

    def __call__(self, residual: Tensor) -> Tensor:  # (n, c) -> (n, c), float64
        near = residual / self._diagonal
        # Scaled, because the last residuals would vanish in float32.
        scale = near.abs().amax(0).clamp_(min=torch.finfo(torch.float64).tiny)
        below = torch.zeros(self._columns.shape[1], residual.shape[1], dtype=torch.float64)
        narrow = (near / scale).float()
        panels = range(0, len(narrow), PANEL)
        for start in panels:
            rows = slice(start, start + PANEL)
            below += self._columns[rows].T @ narrow[rows]
        above = torch.cholesky_solve(below, self._factor).float()
        for start in panels:
            rows = slice(start, start + PANEL)
            near[rows] -= (self._columns[rows] @ above).double() * scale / self._diagonal[rows]
        return near


def low_rank(kernel: Tensor, rank: int) -> Tensor:
    """Return ``F (n, rank)`` with ``F F^T`` near a kernel matrix, from randomly pivoted columns of it.

    The probability of a column is proportional to the part of its diagonal that the columns before leave.

    >>> low_rank(torch.ones(3, 3), 1).ravel()
    tensor([1.0000, 1.0000, 1.0000])
    """
    n = len(kernel)
    generator = torch.Generator().manual_seed(0)  # the same columns for the same matrix
    factor, left = kernel.new_zeros(n, rank), torch.ones(n, dtype=torch.float64)
    for start in range(0, rank, PIVOTS):
        stop = min(start + PIVOTS, rank)
        chances = left.clamp(min=torch.finfo(torch.float64).eps)
        pivots = torch.multinomial(chances, stop - start, generator=generator)
        known = factor[pivots, :start]
        core = (kernel[pivots][:, pivots] - known @ known.T).double()
        core.diagonal().add_(LEAST_PIVOT)
        lower, info = torch.linalg.cholesky_ex(core)
        if int(info):  # nothing is left but rounding
            return factor[:, :start].contiguous()
        for begin in range(0, n, PANEL):
            rows = slice(begin, begin + PANEL)
            columns = kernel[rows, pivots] - factor[rows, :start] @ known.T
            factor[rows, start:stop] = torch.linalg.solve_triangular(
                lower.float().T, columns, upper=True, left=False
            )
        left -= factor[:, start:stop].double().square().sum(1)
    return factor
