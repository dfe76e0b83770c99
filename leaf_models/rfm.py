"""Fitting a Recursive Feature Machine: solve, differentiate, update the metric, repeat.

The one entry for leaves of every family; those without a kernel are fitted in :mod:`linear`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from xrfm_cli.datasets.errors import InputError, NumericalError
from xrfm_cli.datasets.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.agop import (
    agop,
    agop_diagonal,
    apply_metric,
    metric_power,
    normalise_metric,
    unit_scale,
)
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, LeafConfig
from xrfm_cli.leaf_models.coordinates import prepare_centers
from xrfm_cli.leaf_models.kernels import Kernel, make_kernel
from xrfm_cli.leaf_models.leaf import LeafModel, RFMLeaf
from xrfm_cli.leaf_models.linear import iterate_linear
from xrfm_cli.leaf_models.nystrom import solve_nystrom
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.leaf_models.solver import solve_ridge

DISTANCE_ROWS = 300  # rows whose pairs give the median distance of an adaptive bandwidth
KERNEL_ROWS = 512  # rows a block of a kernel matrix
WORRYING_RESIDUAL = 1e-3  # of conjugate gradients: predictions may then differ visibly
GRADIENT_ROWS = 256  # rows a block when gradients are averaged, unless the byte budget is smaller
DEFAULT_MEMORY_BYTES = 4 << 30


class FitOptions(TypedDict, total=False):
    """What may be said of any fit besides its data and its hyperparameters."""

    weights: Tensor | None
    initial_metric: Tensor | None
    memory_bytes: int
    on_event: OnEvent


def iterate_leaf(
    x: Tensor,
    y: Tensor,
    config: LeafConfig,
    *,
    generator: torch.Generator,
    weights: Tensor | None = None,
    initial_metric: Tensor | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    on_event: OnEvent = ignore_event,
) -> Iterator[LeafModel]:
    """Fit a leaf; yield it after each solve, ``t = 0 .. config.iterations``.

    Args:
        x: inputs ``(n, d)``.
        y: targets ``(n, c)``.
        config: the hyperparameters.
        generator: draws the rows for the AGOP and for the adaptive bandwidth.
        weights: row weights ``(n,)``; a row of weight 2 counts like two copies, of weight 0 not at all.
        initial_metric: the metric to start from, ``(d,)`` or ``(d, d)``; the identity when absent.
        memory_bytes: bounds the blocks. A leaf whose kernel matrix does not fit is solved iteratively, with
            as many centers as do fit, and says so.
        on_event: hears of every jitter that had to be added, and of every solve that had to be iterative.

    The caller decides which of the yielded leaves is best, on rows that none of them has seen; not
    asking for the next one stops the work. The same generator state gives the same leaves.

    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> config = LeafConfig(bandwidth=1.0, ridge=1e-6, iterations=1)
    >>> leaves = list(iterate_leaf(x, x.square(), config, generator=torch.Generator().manual_seed(0)))
    >>> len(leaves), bool((leaves[-1].predict(x) - x.square()).abs().max() < 1e-2)
    (2, True)

    Radhakrishnan et al., Science 383 (2024), with the kernels of Beaglehole et al., arXiv 2508.10053.
    """
    if weights is not None:
        kept = weights > 0
        if not bool(kept.all()):
            x, y, weights = x[kept], y[kept], weights[kept]
    _check(x, y)
    metric = _starting_metric(x, config, initial_metric)
    if config.kernel in LINEAR_FAMILIES:
        _check_linear(x, memory_bytes)
        yield from iterate_linear(x, y, config, metric=metric, weights=weights, on_event=on_event)
        return
    scale_rows = _draw(len(x), DISTANCE_ROWS, generator)
    fewer = _fewer_centers(len(x), config, memory_bytes, on_event)
    centers = None if fewer is None else _draw(len(x), fewer, generator)
    for step in range(config.iterations + 1):
        transform = _transform(x, weights, config, metric, scale_rows, centers)
        if centers is None:
            leaf = _solve(x, y, weights, config, transform, on_event)
        else:
            leaf = _solve_fewer(x, y, weights, config, transform, centers, memory_bytes, on_event)
        yield leaf
        if step < config.iterations:
            metric = _updated_metric(leaf, x, weights, generator, memory_bytes)


def fit_leaf(
    x: Tensor, y: Tensor, config: LeafConfig, *, generator: torch.Generator, **options: Unpack[FitOptions]
) -> LeafModel:
    """The last leaf of :func:`iterate_leaf`, which explains the arguments."""
    *_, last = iterate_leaf(x, y, config, generator=generator, **options)
    return last


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Transform:
    """A metric at work: the rows in its coordinates, and the bandwidth there."""

    metric: Tensor
    u: Tensor  # (n, d) rows in the metric's coordinates, times the scale
    scale: float  # a power of two that keeps distances within float32
    bandwidth: float  # in the metric's coordinates, without the scale

    @property
    def kernel_bandwidth(self) -> float:
        """The bandwidth that fits ``u``."""
        return self.bandwidth * self.scale


def _transform(
    x: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    metric: Tensor,
    scale_rows: Tensor,
    centers: Tensor | None,
) -> _Transform:
    root = metric_power(metric, config.agop_power)
    kept = x if centers is None else x[centers]
    shift = kept.mean(0)  # as the leaf has it, which knows its centers alone
    u = apply_metric(x - shift, root)
    if not bool(torch.isfinite(u).all()):
        raise NumericalError("the inputs of a leaf are too far apart for float32. Scale the columns down.")
    scale = unit_scale(u if centers is None else u[centers])
    u.mul_(scale)
    bandwidth = config.bandwidth
    if config.bandwidth_mode == "adaptive":
        row_weights = None if weights is None else weights[scale_rows]
        bandwidth *= make_kernel(config, 1.0).typical_distance(u[scale_rows], row_weights) / scale
    return _Transform(metric=metric, u=u, scale=scale, bandwidth=bandwidth)


def _solve(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    transform: _Transform,
    on_event: OnEvent,
) -> RFMLeaf:
    """Solve directly, every row a center."""
    matrix = symmetric_kernel(make_kernel(config, transform.kernel_bandwidth), transform.u)
    solution = solve_ridge(matrix, y, config.ridge, weights)
    if solution.jitter:
        message = f"a kernel matrix of {len(x)} rows needed {solution.jitter:.1e} more on its diagonal"
        on_event(Event(kind="fallback", message=message, count=1))
    return RFMLeaf(
        config=config,
        centers=x,
        coefficients=solution.coefficients,
        metric=transform.metric,
        bandwidth=transform.bandwidth,
        jitter=solution.jitter,
    )


def _solve_fewer(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    transform: _Transform,
    centers: Tensor,
    memory_bytes: int,
    on_event: OnEvent,
) -> RFMLeaf:
    """Solve iteratively with the rows ``centers (m,)`` as centers."""
    solution = solve_nystrom(
        make_kernel(config, transform.kernel_bandwidth),
        transform.u,
        y,
        prepare_centers(transform.u[centers]),
        config.ridge,
        weights,
        memory_bytes=memory_bytes,
    )
    if solution.residual > WORRYING_RESIDUAL:
        message = (
            f"conjugate gradients over {len(x):,} rows and {len(centers):,} centers stopped after "
            f"{solution.steps} steps at a relative residual of {solution.residual:.0e}; "
            "a larger ridge converges sooner"
        )
        on_event(Event(kind="fallback", message=message, count=1))
    return RFMLeaf(
        config=config,
        centers=x[centers],
        coefficients=solution.coefficients,
        metric=transform.metric,
        bandwidth=transform.bandwidth,
        jitter=solution.jitter,
    )


def _fewer_centers(n: int, config: LeafConfig, memory_bytes: int, on_event: OnEvent) -> int | None:
    """How many rows are centers, or None for all of them: as pinned, or as many as the byte budget holds."""
    if config.max_centers is not None and config.max_centers < n:
        needed = nystrom_bytes(config.max_centers)
        if needed > memory_bytes:
            raise InputError(
                f"max_centers={config.max_centers} needs {needed / 2**30:.1f} GiB, but only "
                f"{memory_bytes / 2**30:.1f} GiB may be used. Choose fewer, or allow more: --memory."
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
    """What a direct solve holds at its largest: the kernel matrix, and blocks of it in float64."""
    return int(4 * rows**2 * 1.3)


def nystrom_bytes(centers: int) -> int:
    """What an iterative solve holds for its centers, in float64: two factors and what they are made from."""
    return 8 * 4 * centers**2


def symmetric_kernel(kernel: Kernel, a: Tensor) -> Tensor:
    """``k(a, a)`` with an exact unit diagonal: the upper triangle in blocks of rows, and its mirror image."""
    n = len(a)
    out = a.new_empty(n, n)
    centers = prepare_centers(a)
    for start in range(0, n, KERNEL_ROWS):
        stop = min(start + KERNEL_ROWS, n)
        out[start:stop, start:] = kernel.matrix(a[start:stop], centers.since(start))
        out[stop:, start:stop] = out[start:stop, stop:].T
    out.diagonal().fill_(1.0)
    return out


def _updated_metric(
    leaf: RFMLeaf, x: Tensor, weights: Tensor | None, generator: torch.Generator, memory_bytes: int
) -> Tensor:
    """The normalised AGOP of a leaf over rows drawn at random, accumulated in float64."""
    config = leaf.config
    drawn = _draw(len(x), config.agop_rows, generator)
    d, outputs = x.shape[1], leaf.coefficients.shape[1]
    bytes_a_row = 8 * (6 * len(leaf.centers) + 3 * outputs * d)
    step = max(8, min(GRADIENT_ROWS, memory_bytes // (4 * bytes_a_row)))
    average = agop_diagonal if config.metric_shape == "diagonal" else agop
    wide = wide_dtype(x.device)
    total = torch.zeros_like(leaf.metric, dtype=wide)
    means = torch.zeros(outputs, d, dtype=wide, device=x.device)
    mass = 0.0
    for start in range(0, len(drawn), step):
        rows = drawn[start : start + step]
        row_weights = None if weights is None else weights[rows]
        share = float(len(rows)) if row_weights is None else float(row_weights.sum())
        gradients = leaf.gradients(x[rows])
        total += share * average(gradients, row_weights)
        means += share * _mean(widened(gradients), row_weights)
        mass += share
    if config.agop_centred:
        total -= mass * average((means / mass)[None])
    return normalise_metric(total / mass, leaf.metric)


def _mean(gradients: Tensor, weights: Tensor | None) -> Tensor:  # (n, c, d) -> (c, d)
    if weights is None:
        return gradients.mean(0)
    return (gradients * (weights / weights.sum())[:, None, None]).sum(0)


def _starting_metric(x: Tensor, config: LeafConfig, initial: Tensor | None) -> Tensor:
    d = x.shape[1]
    if initial is not None:
        if config.metric_shape == "full":
            return initial if initial.ndim == 2 else torch.diag(initial)
        return initial if initial.ndim == 1 else initial.diagonal().clone()
    ones = torch.ones(d, dtype=x.dtype, device=x.device)
    return ones if config.metric_shape == "diagonal" else torch.diag(ones)


def _draw(n: int, count: int, generator: torch.Generator) -> Tensor:
    """Row numbers drawn without replacement, in increasing order; all of them if there are few."""
    if count >= n:
        return torch.arange(n)
    return torch.randperm(n, generator=generator)[:count].sort().values


def _check(x: Tensor, y: Tensor) -> None:
    if len(x) == 0:
        raise InputError("a leaf needs at least one row with a positive weight.")
    if not bool(torch.isfinite(x).all()) or not bool(torch.isfinite(y).all()):
        raise NumericalError("a leaf was given inputs or targets that are not finite.")


def _check_linear(x: Tensor, memory_bytes: int) -> None:
    """A linear leaf solves for its rows or for its columns, whichever are fewer, in float64."""
    needed = 2 * 8 * min(x.shape) ** 2
    if needed > memory_bytes:
        raise InputError(
            f"a linear leaf of {len(x):,} rows and {x.shape[1]:,} columns needs {needed / 2**30:.1f} GiB, "
            f"but only {memory_bytes / 2**30:.1f} GiB may be used. Allow more (--memory), or leave linear "
            "leaves out: --set kernel=norm."
        )
