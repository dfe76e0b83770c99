"""Training rows with equal inputs become one row each, of their weight and their mean target.

Least squares cannot tell the two apart: so many copies of a row are one row of so much weight. But a leaf's
work grows with the cube of its rows, and no threshold can separate rows that are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import wide_dtype
from xrfm_cli.trees.routing import project

CROWD = 100  # rows that are equal in predictions, of which none by itself moves their mean target
WORTHWHILE = 0.9  # share of the rows that may be left, at most, for merging to be worth the weights
SEED = 0  # of the direction along which equal rows are looked for; no result depends on it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRows:
    """The rows of a tree."""

    x: Tensor  # (n, d), on which leaves are fitted
    routed: Tensor  # (n, d), by which splits send them: as the rows will be encoded for predictions
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,) positive


def merge_equal_rows(rows: TrainingRows) -> TrainingRows:
    """Rows with equal inputs merged, in the order of their first ones; all as they are, if few are equal.

    Rows that are equal where they are routed may differ where they are fitted, by what was left out of a
    cross-fitted mean target. Of :data:`CROWD` rows and more that difference says nothing, but a leaf would
    take it for its scale, so they are merged with the mean of their inputs.

    >>> x, y = torch.tensor([[1.0], [2.0], [1.0], [1.0]]), torch.tensor([[0.0], [5.0], [3.0], [6.0]])
    >>> merged = merge_equal_rows(TrainingRows(x=x, routed=x, y=y, weights=None))
    >>> merged.x.tolist(), merged.y.tolist(), merged.weights.tolist()
    ([[1.0], [2.0]], [[3.0], [5.0]], [3.0, 1.0])
    """
    n, device = len(rows.x), rows.x.device
    first = _first_equal(rows.routed)
    if rows.routed is not rows.x:
        in_crowd = first.bincount(minlength=n)[first] >= CROWD
        first = _first_equal(torch.cat([rows.routed, rows.x.masked_fill(in_crowd[:, None], 0.0)], dim=1))
    kept, place = first.unique(return_inverse=True)
    if len(kept) > WORTHWHILE * n:
        return rows
    mass = torch.ones(n, dtype=torch.float64) if rows.weights is None else rows.weights.cpu().double()
    total = torch.zeros(len(kept), dtype=torch.float64).index_add_(0, place.cpu(), mass)

    def mean(values: Tensor) -> Tensor:
        """On the processor and in float64, where the order of the sums is always the same."""
        sums = torch.zeros(len(kept), values.shape[1], dtype=torch.float64)
        sums.index_add_(0, place.cpu(), values.cpu().double() * mass[:, None])
        return (sums / total[:, None]).to(device, values.dtype)

    x = rows.x[kept] if rows.routed is rows.x else mean(rows.x)
    return TrainingRows(
        x=x,
        routed=x if rows.routed is rows.x else rows.routed[kept],
        y=mean(rows.y),
        weights=total.to(device, torch.float32),
    )


def _first_equal(x: Tensor) -> Tensor:  # (n, d) -> (n,)
    """For each row the number of the first row that is equal to it."""
    direction = torch.randn(x.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))
    _, group = project(x, direction.to(x.device, wide_dtype(x.device))).unique(return_inverse=True)
    numbers = torch.arange(len(x), device=x.device)
    first = torch.full_like(numbers, len(x)).scatter_reduce_(0, group, numbers, "amin")[group]
    different = ~(x == x[first]).all(1)  # rows that are alike along that direction alone
    return torch.where(different, numbers, first)
