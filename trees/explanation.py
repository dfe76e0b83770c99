"""Explanation of a tree in encoded coordinates: sampled rows, gradients and path attributions.

A kernel machine keeps its training rows as centers, and a linear leaf keeps their means and standard
deviations, so a tree can be explained without the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models import LinearLeaf
from xrfm_cli.trees.mean_gradients import segment_change
from xrfm_cli.trees.model import TreeModel

DEFAULT_MEMORY_BYTES = 256 << 20
PATH_STEPS = 16
JUMP_HALVINGS = 12  # bisections that locate a jump on a path
SLANT = (
    1e-2  # a path that moves less than this share of its steps along a split's direction is parallel to it
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAttributions:
    """Contributions of the coordinates to ``f(x) - f(baseline)``, which they add up to."""

    contributions: Tensor  # (n, c, d) float64
    baseline: Tensor  # (c,) float64: the prediction at the baseline row
    predictions: Tensor  # (n, c) float64
    remainder: Tensor  # (n, c) float64: the rounding error, shared out by size to make the sums exact


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSummary:
    """Statistics of the training rows, as far as the tree keeps them."""

    rows: Tensor  # (m, d): the rows themselves, or the row mean of each linear leaf
    mean: Tensor  # (d,) float64
    deviations: Tensor  # (d,) float64


def summarise_rows(tree: TreeModel) -> RowSummary:
    """Summarise the training rows from what the leaves keep of them.

    All leaves of a tree are of one family. A linear leaf's rows are represented by their mean: the leaf's
    gradient is the same at all of them, and the mean lies on the same side of every split as the rows do.
    """
    linear = [leaf for leaf in tree.leaves if isinstance(leaf, LinearLeaf)]
    if not linear:
        rows = owned_centers(tree)
        wide = rows.double()
        return RowSummary(rows=rows, mean=wide.mean(0), deviations=wide.std(0, correction=0))
    rows = torch.stack([leaf.mean for leaf in linear])
    sizes = torch.tensor([leaf.n_rows for leaf in linear], dtype=torch.float64, device=rows.device)
    shares = sizes[:, None] / sizes.sum()
    mean = (shares * rows.double()).sum(0)
    squares = torch.stack([leaf.deviations.double().square() for leaf in linear])
    variance = (shares * (squares + (rows.double() - mean).square())).sum(0)
    return RowSummary(rows=rows, mean=mean, deviations=variance.sqrt())


def owned_centers(tree: TreeModel) -> Tensor:  # -> (m, d)
    """Return the training rows that the leaves keep, each once.

    A row in the overlap of two leaves is a center of both. It is counted in the leaf that it is routed to.
    """
    owned = [leaf.centers[tree.route(leaf.centers) == number] for number, leaf in enumerate(tree.leaves)]
    return torch.cat(owned)


def sample_rows(centers: Tensor, rows: int, *, generator: torch.Generator) -> Tensor:  # (m, d) -> (n, d)
    """Return at most ``rows`` of the centers, drawn without replacement and in random order.

    >>> sample_rows(torch.eye(3), 2, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    order = torch.randperm(len(centers), generator=generator)[:rows]
    return centers[order.to(centers.device)]


def gradient_blocks(
    tree: TreeModel, x: Tensor, *, memory_bytes: int = DEFAULT_MEMORY_BYTES
) -> Iterator[tuple[slice, Tensor]]:
    """Yield gradients of rows ``x (n, d)`` in blocks ``(b, c, d)`` within the byte budget, with slices."""
    step = _rows_per_block(tree, memory_bytes)
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, tree.gradients(x[rows])


def path_attributions(
    tree: TreeModel,
    x: Tensor,
    baseline: Tensor,
    *,
    steps: int = PATH_STEPS,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> PathAttributions:
    """Compute additive attributions along the straight path from a baseline row to each row.

    Args:
        tree: the model ``f``.
        x: rows ``(n, d)``.
        baseline: the row ``(d,)`` that all paths start from.
        steps: number of segments of each path; the sums are exact for any number, and the shares of the
            coordinates converge to those of the path integral of the gradient.
        memory_bytes: bounds the blocks.

    On each segment the leaves contribute their mean gradients, averaged over the leaf weights at both ends.
    The change of the weights, a jump at a hard split, is attributed to the split's direction ``v``:
    coordinate ``j`` gets the share ``v_j (x - baseline)_j / v.(x - baseline)`` of it, or, on a path that is
    nearly parallel to the split, a share in proportion to ``|v_j (x - baseline)_j|``.

    Without splits these are integrated gradients: Sundararajan et al., arXiv 1703.01365 (2017).
    """
    start = tree.predict(baseline[None]).double()[0]
    end = tree.predict(x).double()
    contributions = torch.zeros(*end.shape, x.shape[1], dtype=torch.float64, device=x.device)
    rows_per_block = max(1, _rows_per_block(tree, memory_bytes) // (4 * steps))  # float64, and two ends
    for first in range(0, len(x), rows_per_block):
        rows = slice(first, first + rows_per_block)
        contributions[rows] = _followed(tree, _polylines(tree, x[rows], baseline, steps))
    remainder = end - start - contributions.sum(2)
    contributions += remainder[:, :, None] * _proportions(contributions.abs(), (x - baseline).double())
    return PathAttributions(contributions=contributions, baseline=start, predictions=end, remainder=remainder)


def _polylines(tree: TreeModel, x: Tensor, baseline: Tensor, steps: int) -> Tensor:  # (b, d) -> (b, s + 1, d)
    """Return points on the paths; in a hard tree, the two points around a jump are moved close to it."""
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device=x.device).repeat(len(x), 1)

    def at(row: Tensor, position: Tensor) -> Tensor:
        return torch.lerp(baseline.expand(len(row), -1), x[row], position.to(x.dtype)[:, None])

    every = torch.arange(len(x), device=x.device).repeat_interleave(steps + 1)
    points = at(every, t.reshape(-1))
    if tree.temperature == 0 and tree.splits:
        leaf = tree.route(points).reshape(len(x), steps + 1)
        row, step = (leaf[:, 1:] != leaf[:, :-1]).nonzero(as_tuple=True)
        before, after = t[row, step], t[row, step + 1]
        for _ in range(JUMP_HALVINGS):
            middle = (before + after) / 2
            unchanged = tree.route(at(row, middle)) == leaf[row, step]
            before, after = torch.where(unchanged, middle, before), torch.where(unchanged, after, middle)
        inner = step + 1 < steps  # the ends of the path are fixed
        t[row[inner], step[inner] + 1] = after[inner]
        inner = step > 0
        t[row[inner], step[inner]] = before[inner]
        points = at(every, t.reshape(-1))
    return points.reshape(len(x), steps + 1, -1)


def _followed(tree: TreeModel, points: Tensor) -> Tensor:  # (b, s + 1, d) -> (b, c, d)
    """Return the contributions along polylines of ``s`` segments each."""
    b, ends, d = points.shape
    weights = tree.votes(points.reshape(b * ends, d)).dense().reshape(b, ends, -1).double()
    shares = _Shares.of(tree, weights)
    moved = (points[:, 1:] - points[:, :-1]).double()
    total = torch.zeros(b, tree.n_outputs, d, dtype=torch.float64, device=points.device)
    values = torch.zeros(
        len(tree.leaves), 2, b, ends - 1, tree.n_outputs, dtype=torch.float64, device=points.device
    )
    for number, leaf in enumerate(tree.leaves):
        at_work = weights[:, :, number] > 0
        row, step = (at_work[:, :-1] | at_work[:, 1:]).nonzero(as_tuple=True)
        if len(row) == 0:
            continue
        change = segment_change(leaf, points[row, step], points[row, step + 1])
        values[number, 0, row, step], values[number, 1, row, step] = change.start_values, change.stop_values
        held = shares.leaves[row, step, number, None, None]
        total.index_add_(0, row, held * change.gradients * moved[row, step, None])
    _add_routing(tree, shares, values, moved, total)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shares:
    """Shares that splits pass to their children at the ends of every segment, and weights at nodes."""

    right: Tensor  # (2, b, s, splits) share of a split's weight that goes right, at both ends
    splits: Tensor  # (b, s, splits) weight that reaches a split, products of shares averaged over the ends
    leaves: Tensor  # (b, s, leaves)

    @classmethod
    def of(cls, tree: TreeModel, weights: Tensor) -> _Shares:
        """Compute from the leaf weights ``(b, s + 1, leaves)`` at the points."""
        b, ends, leaf_count = weights.shape
        right = weights.new_zeros(2, b, ends - 1, len(tree.splits))
        reached = weights.new_zeros(b, ends - 1, len(tree.splits))
        leaves = weights.new_zeros(b, ends - 1, leaf_count)
        node_weights = _node_weights(tree, weights)
        if not tree.splits:
            return cls(right=right, splits=reached, leaves=torch.ones_like(leaves))
        reached[:, :, 0] = 1
        for number in _top_down(tree):
            split = tree.splits[number]
            right[:, :, :, number] = _both_ends(node_weights[number], node_weights[split.right])
            average = right[:, :, :, number].mean(0)
            for child, share in ((split.left, 1 - average), (split.right, average)):
                target = reached[:, :, child] if child >= 0 else leaves[:, :, ~child]
                target.copy_(reached[:, :, number] * share)
        return cls(right=right, splits=reached, leaves=leaves)


def _node_weights(tree: TreeModel, weights: Tensor) -> dict[int, Tensor]:  # -> (b, s + 1) each
    """Return the weight of the leaves below every node: splits by number, leaves by ``~number``."""
    below = {~number: weights[:, :, number] for number in range(weights.shape[2])}
    for number in reversed(_top_down(tree)):
        below[number] = below[tree.splits[number].left] + below[tree.splits[number].right]
    return below


def _both_ends(whole: Tensor, right: Tensor) -> Tensor:  # (b, s + 1), (b, s + 1) -> (2, b, s)
    """Return the right share at both ends of segments; without weight at one end, the other end's share."""
    share = torch.where(whole > 0, right / torch.where(whole > 0, whole, 1.0), torch.nan)
    start, stop = share[:, :-1], share[:, 1:]
    return torch.stack(
        [torch.where(start.isnan(), stop, start), torch.where(stop.isnan(), start, stop)]
    ).nan_to_num(nan=0.0)


def _add_routing(tree: TreeModel, shares: _Shares, values: Tensor, moved: Tensor, total: Tensor) -> None:
    """Add the contributions of the splits' changing shares, along the directions of the splits.

    From the leaves up, a node's value is the mean of its children's values by their shares. The change of a
    product is the sum of either factor's change times the other's average.
    """
    nodes = {~number: values[number] for number in range(len(tree.leaves))}  # (2, b, s, c) each
    for number in reversed(_top_down(tree)):
        split = tree.splits[number]
        left, right = nodes[split.left], nodes[split.right]
        share = shares.right[:, :, :, number, None]
        nodes[number] = left + share * (right - left)
        change = (share[1] - share[0]) * (right - left).mean(0) * shares.splits[:, :, number, None]
        along = moved * split.direction.double()  # (b, s, d)
        net, gross = along.sum(2, keepdim=True), along.abs().sum(2, keepdim=True)
        parallel = net.abs() < SLANT * gross
        part = torch.where(parallel, along.abs() / torch.where(gross > 0, gross, 1.0), along / net)
        part = torch.where(gross > 0, part, 0.0)
        total += torch.einsum("bsc,bsd->bcd", change, part)


def _top_down(tree: TreeModel) -> list[int]:
    """Return the numbers of the splits, parents before children."""
    order = [0] if tree.splits else []
    for number in order:
        split = tree.splits[number]
        order.extend(child for child in (split.left, split.right) if child >= 0)
    return order


def _proportions(sizes: Tensor, difference: Tensor) -> Tensor:  # (n, c, d), (n, d) -> (n, c, d)
    """Return the proportions of ``sizes``; if all are zero, of the squared distances, else equal ones."""
    for fallback in (difference.square()[:, None].expand_as(sizes), torch.ones_like(sizes)):
        sizes = torch.where(sizes.sum(2, keepdim=True) > 0, sizes, fallback)
    return sizes / sizes.sum(2, keepdim=True)


def _rows_per_block(tree: TreeModel, memory_bytes: int) -> int:
    """Return how many rows' gradients fit: several kernel blocks of the largest leaf, and the gradients."""
    largest = max(len(leaf.centers) for leaf in tree.leaves)
    return max(1, memory_bytes // (4 * (6 * largest + 4 * tree.n_outputs * tree.n_features)))
