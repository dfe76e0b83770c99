"""Fit several small leaves at once, for a device limited by kernel launches rather than arithmetic.

The steps are those of :mod:`rfm`, the reference for this module; each is a few operations on all leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models.agop import scale_of, spectral_power
from xrfm_cli.leaf_models.batched.kernels import BatchedKernel, typical_distances
from xrfm_cli.leaf_models.batched.padding import DrawnRows, LeafRows, PaddedRows
from xrfm_cli.leaf_models.batched.ridge import solve_ridges
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.rfm import check_rows, starting_feature_matrix
from xrfm_cli.leaf_models.steps import DISTANCE_ROWS, check_bandwidth, check_placed, tell_jitter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedBatch:
    """Rows of ``b`` leaves in the coordinates of their feature matrices, with the kernels there."""

    u: Tensor  # (b, n, d); zeros for padding rows
    roots: Tensor  # (b, d) or (b, d, d), powers of the feature matrices
    scales: Tensor  # (b,) powers of two that keep distances within float32
    bandwidths: tuple[float, ...]  # in the feature matrices' coordinates, without the scales
    kernel: BatchedKernel


def iterate_batch(
    leaves: Sequence[LeafRows],
    config: LeafConfig,
    *,
    initial_feature_matrix: Tensor | None = None,
    on_event: OnEvent = ignore_event,
) -> Iterator[tuple[RFMLeaf, ...]]:
    """Fit leaves with a kernel together; yield them after each solve, ``t = 0 .. config.iterations``.

    Up to rounding, these are the leaves that :func:`xrfm_cli.leaf_models.iterate_leaf` fits one by one with
    the same drawn rows. All rows of a leaf are its centers.

    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> leaves = [
    ...     LeafRows(x=x[:n], y=x[:n].square(), weights=None, generator=torch.Generator().manual_seed(0))
    ...     for n in (30, 50)
    ... ]
    >>> config = LeafConfig(bandwidth=1.0, ridge=1e-6, iterations=1)
    >>> *_, (small, large) = iterate_batch(leaves, config)
    >>> len(small.centers), bool((large.predict(x) - x.square()).abs().max() < 1e-2)
    (30, True)
    """
    for leaf in leaves:
        check_rows(leaf.x, leaf.y)
    batch = PaddedRows.of(leaves)
    matrices = torch.stack(
        [starting_feature_matrix(leaf.x, config, initial_feature_matrix) for leaf in leaves]
    )
    scale_rows = DrawnRows.draw(batch, leaves, DISTANCE_ROWS)
    for step in range(config.iterations + 1):
        placed = _place(batch, config, matrices, scale_rows)
        solution = solve_ridges(placed.kernel.matrices(placed.u), batch.y, config.ridge, batch.weights)
        for rows, jitter in zip(batch.counts, solution.jitters, strict=True):
            tell_jitter(rows, jitter, on_event)
        yield tuple(
            RFMLeaf(
                config=config,
                centers=leaf.x,
                coefficients=solution.coefficients[number, : len(leaf.x)].clone(),
                feature_matrix=matrices[number].clone(),
                bandwidth=placed.bandwidths[number],
                jitter=solution.jitters[number],
            )
            for number, leaf in enumerate(leaves)
        )
        if step < config.iterations:
            drawn = DrawnRows.draw(batch, leaves, config.agop_rows)
            matrices = _updated_feature_matrices(placed, solution.coefficients, drawn, matrices)


def _place(batch: PaddedRows, config: LeafConfig, matrices: Tensor, scale_rows: DrawnRows) -> PlacedBatch:
    """Do the same as :func:`steps.place_rows` for each leaf."""
    real = batch.are_real[:, :, None]
    diagonal = config.metric_shape == "diagonal"
    power = config.agop_power
    roots = matrices.clamp(min=0).pow(power) if diagonal else spectral_power(matrices, power)
    means = batch.x.sum(1) / real.sum(1)
    centred = (batch.x - means[:, None]).masked_fill_(~real, 0.0)
    u = centred * roots[:, None] if diagonal else (widened(centred) @ widened(roots)).to(centred)
    scales = [scale_of(largest) for largest in u.abs().amax((1, 2)).tolist()]
    u *= u.new_tensor(scales)[:, None, None]
    check_placed(u)
    bandwidths = [config.bandwidth] * len(scales)
    if config.bandwidth_mode == "adaptive":
        typical = typical_distances(config, scale_rows.of(u), scale_rows.weights)
        bandwidths = [config.bandwidth * (own / scale) for own, scale in zip(typical, scales, strict=True)]
        for own in bandwidths:
            check_bandwidth(own)
    in_kernel = tuple(own * scale for own, scale in zip(bandwidths, scales, strict=True))
    return PlacedBatch(
        u=u,
        roots=roots,
        scales=u.new_tensor(scales),
        bandwidths=tuple(bandwidths),
        kernel=BatchedKernel(config=config, bandwidths=in_kernel),
    )


def _updated_feature_matrices(
    placed: PlacedBatch, coefficients: Tensor, drawn: DrawnRows, previous: Tensor
) -> Tensor:
    """Return the normalised AGOPs of the leaves over the drawn rows, in float64 up to the last rounding."""
    config = placed.kernel.config
    sums = placed.kernel.gradient_sums(drawn.of(placed.u), placed.u, coefficients)
    sums *= placed.scales[:, None, None, None]
    diagonal = config.metric_shape == "diagonal"
    gradients = widened(sums * placed.roots[:, None, None] if diagonal else sums @ placed.roots[:, None])
    shares = (drawn.weights / drawn.weights.sum(1, keepdim=True))[:, :, None, None]
    totals = _products(gradients, gradients * shares, diagonal=diagonal)
    if config.agop_centred:
        means = (gradients * shares).sum(1, keepdim=True)
        totals -= _products(means, means, diagonal=diagonal)
    return _normalised(totals, previous)


def _products(left: Tensor, right: Tensor, *, diagonal: bool) -> Tensor:  # (b, s, c, d) -> (b, d) | (b, d, d)
    """Return sums of products of partial derivatives over rows and outputs."""
    if diagonal:
        return (left * right).sum((1, 2))
    return left.flatten(1, 2).mT @ right.flatten(1, 2)


def _normalised(matrices: Tensor, previous: Tensor) -> Tensor:
    """Do the same as :func:`agop.normalise_feature_matrix` for each leaf."""
    largest = matrices.abs().flatten(1).amax(1).view(-1, *[1] * (matrices.ndim - 1))
    kept = torch.isfinite(largest) & (largest > torch.finfo(matrices.dtype).tiny)
    return torch.where(kept, (matrices / largest).to(previous.dtype), previous)
