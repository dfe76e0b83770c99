"""Additive attributions of a tree's predictions along straight paths from reference rows.

Only the leaves and splits that a path meets are visited. So cost and memory grow with the depth of a tree and
not with the number of its leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.trees.explanation import DEFAULT_MEMORY_BYTES
from xrfm_cli.trees.leaf_paths import Paths, follow_leaf, follow_twice
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.votes import SplitTable

STEPS = (2, 4, 8, 16, 32)  # segments of a path; more are taken for rows whose attributions still change
ACCURACY = 0.007  # of the sum of a row's absolute attributions: the largest error estimate that is accepted
JUMP_HALVINGS = 12  # bisections that locate a jump on a path
# A path that moves less than this share of its steps along a split's direction is parallel to it.
SLANT = 1e-2


def path_attributions(
    tree: TreeModel,
    x: Tensor,
    references: Tensor,
    rates: Tensor,
    change: Tensor,
    *,
    steps: tuple[int, ...] = STEPS,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> Tensor:
    """Return contributions ``(n, d)`` of the coordinates in float64, averaged over the references.

    Args:
        tree: the model.
        x: rows ``(n, d)``.
        references: rows ``(r, d)`` that the paths start from.
        rates: weights of the tree's outputs on each path ``(n, r, c)``, float64.
        change: the change of the mixed outputs over each path ``(n, r)``, float64; a row's contributions add
            to its mean.
        steps: numbers of segments of a path, each twice the one before. The contributions of two such numbers
            are extrapolated, and their difference over three estimates the error; rows stop at
            :data:`ACCURACY`.
        memory_bytes: bounds the blocks.

    On each segment the leaves contribute their mean gradients, averaged over the leaf weights at both ends.
    The change of the weights, a jump at a hard split, is attributed to the split's direction ``v``:
    coordinate ``j`` gets the share ``v_j (x - reference)_j / v.(x - reference)`` of it, or, on a path that is
    nearly parallel to the split, a share in proportion to ``|v_j (x - reference)_j|``. Sums are exact for any
    number of segments: the rounding error is divided in proportion to the contributions.

    Without splits these are integrated gradients: Sundararajan et al., arXiv 1703.01365 (2017), averaged over
    references: Erion et al., arXiv 1906.10670 (2019).
    """
    out = torch.zeros(x.shape, dtype=torch.float64, device=x.device)
    if not len(x):
        return out
    per_row = 8 * len(references) * (steps[-1] + 1) * 4 * (x.shape[1] + 8)
    for rows in torch.arange(len(x), device=x.device).split(max(1, memory_bytes // per_row)):
        out[rows] = _refined(tree, x[rows], references, rates[rows], steps)
    remainder = change.mean(1) - out.sum(1)
    distance = (x[:, None].double() - references.double()).square().mean(1)
    return out + remainder[:, None] * _proportions(out.abs(), distance)


def _refined(tree: TreeModel, x: Tensor, references: Tensor, rates: Tensor, steps: tuple[int, ...]) -> Tensor:
    """Return the contributions of a block of rows, with as many segments as each row needs."""
    if len(steps) == 1:
        return _averaged(tree, x, references, rates, steps[0])
    coarse, fine = _averaged_twice(tree, x, references, rates, steps[:2])
    out = torch.empty_like(fine)
    rows = torch.arange(len(x), device=x.device)
    for following in (*steps[2:], 0):
        correction = (fine - coarse) / 3  # of an error that falls with the square of the segments' length
        out[rows] = fine + correction
        open_ones = correction.abs().amax(1) > ACCURACY * fine.abs().sum(1)
        rows, coarse = rows[open_ones], fine[open_ones]
        if not len(rows) or not following:
            break
        fine = _averaged(tree, x[rows], references, rates[rows], following)
    return out


def _averaged_twice(
    tree: TreeModel, x: Tensor, references: Tensor, rates: Tensor, steps: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the contributions with two numbers of segments, the second twice the first."""
    if len(tree.leaves) > 1:  # points on paths move to jumps, and these depend on the number of segments
        first, second = (_averaged(tree, x, references, rates, number) for number in steps)
        return first, second
    coarse, fine = follow_twice(tree.leaves[0], _straight_paths(x, references, rates, steps[1]))
    shape = (len(x), *references.shape)
    return coarse.reshape(shape).mean(1), fine.reshape(shape).mean(1)


def _averaged(tree: TreeModel, x: Tensor, references: Tensor, rates: Tensor, steps: int) -> Tensor:
    paths = _straight_paths(x, references, rates, steps)
    if len(tree.leaves) == 1:
        parts, _ = follow_leaf(tree.leaves[0], paths)
    else:
        parts = _followed(tree, paths, x.dtype)
    return parts.reshape(len(x), *references.shape).mean(1)


def _straight_paths(x: Tensor, references: Tensor, rates: Tensor, steps: int) -> Paths:
    """Return the paths from each reference to each row, with equal segments."""
    n, r = len(x), len(references)
    starts = references.double().repeat(n, 1)
    way = x.double().repeat_interleave(r, 0) - starts
    positions = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device=x.device).repeat(n * r, 1)
    return Paths(
        start=starts,
        way=way,
        positions=positions,
        held=torch.ones_like(positions[:, 1:]),
        rates=rates.reshape(n * r, -1),
    )


def _followed(tree: TreeModel, paths: Paths, dtype: torch.dtype) -> Tensor:  # -> (b, d)
    """Return the contributions along paths through a tree with splits."""
    table = tree.prepared.splits(tree.splits)
    if tree.temperature == 0:
        paths = _around_jumps(tree, paths, dtype)
    b, points = paths.positions.shape
    row = torch.arange(b, device=paths.way.device).repeat_interleave(points)
    number = torch.arange(points, device=paths.way.device).repeat(b)
    votes = tree.votes(paths.points(row, number).to(dtype))
    keys = votes.leaves * b + row[votes.rows]
    met, place = keys.unique(return_inverse=True)  # pairs of a leaf and a path, sorted by leaf
    weights = torch.zeros(len(met), points, dtype=torch.float64, device=paths.way.device)
    weights[place, number[votes.rows]] = votes.weights.double()
    levels = _levels(table, met // b, met % b, weights, b)
    held = _held(levels, len(met))
    total = torch.zeros_like(paths.way)
    values = torch.zeros_like(weights)
    leaves = torch.arange(len(tree.leaves) + 1, device=met.device)
    starts = torch.searchsorted(met // b, leaves).tolist()
    for number_of_leaf in (met // b).unique().tolist():
        own = slice(starts[number_of_leaf], starts[number_of_leaf + 1])
        some = met[own] % b
        parts, values[own] = follow_leaf(
            tree.leaves[number_of_leaf],
            Paths(
                start=paths.start[some],
                way=paths.way[some],
                positions=paths.positions[some],
                held=held[own],
                rates=paths.rates[some],
            ),
        )
        total[some] += parts
    _add_routing(table, levels, values, paths.way, total)
    return total


def _around_jumps(tree: TreeModel, paths: Paths, dtype: torch.dtype) -> Paths:
    """Move the two points around a jump close to it."""
    t = paths.positions.clone()
    b, points = t.shape
    row = torch.arange(b, device=t.device).repeat_interleave(points)

    def route(rows: Tensor, position: Tensor) -> Tensor:
        return tree.route((paths.start[rows] + position[:, None] * paths.way[rows]).to(dtype))

    leaf = route(row, t.reshape(-1)).reshape(b, points)
    row, step = (leaf[:, 1:] != leaf[:, :-1]).nonzero(as_tuple=True)
    before, after = t[row, step], t[row, step + 1]
    for _ in range(JUMP_HALVINGS):
        middle = (before + after) / 2
        unchanged = route(row, middle) == leaf[row, step]
        before, after = torch.where(unchanged, middle, before), torch.where(unchanged, after, middle)
    inner = step + 1 < points - 1  # the ends of the path are fixed
    t[row[inner], step[inner] + 1] = after[inner]
    inner = step > 0
    t[row[inner], step[inner]] = before[inner]
    return Paths(start=paths.start, way=paths.way, positions=t, held=paths.held, rates=paths.rates)


@dataclass(slots=True, kw_only=True)
class _Level:
    """The splits of one depth that paths meet, and their children."""

    splits: Tensor  # (e,)
    rows: Tensor  # (e,) the path
    right: Tensor  # (e, 2, s) the share that goes right, at both ends of every segment
    children: Tensor  # (k,) entry of the level below, or ~number of a pair of a leaf and a path
    parents: Tensor  # (k,) entry of this level
    to_right: Tensor  # (k,) bool
    reached: Tensor | None = None  # (e, s) weight that reaches the split, averaged over the ends


def _levels(table: SplitTable, leaves: Tensor, rows: Tensor, weights: Tensor, b: int) -> list[_Level]:
    """Return the levels from the deepest to the root, for pairs of a leaf and a path with their weights."""
    count = len(table.children)
    depths = (table.paths[:, :, 0] >= 0).sum(1)[leaves]
    everyone = torch.arange(len(leaves), device=leaves.device)
    nodes, paths, masses = leaves[:0], rows[:0], weights[:0]  # the splits one level below
    levels = []
    for depth in range(int(depths.max()), 0, -1):
        own = everyone[depths == depth]
        below = torch.cat([nodes, count + leaves[own]])
        children = torch.cat([torch.arange(len(nodes), device=leaves.device), ~own])
        path, mass = torch.cat([paths, rows[own]]), torch.cat([masses, weights[own]])
        parent, to_right = table.above[below].unbind(1)
        keys, place = (parent * b + path).unique(return_inverse=True)
        nodes, paths = keys // b, keys % b
        masses = mass.new_zeros(len(keys), mass.shape[1]).index_add_(0, place, mass)
        side = to_right > 0
        right = torch.zeros_like(masses).index_add_(0, place[side], mass[side])
        levels.append(
            _Level(
                splits=nodes,
                rows=paths,
                right=_both_ends(masses, right),
                children=children,
                parents=place,
                to_right=side,
            )
        )
    return levels


def _both_ends(whole: Tensor, right: Tensor) -> Tensor:  # (e, s + 1), (e, s + 1) -> (e, 2, s)
    """Return the right share at both ends of segments; without weight at one end, the other end's share."""
    share = torch.where(whole > 0, right / torch.where(whole > 0, whole, 1.0), torch.nan)
    start, stop = share[:, :-1], share[:, 1:]
    ends = [torch.where(start.isnan(), stop, start), torch.where(stop.isnan(), start, stop)]
    return torch.stack(ends, dim=1).nan_to_num(nan=0.0)


def _held(levels: list[_Level], pairs: int) -> Tensor:  # -> (pairs, s)
    """Return the weight of each leaf on each segment: products of shares averaged over the ends."""
    held = levels[-1].right.new_zeros(pairs, levels[-1].right.shape[2])
    reached = torch.ones_like(levels[-1].right[:, 0])  # every path begins at the root
    for level, below in zip(reversed(levels), [*reversed(levels[:-1]), None], strict=True):
        level.reached = reached
        average = level.right.mean(1)[level.parents]
        own = reached[level.parents] * torch.where(level.to_right[:, None], average, 1 - average)
        is_leaf = level.children < 0
        held[~level.children[is_leaf]] = own[is_leaf]
        if below is not None:
            reached = torch.empty_like(below.right[:, 0])
            reached[level.children[~is_leaf]] = own[~is_leaf]
    return held


def _add_routing(table: SplitTable, levels: list[_Level], values: Tensor, way: Tensor, total: Tensor) -> None:
    """Add the contributions of the splits' changing shares, along the directions of the splits.

    From the leaves up, a node's value is the mean of its children's values by their shares. The change of a
    product is the sum of each factor's change times the other factor's average.
    """
    ends = torch.stack([values[:, :-1], values[:, 1:]], dim=1)  # (pairs, 2, s)
    below = ends[:0]
    for level in levels:
        is_leaf = (level.children < 0)[:, None, None]
        own = torch.where(is_leaf, ends[(~level.children).clamp(min=0)], _at(below, level.children))
        sides = own.new_zeros(2, *level.right.shape)
        sides[level.to_right.long(), level.parents] = own
        difference = sides[1] - sides[0]
        below = sides[0] + level.right * difference
        assert level.reached is not None
        moved = (level.right[:, 1] - level.right[:, 0]) * difference.mean(1) * level.reached
        change = moved.sum(1)
        some = change.nonzero()[:, 0]
        parts = change[some, None] * _parts(way[level.rows[some]] * table.directions[level.splits[some]])
        total.index_add_(0, level.rows[some], parts)


def _at(entries: Tensor, places: Tensor) -> Tensor:
    """Return the entries at places; for places below 0 the entry has no meaning."""
    if not len(entries):
        return entries.new_zeros(len(places), *entries.shape[1:])
    return entries[places.clamp(min=0)]


def _parts(along: Tensor) -> Tensor:  # (e, d) -> (e, d)
    """Return the coordinates' shares of a step along a direction."""
    net, gross = along.sum(1, keepdim=True), along.abs().sum(1, keepdim=True)
    parallel = net.abs() < SLANT * gross
    part = torch.where(parallel, along.abs() / torch.where(gross > 0, gross, 1.0), along / net)
    return torch.where(gross > 0, part, 0.0)


def _proportions(sizes: Tensor, distances: Tensor) -> Tensor:  # (n, d), (n, d) -> (n, d)
    """Return the proportions of ``sizes``; if all are zero, of the squared distances, else equal ones."""
    for fallback in (distances, torch.ones_like(sizes)):
        sizes = torch.where(sizes.sum(1, keepdim=True) > 0, sizes, fallback)
    return sizes / sizes.sum(1, keepdim=True)
