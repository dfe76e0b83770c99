"""Explanation of a tree in encoded coordinates: sampled rows and gradients.

A kernel machine keeps its training rows as centers, and a linear leaf keeps their means and standard
deviations, so a tree can be explained without the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xrfm_cli.datasets.scratch import forget_mapped
from xrfm_cli.leaf_models import LeafModel, LinearLeaf
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.stored_leaves import outlines

DEFAULT_MEMORY_BYTES = 256 << 20


class Rows(Protocol):
    """Rows of a matrix, which may be gathered as they are read."""

    @property
    def device(self) -> torch.device:
        """Return where the rows are."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptRows:
    """The training rows that the leaves of a tree keep, each once, in the order of the leaves.

    They stay in the leaves until they are asked for. A row in the overlap of two leaves is a center of both.
    It is counted in the leaf that it is routed to.
    """

    leaves: Sequence[LeafModel]
    owned: tuple[Tensor, ...]  # bool (m,) of each leaf: which of its centers count

    @property
    def device(self) -> torch.device:
        """Return where the rows are."""
        return self.owned[0].device

    def __len__(self) -> int:
        return sum(int(own.sum()) for own in self.owned)

    def __getitem__(self, rows: Tensor) -> Tensor:  # (k,) -> (k, d)
        """Return some of the rows; each leaf is read once."""
        stops = torch.tensor([int(own.sum()) for own in self.owned], device=self.device).cumsum(0)
        in_leaf = torch.searchsorted(stops, rows, right=True)
        order = in_leaf.argsort(stable=True)
        numbers, counts = in_leaf[order].unique_consecutive(return_counts=True)
        like = outlines(self.leaves)[0].centers
        found = [torch.empty(0, like.shape[1], dtype=like.dtype, device=self.device)]
        for number, own in zip(numbers.tolist(), rows[order].split(counts.tolist()), strict=True):
            places = self.owned[number].nonzero()[:, 0]
            first = int(stops[number]) - len(places)
            found.append(self.leaves[number].centers[places[own - first]])
            forget_mapped(trims=False)
        gathered = torch.cat(found)
        return torch.empty_like(gathered).index_copy_(0, order, gathered)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSummary:
    """Statistics of the training rows, as far as the tree keeps them."""

    rows: Rows  # (m, d): the rows themselves, or the row mean of each linear leaf
    mean: Tensor  # (d,) float64
    deviations: Tensor  # (d,) float64


def summarise_rows(tree: TreeModel) -> RowSummary:
    """Summarise the training rows from the rows or statistics that the leaves keep.

    All leaves of a tree are of one family. A linear leaf's rows are represented by their mean: the leaf's
    gradient is the same at all of them, and the mean lies on the same side of every split as the rows do.
    """
    if isinstance(outlines(tree.leaves)[0], LinearLeaf):
        return _summarise_linear([leaf for leaf in tree.leaves if isinstance(leaf, LinearLeaf)])
    owned: list[Tensor] = []
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    for number, leaf in enumerate(tree.leaves):  # one after the other: a large model does not fit into memory
        owned.append(tree.route(leaf.centers) == number)
        rows = leaf.centers[owned[-1]].double()
        if len(rows):  # Chan, Golub, LeVeque: Updating formulae for computing sample variances (1979)
            n, total, change = len(rows), count + len(rows), rows.mean(0) - mean
            squares = squares + n * rows.var(0, correction=0) + (count * n / total) * change**2
            count, mean = total, mean + change * (n / total)
        forget_mapped(trims=False)
    kept = KeptRows(leaves=tree.leaves, owned=tuple(owned))
    return RowSummary(rows=kept, mean=mean, deviations=(squares / count).sqrt())


def _summarise_linear(leaves: list[LinearLeaf]) -> RowSummary:
    rows = torch.stack([leaf.mean for leaf in leaves])
    sizes = torch.tensor([leaf.n_rows for leaf in leaves], dtype=torch.float64, device=rows.device)
    shares = sizes[:, None] / sizes.sum()
    mean = (shares * rows.double()).sum(0)
    squares = torch.stack([leaf.deviations.double().square() for leaf in leaves])
    variance = (shares * (squares + (rows.double() - mean).square())).sum(0)
    return RowSummary(rows=rows, mean=mean, deviations=variance.sqrt())


def sample_rows(kept: Rows, rows: int, *, generator: torch.Generator) -> Tensor:  # (m, d) -> (n, d)
    """Return at most ``rows`` of the kept rows, drawn without replacement and in random order.

    >>> sample_rows(torch.eye(3), 2, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    order = torch.randperm(len(kept), generator=generator)[:rows]
    return kept[order.to(kept.device)]


def gradient_blocks(
    tree: TreeModel, x: Tensor, *, memory_bytes: int = DEFAULT_MEMORY_BYTES
) -> Iterator[tuple[slice, Tensor]]:
    """Yield gradients of rows ``x (n, d)`` in blocks ``(b, c, d)`` within the byte budget, with slices."""
    step = _rows_per_block(tree, memory_bytes)
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, tree.gradients(x[rows])


def _rows_per_block(tree: TreeModel, memory_bytes: int) -> int:
    """Return how many rows' gradients fit: several kernel blocks of the largest leaf, and the gradients."""
    largest = max(len(leaf.centers) for leaf in outlines(tree.leaves))
    return max(1, memory_bytes // (4 * (6 * largest + 4 * tree.n_outputs * tree.n_features)))
