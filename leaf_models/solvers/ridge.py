"""Kernel ridge regression: a Cholesky factor in place, then conjugate gradients in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models.precision import has_float64
from xrfm_cli.mentions import option

# Relative to the mean diagonal, tried in this order; the one used is always reported.
JITTERS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
# Products of these fixed shapes round in the same way for any number of threads. Products that a library
# splits by itself do not: with MKL, wider panels differ from 10,000 rows on.
OUTER, PANEL = 512, 64
STEPS = 30  # maximum number of conjugate gradient steps
TOLERANCE = 1e-6  # of a residual, relative to its target: coefficients are stored in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Coefficients and jitter of a solve."""

    coefficients: Tensor  # (n, c)
    jitter: float  # added to the diagonal, usually 0


def solve_ridge(
    kernel: Tensor, y: Tensor, ridge: float, weights: Tensor | None = None, *, polish: bool = True
) -> Solution:
    """Solve ``(K + ridge diag(1/w)) alpha = Y``; the kernel matrix is overwritten.

    ``kernel (n, n)`` symmetric, ``y (n, c)``, ``weights (n,)`` positive. A weight of 2 equals two copies of
    the row. Needs little memory beyond the matrix: a few panels. Without ``polish`` the solution is as
    precise as the factor, which is enough for comparing ridges.

    >>> solve_ridge(torch.eye(2), torch.tensor([[2.0], [4.0]]), 1.0).coefficients.ravel()
    tensor([1., 2.])

    Raises NumericalError if no jitter of the ladder makes the matrix positive definite.
    """
    if not has_float64(kernel.device):
        near = solve_ridge(
            kernel.cpu(), y.cpu(), ridge, None if weights is None else weights.cpu(), polish=polish
        )
        return replace(near, coefficients=near.coefficients.to(kernel.device))
    # In float64: added to a diagonal of ones, a small ridge would keep few digits in float32.
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
    """Return the error for a matrix that no jitter could repair; ``scale`` is its mean diagonal."""
    larger = {"ridge": float(f"{max(ridge * 100, 1e-3):g}")}
    return NumericalError(
        f"the kernel matrix of {rows} rows is not positive definite even with "
        f"{JITTERS[-1] * scale:.1e} on its diagonal. Raise the ridge: {option('set', larger)}."
    )


def factorise_(matrix: Tensor) -> bool:
    """Write the Cholesky factor into the lower triangle with the diagonal; the upper one is unchanged.

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
        upper = column[: stop - start].triu(1)  # the diagonal block is computed whole
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
    """Mirror the upper triangle into the lower one, undoing the factorisation except for the diagonal."""
    for start in range(0, len(matrix), OUTER):
        stop = start + OUTER
        matrix[stop:, start:stop] = matrix[start:stop, stop:].T
        block = matrix[start:stop, start:stop]
        upper = block.triu(1)
        block.copy_(upper + upper.T)


def _polished(matrix: Tensor, diagonal: Tensor, y: Tensor) -> Tensor:
    """Return the solution by conjugate gradients in float64, preconditioned by the factor.

    The factor of an ill-conditioned matrix leaves errors that the AGOP updates would amplify. It is close
    enough to the inverse that a few steps remove them, each at the cost of two matrix-vector products
    (Higham and Mary, Acta Numerica 31, 2022, section 8, on factors of low precision as preconditioners).
    """

    def precondition(residual: Tensor) -> Tensor:
        # Scaled, because the last residuals would vanish in float32.
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
        # Polak-Ribiere formula, because a float32 preconditioner varies slightly between steps.
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
    """Multiply by the matrix given by the upper triangle and ``diagonal``, in float64."""
    out = diagonal[:, None] * columns
    for start in range(0, len(matrix), PANEL):
        stop = start + PANEL
        block = matrix[start:stop, start:].double()
        square = block[:, : len(block)]
        square.triu_(1)
        out[start:stop] += block @ columns[start:]
        out[start:] += block.T @ columns[start:stop]
    return out
