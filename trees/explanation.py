"""What a tree reacts to, in encoded coordinates: sampled rows, gradients and path integrals.

A kernel machine keeps its training rows as centers, so a tree explains itself without the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xrfm_cli.trees.model import TreeModel

DEFAULT_MEMORY_BYTES = 256 << 20
PANEL_POINTS = 8  # Gauss-Legendre points on each piece of a path
MAX_HALVINGS = 5  # a piece is halved at most this often before its remainder is shared by rule
CROSSING_WIDTH = 1e-4  # share of the path on which the jump at a hard split is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAttributions:
    """Contributions of the coordinates to ``f(x) - f(baseline)``; over coordinates they add up to it.

    ``remainder`` is the part that the quadrature left over and that was shared by rule: in proportion to
    the absolute contributions of the same row and output.
    """

    contributions: Tensor  # (n, c, d) float64
    baseline: Tensor  # (c,) float64: the prediction at the baseline row
    predictions: Tensor  # (n, c) float64
    remainder: Tensor  # (n, c) float64


def owned_centers(tree: TreeModel) -> Tensor:  # -> (m, d)
    """The training rows that the leaves keep, each once.

    A row in the overlap of two leaves is a center of both, and counted in the one that it is routed to.
    """
    owned = [
        leaf.centers[tree.route(leaf.centers) == number]
        for number, leaf in enumerate(tree.leaves)
        if len(leaf.centers)
    ]
    return torch.cat(owned)


def sample_rows(centers: Tensor, rows: int, *, generator: torch.Generator) -> Tensor:  # (m, d) -> (n, d)
    """At most ``rows`` of the centers, drawn without replacement and in random order.

    >>> sample_rows(torch.eye(3), 2, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    order = torch.randperm(len(centers), generator=generator)[:rows]
    return centers[order.to(centers.device)]


def gradient_blocks(
    tree: TreeModel, x: Tensor, *, memory_bytes: int = DEFAULT_MEMORY_BYTES
) -> Iterator[tuple[slice, Tensor]]:
    """Gradients of rows ``x (n, d)`` in blocks ``(b, c, d)`` that fit the byte budget, with their rows."""
    step = _rows_a_block(tree, memory_bytes)
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, tree.gradients(x[rows])


def path_attributions(
    tree: TreeModel,
    x: Tensor,
    baseline: Tensor,
    *,
    tolerance: float = 1e-3,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> PathAttributions:
    """Additive attributions: gradients integrated along the straight path from a baseline row to each row.

    Args:
        tree: the model ``f``.
        x: rows ``(n, d)``.
        baseline: the row ``(d,)`` that all paths start from.
        tolerance: how far the integral may miss ``f(x) - f(baseline)``, in units of ``f``, before the
            path is cut into smaller pieces. What is still missing is shared in proportion to the absolute
            contributions, so that they always add up, and is told as ``remainder``.
        memory_bytes: bounds the blocks of gradients.

    Where the path crosses a hard split with direction ``v``, the model jumps, and no gradient sees it.
    The jump belongs to the split's direction: coordinate ``j`` gets the share
    ``v_j (x - baseline)_j / v.(x - baseline)`` of it.

    Without splits these are integrated gradients: Sundararajan et al., arXiv 1703.01365 (2017).
    """
    difference = x - baseline
    start = tree.predict(baseline[None]).double()[0]
    end = tree.predict(x).double()
    paths = _Paths(tree=tree, baseline=baseline, difference=difference, memory_bytes=memory_bytes)
    contributions = torch.zeros(*end.shape, x.shape[1], dtype=torch.float64, device=x.device)
    pieces = _add_jumps(paths, contributions)
    _add_integrals(paths, pieces, contributions, tolerance)
    remainder = end - start - contributions.sum(2)
    contributions += remainder[:, :, None] * _shares(contributions.abs(), difference)
    return PathAttributions(
        contributions=contributions, baseline=start, predictions=end, remainder=remainder
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paths:
    """Straight lines from one baseline to ``n`` rows."""

    tree: TreeModel
    baseline: Tensor  # (d,)
    difference: Tensor  # (n, d)
    memory_bytes: int

    def points(self, rows: Tensor, t: Tensor) -> Tensor:  # (b,), (b,) -> (b, d)
        """The points of the given rows' paths at positions ``t`` between 0 and 1."""
        return self.baseline + t.to(self.baseline.dtype)[:, None] * self.difference[rows]

    def values(self, rows: Tensor, t: Tensor) -> Tensor:  # -> (b, c)
        """Predictions at the points, in blocks."""
        step = _rows_a_block(self.tree, self.memory_bytes)
        parts = [
            self.tree.predict(self.points(rows[i : i + step], t[i : i + step])) for i in range(0, len(rows), step)
        ]
        return torch.cat(parts).double()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pieces:
    """Parts of paths on which the model is continuous, or nearly so."""

    rows: Tensor  # (b,) int64
    start: Tensor  # (b,) float64
    stop: Tensor  # (b,) float64


def _add_jumps(paths: _Paths, contributions: Tensor) -> _Pieces:
    """Measure the jumps at hard splits, share them, and return the pieces between them."""
    n = len(paths.difference)
    crossings = _hard_crossings(paths)
    rows = torch.arange(n, device=crossings.device)
    reached = torch.zeros(n, dtype=torch.float64, device=crossings.device)
    done: list[tuple[Tensor, Tensor, Tensor]] = []
    order = crossings.argsort(dim=1)
    for rank in range(int(crossings.isfinite().sum(1).max()) if crossings.numel() else 0):
        split = order[:, rank]
        at = crossings[rows, split]
        crossing = at.isfinite()
        some, split, at = rows[crossing], split[crossing], at[crossing]
        before = torch.maximum(reached[some], at - CROSSING_WIDTH)
        after = torch.maximum(before, (at + CROSSING_WIDTH).clamp(max=1.0))
        done.append((some, reached[some], before))
        jump = paths.values(some, after) - paths.values(some, before)
        directions = torch.stack([split_node.direction for split_node in paths.tree.splits])[split]
        moved = (directions * paths.difference[some]).double()
        contributions.index_add_(0, some, jump[:, :, None] * (moved / moved.sum(1, keepdim=True))[:, None])
        reached[some] = after
    done.append((rows, reached, torch.ones_like(reached)))
    all_rows, start, stop = (torch.cat(parts) for parts in zip(*done, strict=True))
    wide = stop > start
    return _Pieces(rows=all_rows[wide], start=start[wide], stop=stop[wide])


def _hard_crossings(paths: _Paths) -> Tensor:  # -> (n, splits) float64, infinite where there is no crossing
    """Where each path crosses each hard split, if it reaches the split's node there."""
    splits = paths.tree.splits
    n, device = len(paths.difference), paths.difference.device
    if not splits:
        return torch.full((n, 0), torch.inf, dtype=torch.float64, device=device)
    directions = torch.stack([split.direction for split in splits]).double()
    thresholds = torch.tensor([float(split.threshold) for split in splits], dtype=torch.float64, device=device)
    offset = directions @ paths.baseline.double() - thresholds  # (splits,)
    slope = paths.difference.double() @ directions.T  # (n, splits)
    at = -offset / slope
    at = torch.where((at > 0) & (at < 1), at, torch.inf)
    for number, ancestors in enumerate(_ancestors(paths.tree)):
        if not _is_hard(paths.tree, number):
            at[:, number] = torch.inf
        for ancestor, right in ancestors:
            if _is_hard(paths.tree, ancestor):
                side = offset[ancestor] + at[:, number] * slope[:, ancestor] > 0
                at[side != right, number] = torch.inf
    return at


def _ancestors(tree: TreeModel) -> list[list[tuple[int, bool]]]:
    """For each split, the splits above it and whether it lies on their right."""
    above: list[list[tuple[int, bool]]] = [[] for _ in tree.splits]
    stack = [0]
    while stack:
        number = stack.pop()
        for child, right in ((tree.splits[number].left, False), (tree.splits[number].right, True)):
            if child >= 0:
                above[child] = [*above[number], (number, right)]
                stack.append(child)
    return above


def _is_hard(tree: TreeModel, split: int) -> bool:
    return tree.temperature == 0 or float(tree.splits[split].iqr) == 0


def _add_integrals(paths: _Paths, pieces: _Pieces, contributions: Tensor, tolerance: float) -> None:
    """Integrate the gradients over the pieces, halving those that miss their own difference."""
    allowed = tolerance / 4  # a path has several pieces, whose errors add up
    for halvings in range(MAX_HALVINGS + 1):
        if len(pieces.rows) == 0:
            return
        integrals = _integrals(paths, pieces)
        change = paths.values(pieces.rows, pieces.stop) - paths.values(pieces.rows, pieces.start)
        missed = (change - integrals.sum(2)).abs().amax(1) > allowed
        kept = ~missed if halvings < MAX_HALVINGS else torch.ones_like(missed)
        contributions.index_add_(0, pieces.rows[kept], integrals[kept])
        pieces = _halved(pieces, ~kept)


def _halved(pieces: _Pieces, chosen: Tensor) -> _Pieces:
    rows, start, stop = pieces.rows[chosen], pieces.start[chosen], pieces.stop[chosen]
    middle = (start + stop) / 2
    return _Pieces(
        rows=torch.cat([rows, rows]), start=torch.cat([start, middle]), stop=torch.cat([middle, stop])
    )


def _integrals(paths: _Paths, pieces: _Pieces) -> Tensor:  # -> (b, c, d) float64
    """Gauss-Legendre integrals of gradient times direction over each piece."""
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(PANEL_POINTS))
    nodes, weights = nodes.to(pieces.start.device), weights.to(pieces.start.device)
    step = max(1, _rows_a_block(paths.tree, paths.memory_bytes) // PANEL_POINTS)
    parts = []
    for first in range(0, len(pieces.rows), step):
        block = slice(first, first + step)
        rows, width = pieces.rows[block], pieces.stop[block] - pieces.start[block]
        t = pieces.start[block, None] + width[:, None] * (nodes + 1) / 2
        gradients = paths.tree.gradients(paths.points(rows.repeat_interleave(PANEL_POINTS), t.reshape(-1)))
        shaped = gradients.reshape(len(rows), PANEL_POINTS, *gradients.shape[1:]).double()
        average = torch.einsum("bpcd,p->bcd", shaped, weights / 2)
        parts.append(average * (width[:, None] * paths.difference[rows])[:, None])
    return torch.cat(parts)


def _shares(sizes: Tensor, difference: Tensor) -> Tensor:  # (n, c, d), (n, d) -> (n, c, d), summing to one
    """Proportions of ``sizes``; where all are zero, of the squared distance moved, else even ones."""
    fallback = difference.double().square()[:, None].expand_as(sizes)
    sizes = torch.where(sizes.sum(2, keepdim=True) > 0, sizes, fallback)
    sizes = torch.where(sizes.sum(2, keepdim=True) > 0, sizes, torch.ones_like(sizes))
    return sizes / sizes.sum(2, keepdim=True)


def _rows_a_block(tree: TreeModel, memory_bytes: int) -> int:
    """How many rows' gradients fit: several kernel blocks of the largest leaf, and the gradients."""
    largest = max(len(leaf.centers) for leaf in tree.leaves)
    outputs, d = tree.leaves[0].coefficients.shape[1], tree.leaves[0].centers.shape[1]
    return max(PANEL_POINTS, memory_bytes // (4 * (6 * largest + 4 * outputs * d)))
