"""One step of a Recursive Feature Machine: a kernel matrix under a feature matrix, and its solution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.errors import InputError, NumericalError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.kernels.coordinates import prepare_centers
from xrfm_cli.leaf_models.kernels.families import Kernel, make_kernel
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.row_blocks import expand
from xrfm_cli.leaf_models.solvers.iterative import IterativeSolver
from xrfm_cli.leaf_models.solvers.log_link import solve_log_link
from xrfm_cli.leaf_models.solvers.logistic import solve_logistic
from xrfm_cli.leaf_models.solvers.nystrom import NystromSolution, solve_nystrom
from xrfm_cli.leaf_models.solvers.quantile import solve_quantile
from xrfm_cli.leaf_models.solvers.reweighted import LossSolution, Ridged, Solve, of_least_squares
from xrfm_cli.leaf_models.solvers.ridge import Solution, restore_lower_, solve_ridge
from xrfm_cli.leaf_models.transform import Transform
from xrfm_cli.mentions import option

DISTANCE_ROWS = 300  # rows whose pairs give the median distance of an adaptive bandwidth
KERNEL_ROWS = 512  # rows per block of a kernel matrix
WORRYING_RESIDUAL = 1e-3  # of conjugate gradients: above it predictions may differ visibly


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedRows:
    """Rows in the coordinates of a feature matrix, and the bandwidth there."""

    feature_matrix: Tensor
    transform: Transform
    u: Tensor  # (n, d) the transformed rows
    bandwidth: float  # in the feature matrix's coordinates, without the scale

    @property
    def kernel_bandwidth(self) -> float:
        """Return the bandwidth that fits ``u``."""
        return self.bandwidth * self.transform.scale


def draw_rows(n: int, count: int, generator: torch.Generator) -> Tensor:
    """Draw row numbers without replacement, in increasing order; all rows if there are few."""
    if count >= n:
        return torch.arange(n)
    return torch.randperm(n, generator=generator)[:count].sort().values


def place_rows(
    x: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    feature_matrix: Tensor,
    scale_rows: Tensor,
    centers: Tensor | None,
) -> PlacedRows:
    """Transform rows ``x (n, d)`` to a feature matrix's coordinates; ``centers (m,)`` are row numbers."""
    transform, kept = Transform.place(x if centers is None else x[centers], feature_matrix, config.agop_power)
    u = kept if centers is None else transform(x)
    check_placed(u)
    bandwidth = config.bandwidth
    if config.bandwidth_mode == "adaptive":
        row_weights = None if weights is None else weights[scale_rows]
        typical = make_kernel(config, 1.0).typical_distance(u[scale_rows], row_weights)
        bandwidth *= typical / transform.scale
        check_bandwidth(bandwidth)
    return PlacedRows(feature_matrix=feature_matrix, transform=transform, u=u, bandwidth=bandwidth)


def check_placed(u: Tensor) -> None:
    """Refuse rows that overflowed in the transformation."""
    if not bool(torch.isfinite(u).all()):
        raise NumericalError("the inputs of a leaf are too far apart for float32. Scale the columns down.")


def check_bandwidth(bandwidth: float) -> None:
    """Refuse an adaptive bandwidth that overflowed, as ``sum ** (1 / p)`` does for a tiny ``p``."""
    if not math.isfinite(bandwidth):
        raise NumericalError("the distances between rows overflow. Raise kernel_p or scale the columns.")


def solve_directly(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    placed: PlacedRows,
    on_event: OnEvent,
) -> tuple[RFMLeaf, Tensor]:
    """Solve directly, every row a center; return the leaf and the least-squares coefficients ``(n, c)``."""
    matrix = symmetric_kernel(make_kernel(config, placed.kernel_bandwidth), placed.u)
    solution = solve_by_loss(matrix, y, weights, config, config.ridge)
    tell_jitter(len(x), solution.jitter, on_event)
    leaf = RFMLeaf(
        config=config,
        centers=x,
        coefficients=solution.coefficients,
        feature_matrix=placed.feature_matrix,
        bandwidth=placed.bandwidth,
        jitter=solution.jitter,
        intercept=solution.intercept,
    )
    return leaf, solution.least_squares


def solve_by_loss(
    kernel: Tensor,
    y: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    ridge: float,
    *,
    polish: bool = True,
) -> LossSolution:
    """Solve for any loss; least squares have no intercept. The kernel matrix is overwritten."""
    solver = _Solver(kernel, ridge, polish=polish)
    if config.loss == "squared":
        found = solver.solve(y, weights)
        return of_least_squares(found.coefficients, found.jitter)

    def solve(z: Tensor, w: Tensor) -> Ridged:
        found = solver.solve(z, w)
        alpha = widened(found.coefficients)
        # The values follow from the equations; a product with the matrix would take as long as a step.
        values = widened(z) - (ridge / widened(w)[:, None] + found.jitter) * alpha
        return Ridged(coefficients=alpha, values=values, at_centers=values, jitter=found.jitter)

    solution = _solve_reweighted(solve, y, weights, config, ridge)
    return replace(
        solution,
        coefficients=solution.coefficients.to(y.dtype),
        least_squares=solution.least_squares.to(y.dtype),
    )


class _Solver:
    """Solves for one kernel matrix, which it may overwrite: iteratively if it is large, or directly."""

    def __init__(self, kernel: Tensor, ridge: float, *, polish: bool) -> None:
        self._kernel, self._ridge, self._polish = kernel, ridge, polish
        self._diagonal = kernel.diagonal().clone()
        self._iterative = IterativeSolver(kernel) if IterativeSolver.suits(kernel, ridge) else None
        self._is_factorised = False

    def solve(self, y: Tensor, weights: Tensor | None) -> Solution:
        if self._iterative is not None:
            coefficients = self._iterative.solve(y, self._ridge, weights)
            if coefficients is not None:
                return Solution(coefficients=coefficients, jitter=0.0)
            self._iterative = None  # other weights would converge as slowly
        if self._is_factorised:
            restore_lower_(self._kernel)
            self._kernel.diagonal().copy_(self._diagonal)
        self._is_factorised = True
        return solve_ridge(self._kernel, y, self._ridge, weights, polish=self._polish)


def _solve_reweighted(
    solve: Solve, y: Tensor, weights: Tensor | None, config: LeafConfig, ridge: float
) -> LossSolution:
    """Solve for a loss that takes several solves, each with its own row weights."""
    if config.loss == "logistic":
        return solve_logistic(solve, y, ridge, weights)
    if config.loss in ("poisson", "gamma"):
        return solve_log_link(solve, y, ridge, weights, family=config.loss)
    level = config.quantile if config.loss == "quantile" else 0.5
    return solve_quantile(solve, y, ridge, weights, level=level)


def tell_jitter(rows: int, jitter: float, on_event: OnEvent) -> None:
    """Report what was added to the diagonal of a kernel matrix, if anything."""
    if jitter:
        message = f"a kernel matrix of {rows} rows needed a jitter of {jitter:.1e} on its diagonal"
        on_event(Event(kind="fallback", message=message, count=1))


def solve_with_centers(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    placed: PlacedRows,
    centers: Tensor,
    memory_bytes: int,
    on_event: OnEvent,
) -> tuple[RFMLeaf, Tensor]:
    """Do the same as :func:`solve_directly`, but iteratively with the rows ``centers (m,)`` as centers."""
    kernel, few = make_kernel(config, placed.kernel_bandwidth), prepare_centers(placed.u[centers])

    def solve(z: Tensor, w: Tensor | None) -> NystromSolution:
        found = solve_nystrom(kernel, placed.u, z, few, config.ridge, w, memory_bytes=memory_bytes)
        if found.residual > WORRYING_RESIDUAL:
            message = (
                f"conjugate gradients over {len(x):,} rows and {len(centers):,} centers stopped after "
                f"{found.steps} steps at a relative residual of {found.residual:.0e}; "
                "a larger ridge converges sooner"
            )
            on_event(Event(kind="fallback", message=message, count=1))
        return found

    def solve_at_rows(z: Tensor, w: Tensor) -> Ridged:
        found = solve(z, w)
        columns = found.coefficients.T.contiguous()
        blocks = (kernel.matrix(rows, few) for rows in placed.u.split(KERNEL_ROWS))
        values = torch.cat([expand(block, columns) for block in blocks])
        return Ridged(
            coefficients=found.coefficients, values=values, at_centers=values[centers], jitter=found.jitter
        )

    if config.loss == "squared":
        found = solve(y, weights)
        solution = of_least_squares(found.coefficients, found.jitter)
    else:
        solution = _solve_reweighted(solve_at_rows, y, weights, config, config.ridge)
    tell_jitter(len(centers), solution.jitter, on_event)
    leaf = RFMLeaf(
        config=config,
        centers=x[centers],
        coefficients=solution.coefficients,
        feature_matrix=placed.feature_matrix,
        bandwidth=placed.bandwidth,
        jitter=solution.jitter,
        intercept=solution.intercept,
    )
    return leaf, solution.least_squares


def fewer_centers(n: int, config: LeafConfig, memory_bytes: int, on_event: OnEvent) -> int | None:
    """Return the number of centers, pinned or as many as the byte budget holds; None for all rows."""
    if config.max_centers is not None and config.max_centers < n:
        needed = nystrom_bytes(config.max_centers)
        if needed > memory_bytes:
            raise InputError(
                f"max_centers={config.max_centers} needs {needed / 2**30:.1f} GiB, but only "
                f"{memory_bytes / 2**30:.1f} GiB may be used. Choose fewer, or allow more: "
                f"{option('memory')}."
            )
        return config.max_centers
    if direct_bytes(n) <= memory_bytes:
        return None
    fitting = max(1, int((memory_bytes / nystrom_bytes(1)) ** 0.5))
    message = (
        f"a leaf of {n:,} rows needs {direct_bytes(n) / 2**30:.1f} GiB for a direct solve, but only "
        f"{memory_bytes / 2**30:.1f} GiB may be used: {fitting:,} of its rows are centers instead"
    )
    on_event(Event(kind="fallback", message=message, count=1))
    return fitting


def direct_bytes(rows: int) -> int:
    """Return the peak memory of a direct solve: the kernel matrix, and blocks of it in float64."""
    return int(4 * rows**2 * 1.3)


def nystrom_bytes(centers: int) -> int:
    """Return the memory of an iterative solve for its centers: two float64 factors and their inputs."""
    return 8 * 4 * centers**2


def symmetric_kernel(kernel: Kernel, a: Tensor) -> Tensor:
    """Compute ``k(a, a)`` with an exact unit diagonal: the upper triangle by row blocks, then mirrored."""
    n = len(a)
    out = a.new_empty(n, n)
    centers = prepare_centers(a)
    for start in range(0, n, KERNEL_ROWS):
        stop = min(start + KERNEL_ROWS, n)
        out[start:stop, start:] = kernel.matrix(a[start:stop], centers.since(start))
        out[stop:, start:stop] = out[start:stop, stop:].T
    out.diagonal().fill_(1.0)
    return out
