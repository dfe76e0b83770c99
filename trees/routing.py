"""Routing along the splits of a tree, one split after the other.

:mod:`xrfm_cli.trees.votes` finds the leaves that vote on each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import wide_dtype, widened

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

    Training and prediction both call this, because their results must round in the same way at ties.
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


def right_share(projection: Tensor, node: SplitNode, temperature: float) -> Tensor:
    """Return the share of each row that a split passes to the right."""
    width = temperature * node.iqr
    offset = projection - node.threshold
    return torch.sigmoid(offset / width) if width > 0 else (offset > 0).to(offset.dtype)


def reached_leaves(
    x: Tensor, splits: tuple[SplitNode, ...], temperature: float, *, least: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:  # (n, d) -> (p,), (p,), (p,)
    """Return pairs of a row and a leaf that it reaches with a weight above ``least``, and the weights.

    A split passes the share ``sigmoid((v . x - b) / (temperature * IQR))`` to the right; a temperature or an
    IQR of zero is a hard split. No node of a smaller weight is visited: its leaves cannot weigh more.
    """
    wide = wide_dtype(x.device)
    everyone = torch.arange(len(x), device=x.device)
    ones = torch.ones(len(x), dtype=wide, device=x.device)
    some = slice(0 if splits else len(x))
    found = [(everyone[some], torch.zeros_like(everyone[some]), ones[some])]
    pending = [(0, everyone, ones)] if splits else []
    while pending:
        number, rows, mass = pending.pop()
        node = splits[number]
        to_right = right_share(project(x[rows], node.direction), node, temperature)
        for child, share in ((node.left, 1 - to_right), (node.right, to_right)):
            below = mass * share
            kept = (below > least).nonzero()[:, 0]
            if child < 0:
                own = rows[kept]
                found.append((own, torch.full_like(own, ~child), below[kept]))
            elif len(kept):
                pending.append((child, rows[kept], below[kept]))
    rows, leaves, masses = (torch.cat(parts) for parts in zip(*found, strict=True))
    return rows, leaves, masses
