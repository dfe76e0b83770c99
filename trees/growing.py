"""Grow a tree: rows become splits and the row sets of leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

import torch
from torch import Tensor

from xrfm_cli.datasets.scratch import Scratch, forget_mapped
from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models import LeafModel, LeafRows, iterate_leaves, leaf_from_state
from xrfm_cli.leaf_models.config import ORDER_LOSSES
from xrfm_cli.leaf_models.rfm import DEFAULT_MEMORY_BYTES, FitOptions
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.directions import DirectionTask
from xrfm_cli.trees.merging import merge_equal_rows
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.node_rows import Node, TrainingRows, fitted_rows
from xrfm_cli.trees.routing import SplitNode
from xrfm_cli.trees.splitting import best_split
from xrfm_cli.trees.tasks import LeafRecords, LeafTask, TreeWorkers, fitted_leaves, run_in_order


class TreeFitOptions(FitOptions, total=False):
    """Optional arguments of any fit of a tree."""

    routed: Tensor | None
    held: Tensor | None


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
    rows: TrainingRows,
    config: TreeConfig,
    *,
    generator: torch.Generator,
    scratch: Scratch | None = None,
    workers: TreeWorkers | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> Partition:
    """Split rows until no node has more than ``config.leaf_size`` of them.

    A node is split at the median along the top eigenvector of an AGOP. If that leaves a child fewer
    than ``min_leaf_size`` rows, the next eigenvector is tried; after the last one the node becomes a leaf.
    With ``scratch``, the rows are in files, and so are the copies made of them. ``workers`` compute
    directions.

    >>> x = torch.linspace(0, 1, 100)[:, None]
    >>> rows = TrainingRows(x=x, routed=x, y=x.square(), weights=None)
    >>> partition = grow(rows, TreeConfig(leaf_size=50), generator=torch.Generator().manual_seed(0))
    >>> [len(own) for own in partition.leaf_rows]
    [50, 50]
    """
    growth = _Growth(config=config, workers=workers, memory_bytes=memory_bytes)
    root = _Branch(node=Node.root(rows, scratch), seed=0)
    if growth.is_large(root):  # a single leaf draws nothing for splits
        (root.seed,) = _draw_seeds(generator, 1)
    growth.grow(root)
    splits: list[SplitNode | None] = []
    leaves: list[Node] = []

    def number(branch: _Branch) -> int:
        if branch.split is None:
            leaves.append(branch.rows)
            return ~(len(leaves) - 1)
        own = len(splits)
        splits.append(None)  # reserves the number: children are numbered after their parent
        left, right = map(number, branch.children)
        splits[own] = replace(branch.split, left=left, right=right)
        return own

    number(root)
    return Partition(splits=tuple(node for node in splits if node is not None), nodes=tuple(leaves))


@dataclass(slots=True, kw_only=True, eq=False)
class _Branch:
    """A node of a growing tree, with its children once it is split."""

    node: Node | None  # None once it is split, so that its rows are freed
    seed: int  # of all that is drawn for the node and below it
    split: SplitNode | None = None
    children: tuple[_Branch, ...] = ()

    @property
    def rows(self) -> Node:
        """Return the rows of a node that is not split."""
        if self.node is None:
            raise AssertionError("the node is split")
        return self.node

    @property
    def seeds(self) -> list[int]:
        """Return the seeds of the left and the right child, of the rows drawn and of their model."""
        return _draw_seeds(torch.Generator().manual_seed(self.seed), 4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Growth:
    """Splits nodes. What is drawn for a node depends on the seed of its branch, not on the order of work."""

    config: TreeConfig
    workers: TreeWorkers | None
    memory_bytes: int

    def grow(self, root: _Branch) -> None:
        """Split a branch and all below it.

        Nodes in files are split one after the other, depth first, since each has a copy of its rows. Nodes in
        memory are split level by level, so that workers have several at a time.
        """
        node = root.rows
        if node.scratch is not None and not node.is_held:
            self._split([root], then=self.grow)
            return
        level = [root]
        while level:
            below: list[_Branch] = []
            self._split(level, then=below.append)
            level = below

    def _split(self, branches: Sequence[_Branch], then: Callable[[_Branch], None]) -> None:
        """Split nodes, or make them leaves; ``then`` is given each child as soon as it has its rows."""
        tasks = (self._task(branch) for branch in branches if self.is_large(branch))
        directions = run_in_order(tasks, ignore_event, workers=self.workers)
        for branch in branches:
            node = branch.rows
            found = best_split(node, next(directions), self.config) if self.is_large(branch) else None
            if found is None:
                branch.node = node.as_leaf()
                continue
            branch.node, branch.split = None, found.node
            left, right, *_ = branch.seeds
            for places, seed in ((found.left, left), (found.right, right)):
                child = _Branch(node=node.child(places), seed=seed)
                branch.children += (child,)
                then(child)

    def is_large(self, branch: _Branch) -> bool:
        """Return whether a node has too many rows for a leaf."""
        return len(branch.rows) > self.config.leaf_size

    def _task(self, branch: _Branch) -> DirectionTask:
        """Draw rows of a node for the model that gives its directions."""
        node, (*_, for_rows, for_model) = branch.rows, branch.seeds
        order = torch.randperm(len(node), generator=torch.Generator().manual_seed(for_rows))
        drawn = node.sample(order[: self.config.split_rows].sort().values)
        return DirectionTask(
            x=drawn.x,
            y=drawn.y,
            weights=drawn.weights,
            seed=for_model,
            leaf_size=self.config.leaf_size,
            memory_bytes=self.memory_bytes,
        )


def _draw_seeds(generator: torch.Generator, count: int) -> list[int]:
    """Return seeds of other generators."""
    return torch.randint(0, 2**62, (count,), generator=generator).tolist()


def iterate_tree(
    x: Tensor,
    y: Tensor,
    config: TreeConfig,
    *,
    generator: torch.Generator,
    weights: Tensor | None = None,
    routed: Tensor | None = None,
    held: Tensor | None = None,
    initial_feature_matrix: Tensor | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    on_event: OnEvent = ignore_event,
) -> Iterator[TreeModel]:
    """Grow a tree and yield it after each round of AGOP updates, ``t = 0 .. iterations``.

    All leaves of a yielded model are at the same ``t``. ``routed (n, d)`` are the rows encoded as for
    prediction, if that differs from ``x``. Splits use them, so that a row's leaf is fitted on rows that are
    routed like it. ``held`` are the numbers of rows to leave out. Other arguments as in
    :func:`xrfm_cli.leaf_models.iterate_leaf`.
    """
    rows = TrainingRows(x=x, routed=x if routed is None else routed, y=y, weights=weights)
    partition, seeds = _partitioned(rows, held, config, generator)
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
    workers: TreeWorkers | None = None,
    **options: Unpack[TreeFitOptions],
) -> TreeModel:
    """Return the last model of :func:`iterate_tree`, which documents the arguments.

    On a CPU, splits and leaves are computed one after the other, or by ``workers``; ``records`` keep leaves,
    so that a fit that was killed can go on. With ``scratch``, the inputs are in files, and so are the leaves
    of the model.
    """
    if x.device.type != "cpu":
        *_, last = iterate_tree(x, y, config, generator=generator, **options)
        return last
    memory_bytes = options.get("memory_bytes", DEFAULT_MEMORY_BYTES)
    weights, routed = options.get("weights"), options.get("routed")
    training = TrainingRows(x=x, routed=x if routed is None else routed, y=y, weights=weights)
    partition, seeds = _partitioned(
        training,
        options.get("held"),
        config,
        generator,
        scratch=scratch,
        workers=workers,
        memory_bytes=memory_bytes,
    )
    tasks = (
        LeafTask(
            x=rows.x,
            y=rows.y,
            weights=rows.weights,
            config=config.leaf,
            seed=seed,
            start=options.get("initial_feature_matrix"),
            memory_bytes=memory_bytes,
        )
        for rows, seed in ((node.gathered(), seed) for node, seed in zip(partition.nodes, seeds, strict=True))
    )
    on_event = options.get("on_event", ignore_event)
    leaves: list[LeafModel] = []
    for leaf in fitted_leaves(tasks, on_event, records=records, workers=workers):
        leaves.append(leaf if scratch is None else _kept(leaf, scratch))
    return TreeModel(config=config, splits=partition.splits, leaves=tuple(leaves))


def _partitioned(
    rows: TrainingRows,
    held: Tensor | None,
    config: TreeConfig,
    generator: torch.Generator,
    scratch: Scratch | None = None,
    workers: TreeWorkers | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> tuple[Partition, list[int]]:
    """Return the skeleton of a tree, and the seed of each leaf."""
    rows = fitted_rows(rows, held, scratch)
    if config.leaf.loss not in ORDER_LOSSES:  # their minimisers depend on each target, not on the mean
        rows = merge_equal_rows(rows, scratch)
    partition = grow(
        rows, config, generator=generator, scratch=scratch, workers=workers, memory_bytes=memory_bytes
    )
    return partition, _draw_seeds(generator, len(partition.nodes))


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
