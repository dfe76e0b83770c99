"""Explanation of a tree in encoded coordinates: sampled rows and gradients.

A kernel machine keeps its training rows as centers, and a linear leaf keeps their means and standard
deviations, so a tree can be explained without the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models import LinearLeaf
from xrfm_cli.trees.model import TreeModel
from xrfm_cli.trees.stored_leaves import outlines

DEFAULT_MEMORY_BYTES = 256 << 20


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


def _rows_per_block(tree: TreeModel, memory_bytes: int) -> int:
    """Return how many rows' gradients fit: several kernel blocks of the largest leaf, and the gradients."""
    largest = max(len(leaf.centers) for leaf in outlines(tree.leaves))
    return max(1, memory_bytes // (4 * (6 * largest + 4 * tree.n_outputs * tree.n_features)))
