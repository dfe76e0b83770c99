"""Grow a tree: rows become splits and the row sets of leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Unpack

import torch
from torch import Tensor

from xrfm_cli.datasets.scratch import Scratch, forget_mapped
from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models import LeafModel, LeafRows, iterate_leaves, leaf_from_state
from xrfm_cli.leaf_models.config import ORDER_LOSSES
from xrfm_cli.leaf_models.kernels.quantiles import median
from xrfm_cli.leaf_models.precision import wide_dtype, widened
from xrfm_cli.leaf_models.rfm import DEFAULT_MEMORY_BYTES, FitOptions
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.directions import agop_directions
from xrfm_cli.trees.leaf_tasks import LeafRecords, LeafTask, LeafWorkers, fitted_leaves
from xrfm_cli.trees.merging import merge_equal_rows
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.node_rows import Node, TrainingRows
from xrfm_cli.trees.routing import SplitNode


class TreeFitOptions(FitOptions, total=False):
    """Optional arguments of any fit of a tree."""

    routed: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partition:
    """The skeleton of a tree: its splits and the training rows of each leaf."""

    splits: tuple[SplitNode, ...]
    nodes: tuple[Node, ...]  # the leaves

    @property
    def leaf_rows(self) -> tuple[Tensor, ...]:
        """Return the row numbers of each leaf, increasing, of a tree in memory."""
        return tuple(node.own for node in self.nodes)


def grow(
    rows: TrainingRows, config: TreeConfig, *, generator: torch.Generator, scratch: Scratch | None = None
) -> Partition:
    """Split rows until no node has more than ``config.leaf_size`` of them.

    A node is split at the median along the top eigenvector of an AGOP. If that leaves a child fewer
    than ``min_leaf_size`` rows, the next eigenvector is tried; after the last one the node becomes a leaf.
    With ``scratch``, the rows are in files, and so are the copies made of them.

    >>> x = torch.linspace(0, 1, 100)[:, None]
    >>> rows = TrainingRows(x=x, routed=x, y=x.square(), weights=None)
    >>> partition = grow(rows, TreeConfig(leaf_size=50), generator=torch.Generator().manual_seed(0))
    >>> [len(own) for own in partition.leaf_rows]
    [50, 50]
    """
    splits: list[SplitNode | None] = []
    leaves: list[Node] = []

    def build(node: Node) -> int:
        found = _best_split(node, config, generator) if len(node) > config.leaf_size else None
        if found is None:
            leaves.append(node.as_leaf())
            return ~(len(leaves) - 1)
        split, goes_left, goes_right = found
        number = len(splits)
        splits.append(None)  # reserves the number: children are numbered after their parent
        left = build(node.child(goes_left))
        splits[number] = replace(split, left=left, right=build(node.child(goes_right)))
        return number

    build(Node.root(rows, scratch))
    return Partition(splits=tuple(node for node in splits if node is not None), nodes=tuple(leaves))


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
    partition, seeds = _partitioned(x, y, config, generator, weights, routed, None)
    rounds = iterate_leaves(
        [_leaf_rows(node, seed) for node, seed in zip(partition.nodes, seeds, strict=True)],
        config.leaf,
        initial_feature_matrix=initial_feature_matrix,
        memory_bytes=memory_bytes,
        on_event=on_event,
    )
    for leaves in rounds:
        yield TreeModel(config=config, splits=partition.splits, leaves=leaves)


def fit_tree(
    x: Tensor,
    y: Tensor,
    config: TreeConfig,
    *,
    generator: torch.Generator,
    scratch: Scratch | None = None,
    records: LeafRecords | None = None,
    workers: LeafWorkers | None = None,
    **options: Unpack[TreeFitOptions],
) -> TreeModel:
    """Return the last model of :func:`iterate_tree`, which documents the arguments.

    On a CPU, leaves are fitted one after the other, or by ``workers``; ``records`` keep them, so that a fit
    that was killed can go on. With ``scratch``, the inputs are in files, and so are the leaves of the model.
    """
    if x.device.type != "cpu":
        *_, last = iterate_tree(x, y, config, generator=generator, **options)
        return last
    partition, seeds = _partitioned(
        x, y, config, generator, options.get("weights"), options.get("routed"), scratch
    )
    tasks = (
        LeafTask(
            x=rows.x,
            y=rows.y,
            weights=rows.weights,
            config=config.leaf,
            seed=seed,
            start=options.get("initial_feature_matrix"),
            memory_bytes=options.get("memory_bytes", DEFAULT_MEMORY_BYTES),
        )
        for rows, seed in ((node.gathered(), seed) for node, seed in zip(partition.nodes, seeds, strict=True))
    )
    on_event = options.get("on_event", ignore_event)
    leaves: list[LeafModel] = []
    for leaf in fitted_leaves(tasks, on_event, records=records, workers=workers):
        leaves.append(leaf if scratch is None else _kept(leaf, scratch))
    return TreeModel(config=config, splits=partition.splits, leaves=tuple(leaves))


def _partitioned(
    x: Tensor,
    y: Tensor,
    config: TreeConfig,
    generator: torch.Generator,
    weights: Tensor | None,
    routed: Tensor | None,
    scratch: Scratch | None,
) -> tuple[Partition, list[int]]:
    """Return the skeleton of a tree, and the seed of each leaf."""
    if weights is not None and not bool((weights > 0).all()):
        kept = weights > 0
        x, y, weights = x[kept], y[kept], weights[kept]
        routed = None if routed is None else routed[kept]
    rows = TrainingRows(x=x, routed=x if routed is None else routed, y=y, weights=weights)
    if config.leaf.loss not in ORDER_LOSSES:  # their minimisers depend on each target, not on the mean
        rows = merge_equal_rows(rows, scratch)
    partition = grow(rows, config, generator=generator, scratch=scratch)
    return partition, torch.randint(0, 2**62, (len(partition.nodes),), generator=generator).tolist()


def _leaf_rows(node: Node, seed: int) -> LeafRows:
    """Return the rows of a leaf, with its generator."""
    rows = node.gathered()
    generator = torch.Generator().manual_seed(seed)
    return LeafRows(x=rows.x, y=rows.y, weights=rows.weights, generator=generator)


def _kept(leaf: LeafModel, scratch: Scratch) -> LeafModel:
    """Return the same leaf, with its tensors in files."""
    facts, tensors = leaf.state()
    kept = {name: torch.from_numpy(scratch.array(value.numpy())) for name, value in tensors.items()}
    forget_mapped(trims=False)
    return leaf_from_state(facts, kept)


def _best_split(
    node: Node, config: TreeConfig, generator: torch.Generator
) -> tuple[SplitNode, Tensor, Tensor] | None:
    """Return the split along the first direction whose median leaves both children enough rows.

    The tensors are the places of the children's rows among those of the node.
    """
    node_weights = node.weights()
    drawn = node.sample(torch.randperm(len(node), generator=generator)[: config.split_rows].sort().values)
    for direction in agop_directions(drawn.x, drawn.y, drawn.weights, generator=generator):
        projection = node.project(direction)
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
        split = SplitNode(direction=direction, threshold=threshold, iqr=iqr, left=0, right=0)
        return split, (goes_left | both).nonzero()[:, 0], (~goes_left | both).nonzero()[:, 0]
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
