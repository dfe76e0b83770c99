"""Kernel ridge regression: a Cholesky factor in place, then conjugate gradients in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models.precision import has_float64

# Relative to the mean diagonal. Each step is tried once; what was needed is reported, never silent.
JITTERS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
# Products of these fixed shapes round in the same way whatever the number of threads, where those that a
# library cuts up by itself do not: measured with MKL, for which wider panels differ from 10,000 rows on.
OUTER, PANEL = 512, 64
STEPS = 30  # of conjugate gradients, at most
TOLERANCE = 1e-6  # of a residual, relative to its target: coefficients are kept in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients and what it took to get them."""

    coefficients: Tensor  # (n, c)
    jitter: float  # what had to be added to the diagonal, 0 as a rule


def solve_ridge(
    kernel: Tensor, y: Tensor, ridge: float, weights: Tensor | None = None, *, polish: bool = True
) -> Solution:
    """Solve ``(K + ridge diag(1/w)) alpha = Y``; the kernel matrix is overwritten.

    ``kernel (n, n)`` symmetric, ``y (n, c)``, ``weights (n,)`` positive. A weight of 2 equals two copies
    of the row. Needs no memory beyond the matrix but for a few panels. Without ``polish`` the solution has
    the digits of the factor alone: enough to compare ridges by.

    >>> solve_ridge(torch.eye(2), torch.tensor([[2.0], [4.0]]), 1.0).coefficients.ravel()
    tensor([1., 2.])

    Raises NumericalError if no jitter of the ladder makes the matrix positive definite.
    """
    if not has_float64(kernel.device):
        near = solve_ridge(
            kernel.cpu(), y.cpu(), ridge, None if weights is None else weights.cpu(), polish=polish
        )
        return replace(near, coefficients=near.coefficients.to(kernel.device))
    # In float64: next to a diagonal of ones, float32 keeps few digits of a small ridge.
    diagonal = kernel.diagonal().double() + (ridge if weights is None else ridge / weights.double())
    scale = float(diagonal.mean())
    for jitter in JITTERS:
        raised = diagonal + jitter * scale
        kernel.diagonal().copy_(raised)
        if factorise_(kernel):
            coefficients = _polished(kernel, raised, y) if polish else _substituted(kernel, y)
            if bool(torch.isfinite(coefficients).all()):
                return Solution(coefficients=coefficients, jitter=jitter * scale)
        restore_lower_(kernel)
    raise not_positive_definite(len(kernel), scale, ridge)


def not_positive_definite(rows: int, scale: float, ridge: float) -> NumericalError:
    """The error of a matrix that no jitter of the ladder has mended; ``scale`` is its mean diagonal."""
    return NumericalError(
        f"the kernel matrix of {rows} rows is not positive definite even with "
        f"{JITTERS[-1] * scale:.1e} on its diagonal. Raise the ridge: --set ridge={max(ridge * 100, 1e-3):g}."
    )


def factorise_(matrix: Tensor) -> bool:
    """Put the Cholesky factor into the lower triangle, diagonal included; the upper one stays as it was.

    Returns whether the matrix is positive definite; if not, the lower triangle is left half done.

    >>> matrix = torch.tensor([[4.0, 2.0], [2.0, 5.0]])
    >>> factorise_(matrix), matrix
    (True, tensor([[2., 2.],
            [1., 2.]]))

    Golub and Van Loan, Matrix Computations, section 4.2: by block columns, each updated by those before it.
    """
    n = len(matrix)
    for start in range(0, n, OUTER):
        stop = min(start + OUTER, n)
        column = matrix[start:, start:stop]
        upper = column[: stop - start].triu(1)  # the block on the diagonal is computed whole
        for before in range(0, start, OUTER):
            done = matrix[start:, before : before + OUTER]
            column.addmm_(done, done[: stop - start].T, alpha=-1)
        positive = _factorise_panels_(column)
        column[: stop - start].tril_().add_(upper)
        if not positive:
            return False
    return True


def _factorise_panels_(column: Tensor) -> bool:  # (m, k), m >= k
    """Factorise a block column whose upper square is symmetric."""
    k = column.shape[1]
    for start in range(0, k, PANEL):
        stop = min(start + PANEL, k)
        panel = column[start:, start:stop]
        if start:
            panel.addmm_(column[start:, :start], column[start:stop, :start].T, alpha=-1)
        factor, info = torch.linalg.cholesky_ex(panel[: stop - start])
        if int(info):
            return False
        panel[: stop - start] = factor
        if stop - start < len(panel):
            below = panel[stop - start :]
            below.copy_(torch.linalg.solve_triangular(factor.T, below, upper=True, left=False))
    return True


def restore_lower_(matrix: Tensor) -> None:
    """Mirror the upper triangle into the lower one, as before the factorisation; the diagonal stays."""
    for start in range(0, len(matrix), OUTER):
        stop = start + OUTER
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
        block = matrix[start:stop, start:stop]
        upper = block.triu(1)
        block.copy_(upper + upper.T)


def _polished(matrix: Tensor, diagonal: Tensor, y: Tensor) -> Tensor:
    """The solution by conjugate gradients in float64 that the factor preconditions.

    The factor of a badly conditioned matrix leaves errors that the metric updates would amplify. It is close
    enough to the inverse that a few steps take them out, each for the price of two matrix-vector products
    (Higham and Mary, Acta Numerica 31, 2022, section 8, on factors of low precision as preconditioners).
    """

    def precondition(residual: Tensor) -> Tensor:
        # Scaled, for what is left at the end would vanish in float32.
        scale = residual.abs().amax(0).clamp_(min=torch.finfo(torch.float64).tiny)
        return _substituted(matrix, (residual / scale).to(matrix.dtype)).double().mul_(scale)

    residual = y.double()
    goal = TOLERANCE * residual.norm(dim=0)
    coefficients = torch.zeros_like(residual)
    step = better = precondition(residual)
    power = (residual * better).sum(0)
    for _ in range(STEPS):
        moved = _product(matrix, diagonal, step)
        curvature = (step * moved).sum(0)
        length = torch.where(curvature > 0, power / curvature, 0.0)
        coefficients += length * step
        before, residual = residual, residual - length * moved
        if bool((residual.norm(dim=0) <= goal).all()) or not bool((length > 0).any()):
            break
        better = precondition(residual)
        # Polak and Ribiere's formula, for a float32 preconditioner is not quite the same in every step.
        change = ((residual - before) * better).sum(0)
        step = better + torch.where(power > 0, change / power, 0.0).clamp_(min=0) * step
        power = (residual * better).sum(0)
    return coefficients.to(y.dtype).contiguous()


def _substituted(matrix: Tensor, right: Tensor) -> Tensor:  # (n, n), (n, c) -> (n, c)
    """Solve with the factor in the lower triangle: forward, then backward."""
    n, out = len(matrix), right.clone()
    starts = range(0, n, OUTER)
    for start in starts:
        rows = slice(start, start + OUTER)
        if start:
            out[rows] -= matrix[rows, :start] @ out[:start]
        out[rows] = torch.linalg.solve_triangular(matrix[rows, rows], out[rows], upper=False)
    for start in reversed(starts):
        rows, stop = slice(start, start + OUTER), start + OUTER
        if stop < n:
            out[rows] -= matrix[stop:, rows].T @ out[stop:]
        out[rows] = torch.linalg.solve_triangular(matrix[rows, rows].T, out[rows], upper=True)
    return out


def _product(matrix: Tensor, diagonal: Tensor, columns: Tensor) -> Tensor:  # (n, n), (n,), (n, c)
    """The product with the matrix that the upper triangle and the diagonal describe, in float64."""
    out = diagonal[:, None] * columns
    for start in range(0, len(matrix), PANEL):
        stop = start + PANEL
        block = matrix[start:stop, start:].double()
        square = block[:, : len(block)]
        square.triu_(1)
        out[start:stop] += block @ columns[start:]
        out[start:] += block.T @ columns[start:stop]
    return out
