"""Routing: the leaves that a row reaches, and their weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import wide_dtype, widened

MAX_VOTING_LEAVES = 12  # leaves that vote on a softly routed row
VOTING_MASS = 0.99  # share of the weight that the voting leaves hold, if MAX_VOTING_LEAVES suffice
PROJECTION_BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitNode:
    """One split: rows with ``direction . x <= threshold`` go left, the others right.

    A child of 0 or more is another split, by its position in the tree's list; a child below 0 is
    leaf ``~child``.
    """

    direction: Tensor  # (d,) float64
    threshold: float
    iqr: float  # of the training rows' projections, if both sides were like the threshold's denser one
    left: int
    right: int


def project(x: Tensor, direction: Tensor) -> Tensor:  # (n, d), (d,) -> (n,)
    """Project rows in blocks of one shape, so that a row's value is the same in any batch.

    Like all of routing it uses the widest type of the device: float64, if available.

    Training and prediction both call this, as their results must round in the same way at ties.
    """
    wide, direction = wide_dtype(x.device), widened(direction)
    out = torch.empty(len(x), dtype=wide, device=x.device)
    block = torch.zeros(PROJECTION_BLOCK, x.shape[1], dtype=wide, device=x.device)
    for start in range(0, len(x), PROJECTION_BLOCK):
        rows = min(PROJECTION_BLOCK, len(x) - start)
        block[:rows] = x[start : start + rows]
        block[rows:] = 0
        out[start : start + rows] = (block @ direction)[:rows]
    return out


def route(x: Tensor, splits: tuple[SplitNode, ...]) -> Tensor:  # (n, d) -> (n,)
    """Return the leaf of each row under hard routing."""
    leaf = torch.zeros(len(x), dtype=torch.long, device=x.device)
    pending = [(0, torch.arange(len(x), device=x.device))] if splits else []
    while pending:
        number, rows = pending.pop()
        node = splits[number]
        goes_left = project(x[rows], node.direction) <= node.threshold
        for child, chosen in ((node.left, rows[goes_left]), (node.right, rows[~goes_left])):
            if child < 0:
                leaf[chosen] = ~child
            elif len(chosen):
                pending.append((child, chosen))
    return leaf


def path_weights(x: Tensor, splits: tuple[SplitNode, ...], n_leaves: int, temperature: float) -> Tensor:
    """Return the weight of every leaf for every row ``(n, n_leaves)``, float64; each row adds to one.

    A split passes the share ``sigmoid((v . x - b) / (temperature * IQR))`` to the right; a temperature
    or an IQR of zero is a hard split.
    """
    wide = wide_dtype(x.device)
    weights = torch.zeros(len(x), n_leaves, dtype=wide, device=x.device)
    if not splits:
        weights[:, 0] = 1.0
        return weights
    reach: dict[int, Tensor] = {0: torch.ones(len(x), dtype=wide, device=x.device)}
    for number in _topological(splits):
        node, mass = splits[number], reach.pop(number)
        to_right = right_share(project(x, node.direction), node, temperature)
        for child, share in ((node.left, 1 - to_right), (node.right, to_right)):
            if child < 0:
                weights[:, ~child] = mass * share
            else:
                reach[child] = mass * share
    return weights


def right_share(projection: Tensor, node: SplitNode, temperature: float) -> Tensor:
    """Return the share of each row that a split passes to the right."""
    width = temperature * node.iqr
    offset = projection - node.threshold
    return torch.sigmoid(offset / width) if width > 0 else (offset > 0).to(offset.dtype)


def voting_weights(weights: Tensor) -> Tensor:  # (n, n_leaves) -> (n, n_leaves)
    """Keep the leaves that hold 99 % of a row's weight, at most 12, and rescale them to add to one."""
    ordered, order = weights.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(1) - ordered
    keep = before < VOTING_MASS
    keep[:, MAX_VOTING_LEAVES:] = False
    kept = torch.zeros_like(weights).scatter_(1, order, ordered * keep)
    return kept / kept.sum(1, keepdim=True)


def log_weight_gradients(
    x: Tensor, splits: tuple[SplitNode, ...], n_leaves: int, temperature: float
) -> Tensor:
    """Return derivatives ``(n, n_leaves, d)`` of the logarithm of each leaf's path weight, float64.

    ``sum over the path of (right: 1 - s, left: -s) v / (temperature * IQR)``; hard splits contribute nothing.
    """
    n, d = x.shape
    wide = wide_dtype(x.device)
    out = torch.zeros(n, n_leaves, d, dtype=wide, device=x.device)
    if not splits:
        return out
    slope: dict[int, Tensor] = {0: torch.zeros(n, d, dtype=wide, device=x.device)}
    for number in _topological(splits):
        node, above = splits[number], slope.pop(number)
        width = temperature * node.iqr
        to_right = right_share(project(x, node.direction), node, temperature)
        for child, factor in ((node.left, -to_right), (node.right, 1 - to_right)):
            below = above if width <= 0 else above + factor[:, None] * (widened(node.direction) / width)
            if child < 0:
                out[:, ~child] = below
            else:
                slope[child] = below
    return out


def _topological(splits: tuple[SplitNode, ...]) -> list[int]:
    """Return the split numbers, parents before children."""
    order, stack = [], [0]
    while stack:
        number = stack.pop()
        order.append(number)
        stack += [child for child in (splits[number].left, splits[number].right) if child >= 0]
    return order
