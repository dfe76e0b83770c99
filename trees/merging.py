"""Merge training rows with equal inputs into one row with their total weight and mean target.

Least squares gives the same result for copies of a row as for one row with their weight. But a leaf's work
grows with the cube of its rows, and no threshold can separate equal rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import wide_dtype
from xrfm_cli.trees.routing import project

CROWD = 100  # duplicate group size from which no single row moves the group's mean target
WORTHWHILE = 0.9  # merging must leave at most this share of the rows to be worth the weights
SEED = 0  # of the direction used to find equal rows; no result depends on it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRows:
    """The training rows of a tree."""

    x: Tensor  # (n, d), inputs of the leaves
    routed: Tensor  # (n, d), inputs of the splits: the rows encoded as for prediction
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,) positive


def merge_equal_rows(rows: TrainingRows) -> TrainingRows:
    """Merge rows with equal inputs, in the order of their first ones; return all unchanged if few are equal.

    Rows with equal ``routed`` may differ in ``x`` because of cross-fitted mean targets. In duplicate groups
    of at least :data:`CROWD` rows that difference is noise, but a leaf would take it for its scale, so such
    rows are merged with the mean of their inputs.

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
        """Return group means, on the CPU and in float64, so that the order of the sums is always the same."""
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
    """Return, for each row, the number of the first row that is equal to it."""
    direction = torch.randn(x.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))
    _, group = project(x, direction.to(x.device, wide_dtype(x.device))).unique(return_inverse=True)
    numbers = torch.arange(len(x), device=x.device)
    first = torch.full_like(numbers, len(x)).scatter_reduce_(0, group, numbers, "amin")[group]
    different = ~(x == x[first]).all(1)  # rows that agree only along that direction
    return torch.where(different, numbers, first)
