"""The training rows of a tree and of its nodes, in memory or in files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from xrfm_cli.datasets.scratch import ARENA_BYTES, Scratch, forget_mapped
from xrfm_cli.trees.routing import project


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRows:
    """The training rows of a tree, or of some of its nodes."""

    x: Tensor  # (n, d), inputs of the leaves
    routed: Tensor  # (n, d), inputs of the splits: the rows encoded as for prediction
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,) positive

    def take(self, rows: Tensor, *, with_routed: bool = True) -> TrainingRows:
        """Return some of the rows in memory; ``routed`` is ``x`` if it is not needed."""
        x = self.x[rows]
        is_apart = with_routed and self.routed is not self.x
        return TrainingRows(
            x=x,
            routed=self.routed[rows] if is_apart else x,
            y=self.y[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    def taken_to(self, scratch: Scratch, rows: Tensor, *, is_held: bool) -> TrainingRows:
        """Return some of the rows that are in files, with their inputs in memory or in other files."""
        x = taken_matrix(scratch, self.x, rows, is_held=is_held)
        is_apart = self.routed is not self.x
        return TrainingRows(
            x=x,
            routed=taken_matrix(scratch, self.routed, rows, is_held=is_held) if is_apart else x,
            y=self.y[rows],
            weights=None if self.weights is None else self.weights[rows],
        )


def fitted_rows(rows: TrainingRows, held: Tensor | None, scratch: Scratch | None) -> TrainingRows:
    """Return the rows of positive weight that are not among the row numbers held back."""
    is_kept = torch.ones(len(rows.x), dtype=torch.bool, device=rows.x.device)
    if rows.weights is not None:
        is_kept = rows.weights > 0
    if held is not None:
        is_kept[held] = False
    if bool(is_kept.all()):
        return rows
    places = is_kept.nonzero()[:, 0]
    return rows.take(places) if scratch is None else rows.taken_to(scratch, places, is_held=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    """A node's rows: some or all of the rows that are kept together with those of other nodes.

    Nodes of a tree in memory share all its rows. With ``scratch``, the rows of a node are copied next to each
    other, into memory as soon as they fit: reading rows that are scattered over a file reads the whole file.
    """

    rows: TrainingRows
    own: Tensor  # (k,) row numbers, increasing
    scratch: Scratch | None = None
    is_held: bool = False  # whether these rows are in memory although the tree's are not

    @classmethod
    def root(cls, rows: TrainingRows, scratch: Scratch | None) -> Self:
        """Return the node of all rows."""
        return cls(rows=rows, own=torch.arange(len(rows.x), device=rows.x.device), scratch=scratch)

    def __len__(self) -> int:
        return len(self.own)

    def sample(self, places: Tensor) -> TrainingRows:
        """Return some of the node's rows in memory."""
        found = self.rows.take(self.own[places], with_routed=False)
        if self.scratch is not None:
            forget_mapped()
        return found

    def weights(self) -> Tensor | None:
        """Return the weights of the node's rows."""
        return None if self.rows.weights is None else self.rows.weights[self.own]

    def project(self, direction: Tensor) -> Tensor:  # (d,) -> (k,)
        """Return the node's rows along a direction of a split."""
        routed = self.rows.routed
        if self.scratch is None:
            return project(routed[self.own], direction)
        step = self.scratch.block_rows(routed.shape[1])
        out = torch.empty(len(self.own), dtype=direction.dtype)
        for start in range(0, len(self.own), step):
            out[start : start + step] = project(routed[self.own[start : start + step]], direction)
            forget_mapped()
        return out

    def child(self, places: Tensor) -> Node:
        """Return the node of some of these rows, copied next to each other if they are in files."""
        own = self.own[places]
        if self.scratch is None or self.is_held:
            return Node(rows=self.rows, own=own, scratch=self.scratch, is_held=self.is_held)
        size = 4 * len(own) * self.rows.x.shape[1] * (1 if self.rows.routed is self.rows.x else 2)
        is_held = size <= self.scratch.held_bytes
        rows = self.rows.taken_to(self.scratch, own, is_held=is_held)
        return Node(rows=rows, own=torch.arange(len(own)), scratch=self.scratch, is_held=is_held)

    def as_leaf(self) -> Node:
        """Return the node with its rows kept until its leaf is fitted, in a file if the tree is.

        Many leaves share a file: systems limit how many are mapped, and releasing pages visits each.
        """
        if self.scratch is None:
            return self
        if 4 * len(self.own) * self.rows.x.shape[1] > ARENA_BYTES:
            x = taken_matrix(self.scratch, self.rows.x, self.own)
        else:
            x = torch.from_numpy(self.scratch.array(self.rows.x[self.own].numpy()))
            forget_mapped()
        weights = self.weights()
        rows = TrainingRows(x=x, routed=x, y=self.rows.y[self.own], weights=weights)
        return Node(rows=rows, own=torch.arange(len(self.own)), scratch=self.scratch)

    def gathered(self) -> TrainingRows:
        """Return the node's rows for the fit of its leaf."""
        if self.scratch is not None:
            return self.rows
        return self.rows.take(self.own, with_routed=False)


def taken_matrix(scratch: Scratch, matrix: Tensor, rows: Tensor, *, is_held: bool = False) -> Tensor:
    """Copy rows of a matrix in a file to another file or to memory; a few are read at a time."""
    shape = len(rows), matrix.shape[1]
    out = torch.empty(shape) if is_held else torch.from_numpy(scratch.matrix(*shape))
    step = scratch.block_rows(matrix.shape[1])
    for start in range(0, len(rows), step):
        out[start : start + step] = matrix[rows[start : start + step]]
        forget_mapped()
    return out
