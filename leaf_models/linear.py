"""Fit linear leaves: ridge regression under a feature matrix learned from its own coefficients.

The gradient of a linear function is the same everywhere, so its average gradient outer product is that of
its coefficients, and the Recursive Feature Machine becomes iteratively reweighted least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.agop import (
    agop,
    agop_diagonal,
    apply_feature_matrix,
    feature_matrix_power,
    normalise_feature_matrix,
)
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.kernels.quantiles import quantile
from xrfm_cli.leaf_models.leaf import LinearLeaf
from xrfm_cli.leaf_models.precision import has_float64
from xrfm_cli.leaf_models.solvers.ridge import Solution, solve_ridge

ROWS = 1_024  # rows per block held in float64

Solver = Callable[[Tensor, float], Solution]  # a feature matrix's root and a ridge -> coefficients (d, c)


def iterate_linear(
    x: Tensor,
    y: Tensor,
    config: LeafConfig,
    *,
    feature_matrix: Tensor,
    weights: Tensor | None = None,
    on_event: OnEvent = ignore_event,
) -> Iterator[LinearLeaf]:
    """Fit a linear or a constant leaf; yield it after each solve, ``t = 0 .. config.iterations``.

    Each step minimises ``sum_i w_i |y_i - f(x_i)|^2 + ridge |beta|^2`` over ``f(x) = b + x M^a beta``; the
    intercept ``b`` is not penalised. That is ``(K + ridge diag(1/w)) alpha = Y`` for the kernel ``u . v`` of
    centred rows, as for the other leaves. But its diagonal is the squared length of a row, about the number
    of standardised columns, instead of 1. A ridge has less effect the more rows there are.

    Then ``M`` becomes ``B B^T / max|B B^T|`` with ``B = M^a beta``, or the diagonal of that. At ``a = 1/2``
    the penalty of a coefficient is proportional to the square of its ratio to the one before. A diagonal
    feature matrix drives small coefficients to zero, and recovers a sparse function from fewer rows than
    columns. A full one drives small directions among several outputs to zero, and leaves coefficients of low
    rank (with one output there is only one direction). A constant leaf predicts the (weighted) mean, or
    the quantile of the quantile loss, and keeps its feature matrix.

    ``x (n, d)``, ``y (n, c)``, ``weights (n,)`` above 0, initial ``feature_matrix (d,)`` or ``(d, d)``;
    everything is solved in float64.

    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> config = LeafConfig(kernel="linear", ridge=1e-6, iterations=0)
    >>> [leaf] = iterate_linear(x, 3 * x + 1, config, feature_matrix=torch.ones(1))
    >>> leaf.coefficients, leaf.intercept, leaf.mean
    (tensor([[3.0000]]), tensor([4.]), tensor([1.]))

    Radhakrishnan, Belkin, Drusvyatskiy, Linear Recursive Feature Machines provably recover low-rank
    matrices, arXiv 2401.04553 (2024).
    """
    if not has_float64(x.device):
        mass = None if weights is None else weights.cpu()
        near = iterate_linear(
            x.cpu(), y.cpu(), config, feature_matrix=feature_matrix.cpu(), weights=mass, on_event=on_event
        )
        yield from (leaf.to(x.device) for leaf in near)
        return
    rows = _centred(x, y, weights)
    if config.loss == "quantile":
        level = quantile(y[:, 0].double(), config.quantile, weights)
        rows = replace(rows, intercept=torch.full_like(rows.intercept, level))
    solve = _constant(rows) if config.kernel == "constant" else _solver(rows)
    average = agop_diagonal if config.metric_shape == "diagonal" else agop
    for _ in range(config.iterations + 1):
        solution = solve(feature_matrix_power(feature_matrix.double(), config.agop_power), config.ridge)
        if solution.jitter:
            message = (
                f"a linear leaf of {len(x)} rows needed a jitter of {solution.jitter:.1e} on its diagonal"
            )
            on_event(Event(kind="fallback", message=message, count=1))
        yield LinearLeaf(
            config=config,
            coefficients=solution.coefficients.to(x.dtype),
            intercept=rows.intercept.to(x.dtype),
            mean=rows.mean.to(x.dtype),
            deviations=rows.deviations.to(x.dtype),
            feature_matrix=feature_matrix,
            n_rows=len(x),
            jitter=solution.jitter,
        )
        feature_matrix = normalise_feature_matrix(average(solution.coefficients.T[None]), feature_matrix)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Centred:
    """Rows and targets minus their weighted means, each times the root of its weight, in float64."""

    x: Tensor  # (n, d) as given: centred block by block
    roots: Tensor  # (n, 1) square roots of the weights
    mean: Tensor  # (d,)
    deviations: Tensor  # (d,)
    intercept: Tensor  # (c,)
    targets: Tensor  # (n, c)

    def block(self, rows: slice) -> Tensor:  # -> (b, d)
        """Return some of the rows."""
        return (self.x[rows].double() - self.mean) * self.roots[rows]

    def blocks(self) -> Iterator[slice]:
        """Yield slices that cover the rows."""
        for start in range(0, len(self.x), ROWS):
            yield slice(start, min(start + ROWS, len(self.x)))


def _centred(x: Tensor, y: Tensor, weights: Tensor | None) -> _Centred:
    ones = torch.ones(len(x), dtype=torch.float64, device=x.device)
    mass = ones if weights is None else weights.double()
    parts = [slice(start, start + ROWS) for start in range(0, len(x), ROWS)]
    mean = torch.stack([mass[rows] @ x[rows].double() for rows in parts]).sum(0) / mass.sum()
    squares = [mass[rows] @ (x[rows].double() - mean).square() for rows in parts]
    intercept = (mass @ y.double()) / mass.sum()
    roots = mass.sqrt()[:, None]
    return _Centred(
        x=x,
        roots=roots,
        mean=mean,
        deviations=(torch.stack(squares).sum(0) / mass.sum()).sqrt(),
        intercept=intercept,
        targets=(y.double() - intercept) * roots,
    )


def _solver(rows: _Centred) -> Solver:
    """Solve in columns or in rows, whichever are fewer: both give the same coefficients."""
    return _by_columns(rows) if rows.x.shape[1] <= len(rows.x) else _by_rows(rows)


def _by_columns(rows: _Centred) -> Solver:
    """``beta = (U^T U + ridge I)^{-1} U^T Y`` for ``U = X M^a``; products of columns are computed once."""
    d, c = rows.x.shape[1], rows.targets.shape[1]
    products, right = rows.mean.new_zeros(d, d), rows.mean.new_zeros(d, c)
    for part in rows.blocks():
        block = rows.block(part)
        products.addmm_(block.T, block)
        right.addmm_(block.T, rows.targets[part])

    def solve(root: Tensor, ridge: float) -> Solution:
        moved = apply_feature_matrix(apply_feature_matrix(products, root).T, root)
        return _in_coordinates(solve_ridge(moved.contiguous(), _applied(root, right), ridge), root)

    return solve


def _by_rows(rows: _Centred) -> Solver:
    """``beta = U^T (U U^T + ridge I)^{-1} Y`` for ``U = X M^a``."""

    def solve(root: Tensor, ridge: float) -> Solution:
        n, d = rows.x.shape
        kernel = rows.mean.new_empty(n, n)
        for first in rows.blocks():
            u = apply_feature_matrix(rows.block(first), root)
            for second in rows.blocks():
                kernel[first, second] = u @ apply_feature_matrix(rows.block(second), root).T
        found = solve_ridge(kernel, rows.targets, ridge)
        beta = rows.mean.new_zeros(d, rows.targets.shape[1])
        for part in rows.blocks():
            beta.addmm_(apply_feature_matrix(rows.block(part), root).T, found.coefficients[part])
        return _in_coordinates(Solution(coefficients=beta, jitter=found.jitter), root)

    return solve


def _constant(rows: _Centred) -> Solver:
    """Return a solver that always gives zero slopes."""
    zeros = rows.mean.new_zeros(len(rows.mean), rows.targets.shape[1])
    return lambda root, ridge: Solution(coefficients=zeros, jitter=0.0)


def _in_coordinates(solution: Solution, root: Tensor) -> Solution:
    """Transform coefficients from the feature matrix's coordinates to those of the inputs."""
    return Solution(coefficients=_applied(root, solution.coefficients), jitter=solution.jitter)


def _applied(root: Tensor, columns: Tensor) -> Tensor:  # (d,) | (d, d), (d, c) -> (d, c)
    return root[:, None] * columns if root.ndim == 1 else root @ columns
