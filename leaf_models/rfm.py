"""Fit a Recursive Feature Machine: solve, differentiate, update the feature matrix, repeat.

The entry point for leaves of every family; those without a kernel are fitted in :mod:`linear`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from xrfm_cli.errors import InputError, NumericalError
from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models.agop import agop, agop_diagonal, normalise_feature_matrix
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES, ORDER_LOSSES, LeafConfig
from xrfm_cli.leaf_models.fact import fact, fact_diagonal, symmetrised
from xrfm_cli.leaf_models.landmarks import with_landmarks
from xrfm_cli.leaf_models.leaf import LeafModel, RFMLeaf
from xrfm_cli.leaf_models.linear import iterate_linear
from xrfm_cli.leaf_models.mixing import output_mixture
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.leaf_models.steps import (
    DISTANCE_ROWS,
    direct_bytes,
    draw_rows,
    fewer_centers,
    place_rows,
    solve_directly,
    solve_with_centers,
)
from xrfm_cli.mentions import option

ROUNDING = 1e-4  # tolerance for means of equal classes
GRADIENT_ROWS = 256  # rows per block when gradients are averaged, unless the byte budget is smaller
GRADIENT_PAIRS = 1 << 20  # row-center pairs per block, small enough for the CPU caches
DEFAULT_MEMORY_BYTES = 4 << 30
GPU_MEMORY_SHARE = 0.5  # of a CUDA device's memory; the rest is for rows, predictions and other programs


class FitOptions(TypedDict, total=False):
    """Optional arguments of any fit."""

    weights: Tensor | None
    initial_feature_matrix: Tensor | None
    memory_bytes: int
    on_event: OnEvent


def iterate_leaf(
    x: Tensor,
    y: Tensor,
    config: LeafConfig,
    *,
    generator: torch.Generator,
    weights: Tensor | None = None,
    initial_feature_matrix: Tensor | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    on_event: OnEvent = ignore_event,
) -> Iterator[LeafModel]:
    """Fit a leaf; yield it after each solve, ``t = 0 .. config.iterations``.

    Args:
        x: inputs ``(n, d)``.
        y: targets ``(n, c)``; for the logistic loss classes ``(n, 1)``, -1 or 1; for Poisson and gamma shares
            of a mean ``(n, 1)``.
        config: the hyperparameters.
        generator: draws the rows for the AGOP and for the adaptive bandwidth.
        weights: row weights ``(n,)``; a row of weight 2 counts like two copies, of weight 0 not at all.
        initial_feature_matrix: the feature matrix to start from, ``(d,)`` or ``(d, d)``; default: identity.
        memory_bytes: bounds the blocks. A leaf whose kernel matrix does not fit is solved iteratively, with
            as many centers as fit, and emits an event.
        on_event: receives every jitter added and every switch to an iterative solve.

    The caller decides which of the yielded leaves is best, on rows that none of them has seen; stopping the
    iteration stops the work. The same generator state gives the same leaves.

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
    check_rows(x, y)
    feature_matrix = starting_feature_matrix(x, config, initial_feature_matrix)
    if config.kernel in LINEAR_FAMILIES:
        _check_linear(x, memory_bytes)
        yield from iterate_linear(
            x, y, config, feature_matrix=feature_matrix, weights=weights, on_event=on_event
        )
        return
    if config.loss == "logistic" and (y.shape[1] != 1 or bool((y.abs() > 1 + ROUNDING).any())):
        raise InputError("a leaf of log odds needs one column of targets between -1 and 1.")
    if config.loss in ("poisson", "gamma") and (y.shape[1] != 1 or bool((y < -ROUNDING).any())):
        raise InputError("a leaf of log means needs one column of targets of at least 0.")
    if config.loss in ORDER_LOSSES and y.shape[1] != 1:
        raise InputError("a leaf of quantiles needs one column of targets.")
    scale_rows = draw_rows(len(x), DISTANCE_ROWS, generator)
    fewer = fewer_centers(len(x), config, memory_bytes, on_event)
    chosen = None if fewer is None else draw_rows(len(x), fewer, generator)
    # Landmarks need the predictions of a leaf whose rows are all centers.
    distils = config.center_choice == "landmarks" and direct_bytes(len(x)) <= memory_bytes
    centers, landmarks = (None, chosen) if distils else (chosen, None)
    for step in range(config.iterations + 1):
        placed = place_rows(x, weights, config, feature_matrix, scale_rows, centers)
        if centers is None:
            leaf, least_squares = solve_directly(x, y, weights, config, placed, on_event)
        else:
            leaf, least_squares = solve_with_centers(
                x, y, weights, config, placed, centers, memory_bytes, on_event
            )
        if landmarks is None:
            yield leaf
        else:
            yield with_landmarks(leaf, landmarks, weights, memory_bytes=memory_bytes)
        if step < config.iterations:
            # For nearly separable classes, gradients of log odds are steep and less informative than those of
            # least squares.
            learner = replace(leaf, coefficients=least_squares)
            feature_matrix = _updated_feature_matrix(learner, x, weights, generator, memory_bytes)


def fit_leaf(
    x: Tensor, y: Tensor, config: LeafConfig, *, generator: torch.Generator, **options: Unpack[FitOptions]
) -> LeafModel:
    """Return the last leaf of :func:`iterate_leaf`, which documents the arguments."""
    *_, last = iterate_leaf(x, y, config, generator=generator, **options)
    return last


def default_memory_bytes(device: str) -> int:
    """Return the byte budget of fits on a device without a setting.

    >>> default_memory_bytes("cpu") >> 30
    4
    """
    if not device.startswith("cuda"):
        return DEFAULT_MEMORY_BYTES
    return int(GPU_MEMORY_SHARE * torch.cuda.get_device_properties(device).total_memory)


def _updated_feature_matrix(
    leaf: RFMLeaf, x: Tensor, weights: Tensor | None, generator: torch.Generator, memory_bytes: int
) -> Tensor:
    """Return the normalised AGOP of a leaf over rows drawn at random, accumulated in float64."""
    config = leaf.config
    if config.feature_matrix == "fact":
        return _fact_matrix(leaf, generator, memory_bytes)
    drawn = draw_rows(len(x), config.agop_rows, generator)
    mixture = output_mixture(leaf.coefficients.shape[1], like=leaf.coefficients, generator=generator)
    if mixture is not None:
        leaf = leaf.mixed(mixture)
    d, outputs = x.shape[1], leaf.coefficients.shape[1]
    step = _gradient_rows(leaf, memory_bytes)
    average = agop_diagonal if config.metric_shape == "diagonal" else agop
    wide = wide_dtype(x.device)
    total = torch.zeros_like(leaf.feature_matrix, dtype=wide)
    means = torch.zeros(outputs, d, dtype=wide, device=x.device)
    mass = 0.0
    blocks = drawn.split(step)
    for rows, gradients in zip(blocks, leaf.gradient_blocks(x[rows] for rows in blocks), strict=True):
        row_weights = None if weights is None else weights[rows]
        share = float(len(rows)) if row_weights is None else float(row_weights.sum())
        total += share * average(gradients, row_weights)
        if config.agop_centred:
            means += share * _mean(widened(gradients), row_weights)
        mass += share
    if config.agop_centred:
        total -= mass * average((means / mass)[None])
    return normalise_feature_matrix(total / mass, leaf.feature_matrix)


def _fact_matrix(leaf: RFMLeaf, generator: torch.Generator, memory_bytes: int) -> Tensor:
    """Return the normalised matrix of first-order optimality over centers drawn at random.

    Rows are centred. This changes nothing in a sum over all centers, where the means cancel, and removes
    noise from a sum over some.
    """
    x, config = leaf.centers, leaf.config
    drawn = draw_rows(len(x), config.agop_rows, generator)
    mixture = output_mixture(leaf.coefficients.shape[1], like=leaf.coefficients, generator=generator)
    if mixture is not None:
        leaf = leaf.mixed(mixture)
    centred = widened(x) - widened(x).mean(0)
    add = fact_diagonal if config.metric_shape == "diagonal" else fact
    total = torch.zeros_like(leaf.feature_matrix, dtype=wide_dtype(x.device))
    blocks = drawn.split(_gradient_rows(leaf, memory_bytes))
    for rows, gradients in zip(blocks, leaf.gradient_blocks(x[rows] for rows in blocks), strict=True):
        total += add(gradients, leaf.coefficients[rows], centred[rows])
    return normalise_feature_matrix(symmetrised(total / len(drawn)), leaf.feature_matrix)


def _gradient_rows(leaf: RFMLeaf, memory_bytes: int) -> int:
    """Return the number of rows in a block of gradients."""
    outputs, d = leaf.coefficients.shape[1], leaf.centers.shape[1]
    bytes_per_row = 8 * (6 * len(leaf.centers) + 3 * outputs * d)
    near = max(64, GRADIENT_PAIRS // len(leaf.centers))
    return max(8, min(GRADIENT_ROWS, near, memory_bytes // (4 * bytes_per_row)))


def _mean(gradients: Tensor, weights: Tensor | None) -> Tensor:  # (n, c, d) -> (c, d)
    if weights is None:
        return gradients.mean(0)
    return (gradients * (weights / weights.sum())[:, None, None]).sum(0)


def starting_feature_matrix(x: Tensor, config: LeafConfig, initial: Tensor | None) -> Tensor:
    """Return the feature matrix of the first solve, ``(d,)`` or ``(d, d)``: the given one or the identity."""
    d = x.shape[1]
    if initial is not None:
        if config.metric_shape == "full":
            return initial if initial.ndim == 2 else torch.diag(initial)
        return initial if initial.ndim == 1 else initial.diagonal().clone()
    ones = torch.ones(d, dtype=x.dtype, device=x.device)
    return ones if config.metric_shape == "diagonal" else torch.diag(ones)


def check_rows(x: Tensor, y: Tensor) -> None:
    """Refuse rows ``x (n, d)`` and targets ``y (n, c)`` that no leaf can be fitted on."""
    if len(x) == 0:
        raise InputError("a leaf needs at least one row with a positive weight.")
    if not bool(torch.isfinite(x).all()) or not bool(torch.isfinite(y).all()):
        raise NumericalError("a leaf was given inputs or targets that are not finite.")


def _check_linear(x: Tensor, memory_bytes: int) -> None:
    """Refuse a float64 system, of the smaller of rows and columns, that exceeds the byte budget."""
    needed = 2 * 8 * min(x.shape) ** 2
    if needed > memory_bytes:
        raise InputError(
            f"a linear leaf of {len(x):,} rows and {x.shape[1]:,} columns needs {needed / 2**30:.1f} GiB, "
            f"but only {memory_bytes / 2**30:.1f} GiB may be used. Allow more ({option('memory')}), or "
            f"leave linear leaves out: {option('set', {'kernel': 'norm'})}."
        )
