"""Grow a tree: rows become splits and the row sets of leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Unpack

import torch
from torch import Tensor

from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models import LeafRows, iterate_leaves
from xrfm_cli.leaf_models.kernels.families import median
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.leaf_models.rfm import DEFAULT_MEMORY_BYTES, FitOptions
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.directions import agop_directions
from xrfm_cli.trees.merging import TrainingRows, merge_equal_rows
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.routing import SplitNode, project


class TreeFitOptions(FitOptions, total=False):
    """Optional arguments of any fit of a tree."""

    routed: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partition:
    """The skeleton of a tree: its splits and the training rows of each leaf."""

    splits: tuple[SplitNode, ...]
    leaf_rows: tuple[Tensor, ...]  # row numbers, increasing


def grow(rows: TrainingRows, config: TreeConfig, *, generator: torch.Generator) -> Partition:
    """Split rows until no node has more than ``config.leaf_size`` of them.

    A node is split at the median along the top eigenvector of an AGOP. If that leaves a child fewer
    than ``min_leaf_size`` rows, the next eigenvector is tried; after the last one the node becomes a leaf.

    >>> x = torch.linspace(0, 1, 100)[:, None]
    >>> rows = TrainingRows(x=x, routed=x, y=x.square(), weights=None)
    >>> partition = grow(rows, TreeConfig(leaf_size=50), generator=torch.Generator().manual_seed(0))
    >>> [len(own) for own in partition.leaf_rows]
    [50, 50]
    """
    splits: list[SplitNode | None] = []
    leaf_rows: list[Tensor] = []

    def build(own: Tensor) -> int:
        found = _best_split(rows, own, config, generator) if len(own) > config.leaf_size else None
        if found is None:
            leaf_rows.append(own)
            return ~(len(leaf_rows) - 1)
        node, left_rows, right_rows = found
        number = len(splits)
        splits.append(None)  # reserves the number: children are numbered after their parent
        left = build(left_rows)
        splits[number] = replace(node, left=left, right=build(right_rows))
        return number

    build(torch.arange(len(rows.x), device=rows.x.device))
    return Partition(splits=tuple(node for node in splits if node is not None), leaf_rows=tuple(leaf_rows))


def iterate_tree(
    x: Tensor,
    y: Tensor,
    config: TreeConfig,
    *,
    generator: torch.Generator,
    weights: Tensor | None = None,
    routed: Tensor | None = None,
    initial_feature_matrix: Tensor | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    on_event: OnEvent = ignore_event,
) -> Iterator[TreeModel]:
    """Grow a tree and yield it after each round of AGOP updates, ``t = 0 .. iterations``.

    All leaves of a yielded model are at the same ``t``. ``routed (n, d)`` are the rows encoded as for
    prediction, if that differs from ``x``. Splits use them, so that a row's leaf is fitted on rows that are
    routed like it. Other arguments as in :func:`xrfm_cli.leaf_models.iterate_leaf`.
    """
    if weights is not None:
        kept = weights > 0
        x, y, weights = x[kept], y[kept], weights[kept]
        routed = None if routed is None else routed[kept]
    rows = merge_equal_rows(TrainingRows(x=x, routed=x if routed is None else routed, y=y, weights=weights))
    partition = grow(rows, config, generator=generator)
    seeds = torch.randint(0, 2**62, (len(partition.leaf_rows),), generator=generator).tolist()
    parts = [
        LeafRows(
            x=rows.x[own],
            y=rows.y[own],
            weights=None if rows.weights is None else rows.weights[own],
            generator=torch.Generator().manual_seed(seed),
        )
        for own, seed in zip(partition.leaf_rows, seeds, strict=True)
    ]
    rounds = iterate_leaves(
        parts,
        config.leaf,
        initial_feature_matrix=initial_feature_matrix,
        memory_bytes=memory_bytes,
        on_event=on_event,
    )
    for leaves in rounds:
        yield TreeModel(config=config, splits=partition.splits, leaves=leaves)


def fit_tree(
    x: Tensor, y: Tensor, config: TreeConfig, *, generator: torch.Generator, **options: Unpack[TreeFitOptions]
) -> TreeModel:
    """Return the last model of :func:`iterate_tree`, which documents the arguments."""
    *_, last = iterate_tree(x, y, config, generator=generator, **options)
    return last


def _best_split(
    rows: TrainingRows, own: Tensor, config: TreeConfig, generator: torch.Generator
) -> tuple[SplitNode, Tensor, Tensor] | None:
    """Return the split along the first direction whose median leaves both children enough rows."""
    node_weights = None if rows.weights is None else rows.weights[own]
    routed = rows.routed[own]
    for direction in agop_directions(
        rows.x[own], rows.y[own], node_weights, rows=config.split_rows, generator=generator
    ):
        projection = project(routed, direction)
        threshold = _median_gap(projection, node_weights)
        if threshold is None:
            continue
        goes_left = projection <= threshold
        smallest = min(int(goes_left.sum()), int((~goes_left).sum()))
        if smallest < config.min_leaf_size:
            continue
        both = _overlap(projection, config.overlap)
        if bool((goes_left | both).all()) or bool((~goes_left | both).all()):
            both = torch.zeros_like(goes_left)  # ties: a child that holds all rows would be split forever
        iqr = _denser_iqr(projection, threshold, node_weights)
        node = SplitNode(direction=direction, threshold=threshold, iqr=iqr, left=0, right=0)
        return node, own[goes_left | both], own[~goes_left | both]
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
