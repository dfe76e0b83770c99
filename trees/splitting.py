"""Where a node is split along one of its directions, and which rows go to each child."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.kernels.quantiles import median
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.node_rows import Node
from xrfm_cli.trees.routing import SplitNode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """A split of a node, and the places of the children's rows among those of the node."""

    node: SplitNode  # its children have no numbers yet
    left: Tensor
    right: Tensor


def best_split(node: Node, directions: Iterable[Tensor], config: TreeConfig) -> Split | None:
    """Return the split along the first direction whose median leaves both children enough rows."""
    weights = node.weights()
    for direction in directions:
        projection = node.project(direction)
        threshold = _median_gap(projection, weights)
        if threshold is None:
            continue
        goes_left = projection <= threshold
        smallest = min(int(goes_left.sum()), int((~goes_left).sum()))
        if smallest < config.min_leaf_size:
            continue
        both = _overlap(projection, config.overlap)
        if bool((goes_left | both).all()) or bool((~goes_left | both).all()):
            both = torch.zeros_like(goes_left)  # ties: a child that holds all rows would be split forever
        iqr = _denser_iqr(projection, threshold, weights)
        return Split(
            node=SplitNode(direction=direction, threshold=threshold, iqr=iqr, left=0, right=0),
            left=(goes_left | both).nonzero()[:, 0],
            right=(~goes_left | both).nonzero()[:, 0],
        )
    return None


def _median_gap(projection: Tensor, weights: Tensor | None) -> float | None:
    """Return the threshold nearest the (weighted) median that lies between two different values.

    Equal projections are never separated: the threshold is the middle of a gap, so that every row is
    on the same side in training and in prediction.
    """
    values, inverse = projection.unique(return_inverse=True)
    if len(values) < 2:
        return None
    mass = torch.zeros(len(values), dtype=wide_dtype(values.device), device=values.device)
    ones = torch.ones_like(projection) if weights is None else widened(weights)
    below = mass.scatter_add_(0, inverse, ones).cumsum(0)[:-1] / ones.sum()
    cut = int((below - 0.5).abs().argmin())
    middle = float((values[cut] + values[cut + 1]) / 2)
    return middle if middle < float(values[cut + 1]) else float(values[cut])


def _denser_iqr(projection: Tensor, threshold: float, weights: Tensor | None) -> float:
    """Return the interquartile range, as if both sides of the threshold were like the denser one.

    It is twice the distance from the threshold to the nearer of the sides' (weighted) medians. If many equal
    rows lie next to the threshold, the range of all rows would let leaves vote on rows unlike any that they
    were fitted on.
    """
    goes_left = projection <= threshold
    medians = [
        median(projection[side], None if weights is None else weights[side])
        for side in (goes_left, ~goes_left)
    ]
    return 2 * min(threshold - medians[0], medians[1] - threshold)


def _overlap(projection: Tensor, overlap: float) -> Tensor:
    """Return which rows lie within ``overlap`` of the median in rank and so go to both children."""
    if overlap == 0:
        return torch.zeros(len(projection), dtype=torch.bool, device=projection.device)
    ordered = projection.sort().values
    last = len(ordered) - 1
    low, high = (ordered[round((0.5 + side * overlap) * last)] for side in (-1, 1))
    return (projection >= low) & (projection <= high) & (low < high)
