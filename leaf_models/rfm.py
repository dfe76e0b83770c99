"""Fitting a Recursive Feature Machine: solve, differentiate, update the metric, repeat."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from xrfm_cli.datasets.errors import InputError, NumericalError
from xrfm_cli.datasets.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.agop import agop, agop_diagonal, apply_metric, metric_power, normalise_metric
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.coordinates import prepare_centers
from xrfm_cli.leaf_models.kernels import Kernel, make_kernel
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.leaf_models.solver import solve_ridge

DISTANCE_ROWS = 300  # rows whose pairs give the median distance of an adaptive bandwidth
KERNEL_ROWS = 512  # rows a block of a kernel matrix
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
) -> Iterator[RFMLeaf]:
    """Fit a leaf; yield it after each solve, ``t = 0 .. config.iterations``.

    Args:
        x: inputs ``(n, d)``.
        y: targets ``(n, c)``.
        config: the hyperparameters.
        generator: draws the rows for the AGOP and for the adaptive bandwidth.
        weights: row weights ``(n,)``; a row of weight 2 counts like two copies, of weight 0 not at all.
        initial_metric: the metric to start from, ``(d,)`` or ``(d, d)``; the identity when absent.
        memory_bytes: bounds the blocks, and refuses a kernel matrix that cannot fit.
        on_event: hears of every jitter that had to be added.

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
    _check(x, y, memory_bytes)
    metric = _starting_metric(x, config, initial_metric)
    scale_rows = _draw(len(x), DISTANCE_ROWS, generator)
    matrix = x.new_empty(len(x), len(x))  # one for all steps: its pages are touched for the first time once
    for step in range(config.iterations + 1):
        leaf = _solve(x, y, weights, config, metric, scale_rows, matrix, on_event)
        yield leaf
        if step < config.iterations:
            metric = _updated_metric(leaf, x, weights, generator, memory_bytes)


def fit_leaf(
    x: Tensor, y: Tensor, config: LeafConfig, *, generator: torch.Generator, **options: Unpack[FitOptions]
) -> RFMLeaf:
    """The last leaf of :func:`iterate_leaf`, which explains the arguments."""
    *_, last = iterate_leaf(x, y, config, generator=generator, **options)
    return last


def _solve(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None,
    config: LeafConfig,
    metric: Tensor,
    scale_rows: Tensor,
    matrix: Tensor,
    on_event: OnEvent,
) -> RFMLeaf:
    """Solve under a metric; ``matrix (n, n)`` is room for the kernel matrix."""
    root = metric_power(metric, config.agop_power)
    shift = x.mean(0)
    bandwidth = config.bandwidth
    if config.bandwidth_mode == "adaptive":
        typical = make_kernel(config, 1.0).typical_distance(
            apply_metric(x[scale_rows] - shift, root), None if weights is None else weights[scale_rows]
        )
        bandwidth *= typical if math.isfinite(typical) and typical > 0 else 1.0
    a = apply_metric(x - shift, root)
    symmetric_kernel(make_kernel(config, bandwidth), a, out=matrix)
    solution = solve_ridge(matrix, y, config.ridge, weights)
    if solution.jitter:
        on_event(
            Event(
                kind="fallback",
                message=f"a kernel matrix of {len(x)} rows needed {solution.jitter:.1e} more on its diagonal",
                count=1,
            )
        )
    return RFMLeaf(
        config=config,
        centers=x,
        coefficients=solution.coefficients,
        metric=metric,
        bandwidth=bandwidth,
        jitter=solution.jitter,
    )


def symmetric_kernel(kernel: Kernel, a: Tensor, *, out: Tensor) -> Tensor:
    """``k(a, a)`` with an exact unit diagonal: the upper triangle in blocks of rows, and its mirror image."""
    n = len(a)
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
    total = torch.zeros_like(leaf.metric, dtype=wide_dtype(x.device))
    mass = 0.0
    for start in range(0, len(drawn), step):
        rows = drawn[start : start + step]
        row_weights = None if weights is None else weights[rows]
        share = float(len(rows)) if row_weights is None else float(row_weights.sum())
        total += share * widened(average(leaf.gradients(x[rows]), row_weights))
        mass += share
    return normalise_metric((total / mass).to(x.dtype), leaf.metric)


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


def _check(x: Tensor, y: Tensor, memory_bytes: int) -> None:
    if len(x) == 0:
        raise InputError("a leaf needs at least one row with a positive weight.")
    needed = 2 * len(x) ** 2 * x.element_size()
    if needed > memory_bytes:
        raise InputError(
            f"a leaf of {len(x)} rows needs {needed / 2**30:.1f} GiB for its kernel matrix, but only "
            f"{memory_bytes / 2**30:.1f} GiB may be used. Choose smaller leaves: --set leaf_size="
            f"{int((memory_bytes / 2 / x.element_size()) ** 0.5)}."
        )
    if not bool(torch.isfinite(x).all()) or not bool(torch.isfinite(y).all()):
        raise NumericalError("a leaf was given inputs or targets that are not finite.")
