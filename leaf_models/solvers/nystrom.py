"""Kernel ridge regression with fewer centers than rows, by preconditioned conjugate gradients.

The number of centers bounds the memory, and the number of rows only the time. Kernel values between rows and
centers are computed in blocks, again in every step unless they fit into the byte budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models.kernels.coordinates import Centers, prepare_centers
from xrfm_cli.leaf_models.kernels.families import Kernel
from xrfm_cli.leaf_models.precision import has_float64
from xrfm_cli.leaf_models.solvers.ridge import JITTERS
from xrfm_cli.mentions import option

STEPS = 100  # maximum number of conjugate gradient steps
TOLERANCE = 1e-6  # of the preconditioned residual, relative to its start
ROWS = 512  # rows per block
KEPT_SHARE = 0.5  # maximum share of the byte budget for kernel values between rows and centers


@dataclass(frozen=True, slots=True, kw_only=True)
class NystromSolution:
    """Coefficients of the centers and details of the solve."""

    coefficients: Tensor  # (m, c)
    jitter: float  # added to the diagonal of the centers' kernel matrix beyond float32 rounding, usually 0
    steps: int
    residual: float  # of the preconditioned system, relative to its start


def solve_nystrom(
    kernel: Kernel,
    u: Tensor,
    y: Tensor,
    centers: Centers,
    ridge: float,
    weights: Tensor | None = None,
    *,
    memory_bytes: int = 1 << 30,
) -> NystromSolution:
    """Minimise ``sum_i w_i |k(u_i, C) alpha - y_i|^2 + ridge alpha^T K_CC alpha`` over ``alpha (m, c)``.

    If every row is a center this is kernel ridge regression. ``u (n, d)`` are rows and ``centers`` m of
    them, in the feature matrix's coordinates; ``y (n, c)``, ``weights (n,)``.

    >>> from xrfm_cli.leaf_models.kernels.coordinates import prepare_centers
    >>> from xrfm_cli.leaf_models.kernels.families import NormKernel
    >>> x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    >>> kernel, few = NormKernel(p=2.0, q=1.0, bandwidth=1.0), prepare_centers(x[::7])
    >>> solution = solve_nystrom(kernel, x, x.square(), few, 1e-6)
    >>> bool((kernel.matrix(x, few) @ solution.coefficients - x.square()).abs().max() < 0.05)
    True

    Rudi, Carratino, Rosasco, FALKON, NeurIPS 2017; Abedsoltan et al., On the Nystrom approximation for
    preconditioning in kernel machines, arXiv 2312.03311. Everything but the kernel values is in float64.
    Raises NumericalError if the centers' kernel matrix cannot be factorised.
    """
    if not has_float64(u.device):
        near = solve_nystrom(
            kernel,
            u.cpu(),
            y.cpu(),
            prepare_centers(centers.rows.cpu()),
            ridge,
            None if weights is None else weights.cpu(),
            memory_bytes=memory_bytes,
        )
        return replace(near, coefficients=near.coefficients.to(u.device))
    n, m = len(u), len(centers.rows)
    factor, jitter = _factor(kernel, centers)
    # K_nC^T K_nC is near (n / m) K_CC^2, which makes the preconditioned matrix nearly the identity.
    mass = float(n) if weights is None else float(weights.sum())
    scaled = (mass / m) * (factor.T @ factor)
    scaled.diagonal().add_(ridge)
    outer = torch.linalg.cholesky(scaled)
    del scaled

    def inner(v: Tensor) -> Tensor:  # preconditioned unknown -> coefficients
        v = torch.linalg.solve_triangular(outer.T, v, upper=True)
        return torch.linalg.solve_triangular(factor.T, v, upper=True)

    def inner_transposed(v: Tensor) -> Tensor:
        v = torch.linalg.solve_triangular(factor, v, upper=False)
        return torch.linalg.solve_triangular(outer, v, upper=False)

    products = _Products(kernel, u, centers, weights, int(KEPT_SHARE * memory_bytes))

    def apply(v: Tensor) -> Tensor:
        below = torch.linalg.solve_triangular(outer.T, v, upper=True)
        penalty = torch.linalg.solve_triangular(outer, below, upper=False)
        return inner_transposed(products.normal(inner(v))) + ridge * penalty

    solution, steps, residual = _conjugate_gradients(apply, inner_transposed(products.right_hand_side(y)))
    return NystromSolution(
        coefficients=inner(solution).to(y.dtype), jitter=jitter, steps=steps, residual=residual
    )


def _factor(kernel: Kernel, centers: Centers) -> tuple[Tensor, float]:
    """Return the lower Cholesky factor of the centers' kernel matrix in float64, and its jitter."""
    m = len(centers.rows)
    matrix = torch.empty(m, m, dtype=torch.float64, device=centers.rows.device)
    for rows in _blocks(m):
        matrix[rows] = kernel.matrix(centers.rows[rows], centers).double()
    matrix = (matrix + matrix.T) / 2
    # The values have float32 precision: smaller differences are indistinguishable from singularity.
    digits = torch.finfo(centers.rows.dtype).eps
    for jitter in JITTERS:
        matrix.diagonal().fill_(1.0 + max(jitter, digits))
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info) == 0:
            return factor, jitter
    raise NumericalError(
        f"the kernel matrix of {m} centers is not positive definite even with {JITTERS[-1]:.1e} on its "
        f"diagonal. Choose fewer centers: {option('set', {'max_centers': 'N'})}."
    )


class _Products:
    """Products with the kernel values between rows and centers, block by block."""

    def __init__(
        self, kernel: Kernel, u: Tensor, centers: Centers, weights: Tensor | None, kept_bytes: int
    ) -> None:
        self._kernel, self._u, self._centers = kernel, u, centers
        self._weights = None if weights is None else weights.double()[:, None]
        needed = len(u) * len(centers.rows) * u.element_size()
        self._kept: list[Tensor] | None = [] if needed <= kept_bytes else None

    def right_hand_side(self, y: Tensor) -> Tensor:
        """Return ``K^T W y``, in float64 ``(m, c)``."""
        return self._sum(lambda rows, _: y[rows].double())

    def normal(self, columns: Tensor) -> Tensor:
        """Return ``K^T W K columns``, in float64 ``(m, c)``."""
        return self._sum(lambda _, block: block @ columns)

    def _sum(self, right: Callable[[slice, Tensor], Tensor]) -> Tensor:
        total: Tensor | None = None
        for rows, block in self._each():
            wide = block.double()
            values = right(rows, wide)
            if self._weights is not None:
                values = values * self._weights[rows]
            part = wide.T @ values
            total = part if total is None else total.add_(part)
        assert total is not None  # there is at least one row
        return total

    def _each(self) -> Iterator[tuple[slice, Tensor]]:
        known = bool(self._kept)
        for number, rows in enumerate(_blocks(len(self._u))):
            if known and self._kept is not None:
                yield rows, self._kept[number]
                continue
            block = self._kernel.matrix(self._u[rows], self._centers)
            if self._kept is not None:
                self._kept.append(block)
            yield rows, block


def _conjugate_gradients(apply: Callable[[Tensor], Tensor], right: Tensor) -> tuple[Tensor, int, float]:
    """Solve for every column; return the solution, the steps and the largest relative residual."""
    solution = torch.zeros_like(right)
    residual, direction = right.clone(), right.clone()
    power = residual.square().sum(0)
    start = power.clone()
    done = 0
    for _ in range(STEPS):
        if bool((power <= TOLERANCE**2 * start).all()):
            break
        done += 1
        moved = apply(direction)
        curvature = (direction * moved).sum(0)
        length = torch.where(curvature > 0, power / curvature, 0.0)
        solution += length * direction
        residual -= length * moved
        before, power = power, residual.square().sum(0)
        direction = residual + torch.where(before > 0, power / before, 0.0) * direction
    worst = torch.where(start > 0, power / start, 0.0).max()
    return solution, done, float(worst.sqrt())


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))
