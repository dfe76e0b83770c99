"""Follow one leaf along straight paths: its values at points, and the coordinates' parts of its change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.leaf_models import LeafModel
from xrfm_cli.leaf_models.compiled.paths import follow
from xrfm_cli.leaf_models.kernels.coordinates import has_loops
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.trees.mean_gradients import segment_change

PARALLEL = 1e-4  # a path that moves less than this share of its steps along a coordinate is parallel to it


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Straight paths with points on them, in float64."""

    start: Tensor  # (b, d)
    way: Tensor  # (b, d)
    positions: Tensor  # (b, points) increasing from 0 to 1
    held: Tensor  # (b, points - 1) weights of the segments between the points
    rates: Tensor  # (b, c) weights of the outputs

    def points(self, rows: Tensor, numbers: Tensor) -> Tensor:  # (k,), (k,) -> (k, d)
        """Return the chosen points of the chosen paths."""
        return self.start[rows] + self.positions[rows, numbers, None] * self.way[rows]


def follow_leaf(leaf: LeafModel, paths: Paths) -> tuple[Tensor, Tensor]:  # -> (b, d), (b, points)
    """Return the parts of the coordinates in the weighted change of a leaf, and its values, in float64.

    Outputs are mixed by the rates. The parts of a path add up to the changes over its segments times their
    weights. Values are known only at the ends of segments that have a weight.
    """
    tensors = (leaf.centers, leaf.coefficients)
    if isinstance(leaf, RFMLeaf) and has_loops(*tensors):
        return _follow_kernels(leaf, paths)
    return _follow_segments(leaf, paths)


def follow_twice(leaf: LeafModel, paths: Paths) -> tuple[Tensor, Tensor]:  # -> (b, d), (b, d)
    """Return the parts over pairs of segments, and over single segments. All segments weigh 1."""
    if isinstance(leaf, RFMLeaf) and has_loops(leaf.centers, leaf.coefficients):
        coarse = torch.empty_like(paths.start)
        fine, _ = _follow_kernels(leaf, paths, coarse)
        return coarse, fine
    every_second = replace(paths, positions=paths.positions[:, ::2], held=paths.held[:, 1::2])
    return _follow_segments(leaf, every_second)[0], _follow_segments(leaf, paths)[0]


def _follow_kernels(leaf: RFMLeaf, paths: Paths, coarse: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Follow a kernel machine by compiled loops, in the coordinates of its kernel.

    ``coarse`` receives the parts over segments twice as long.
    """
    transform, kernel, a = leaf.prepare()
    root = transform.root.double() * transform.scale
    start, way = paths.start - transform.shift.double(), paths.way
    start, moved = (start * root, way * root) if root.ndim == 1 else (start @ root, way @ root)
    term, link = kernel.parts(len(transform.shift))
    facts = (start, moved, paths.positions, paths.held, paths.rates)
    weights = leaf.coefficients.T.double().contiguous()
    parts, values = follow(term, link, a.rows.T.contiguous(), weights, facts, coarse)
    if root.ndim == 2:
        steps = way.abs() @ root.abs()
        along = moved.abs() > PARALLEL * steps

        def unrotated(parts: Tensor) -> Tensor:
            slopes = torch.where(along, parts / torch.where(along, moved, 1.0), 0.0)
            return way * (slopes @ root.T)

        parts = unrotated(parts)
        if coarse is not None:
            coarse.copy_(unrotated(coarse))
    return parts, values + leaf.intercept * paths.rates.sum(1, keepdim=True)


def _follow_segments(leaf: LeafModel, paths: Paths) -> tuple[Tensor, Tensor]:
    """Follow any leaf, segment by segment."""
    row, number = paths.held.nonzero(as_tuple=True)
    change = segment_change(leaf, paths.points(row, number), paths.points(row, number + 1))
    rates = paths.rates[row]
    values = torch.zeros_like(paths.positions)
    values[row, number] = (change.start_values * rates).sum(1)
    values[row, number + 1] = (change.stop_values * rates).sum(1)
    lengths = paths.held[row, number] * (paths.positions[row, number + 1] - paths.positions[row, number])
    slopes = torch.einsum("kcd,kc->kd", change.gradients, rates) * lengths[:, None]
    return torch.zeros_like(paths.way).index_add_(0, row, slopes) * paths.way, values
