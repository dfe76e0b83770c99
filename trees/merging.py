"""Merge training rows with equal inputs into one row with their total weight and mean target.

Least squares gives the same result for copies of a row as for one row with their weight. But a leaf's work
grows with the cube of its rows, and no threshold can separate equal rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from xrfm_cli.datasets.scratch import BLOCK_ROWS, Scratch, forget_mapped
from xrfm_cli.leaf_models.precision import wide_dtype
from xrfm_cli.trees.node_rows import TrainingRows, taken_matrix
from xrfm_cli.trees.routing import project

LARGE_GROUP = 100  # duplicate group size from which no single row moves the group's mean target
WORTHWHILE = 0.9  # merging must leave at most this share of the rows to be worth the weights
SEED = 0  # of the direction used to find equal rows; no result depends on it


def merge_equal_rows(rows: TrainingRows, scratch: Scratch | None = None) -> TrainingRows:
    """Merge rows with equal inputs, in the order of their first ones; return all unchanged if few are equal.

    Rows with equal ``routed`` may differ in ``x`` because of cross-fitted mean targets. In duplicate groups
    of at least :data:`LARGE_GROUP` rows that difference is noise, but a leaf would adapt its bandwidth to it.
    So such rows are merged with the mean of their inputs.

    >>> x, y = torch.tensor([[1.0], [2.0], [1.0], [1.0]]), torch.tensor([[0.0], [5.0], [3.0], [6.0]])
    >>> merged = merge_equal_rows(TrainingRows(x=x, routed=x, y=y, weights=None))
    >>> merged.x.tolist(), merged.y.tolist(), merged.weights.tolist()
    ([[1.0], [2.0]], [[3.0], [5.0]], [3.0, 1.0])
    """
    n, device = len(rows.x), rows.x.device
    first = _first_equal(rows.routed, scratch)
    if rows.routed is not rows.x:
        in_large_group = first.bincount(minlength=n)[first] >= LARGE_GROUP
        first = _first_equal(_Beside(rows, in_large_group), scratch)
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

    def mean_inputs(values: Tensor) -> Tensor:
        """Return group means of inputs, one column after the other if they are in a file."""
        if scratch is None:
            return mean(values)
        out = torch.from_numpy(scratch.matrix(len(kept), values.shape[1]))
        for column in range(values.shape[1]):
            own = torch.empty(len(values), 1)
            for rows in _blocks(values, scratch):
                own[rows, 0] = values[rows, column]
            means = mean(own)[:, 0]
            for rows in _blocks(out, scratch):
                out[rows, column] = means[rows]
        return out

    def first_of_each(values: Tensor) -> Tensor:
        return values[kept] if scratch is None else taken_matrix(scratch, values, kept)

    x = first_of_each(rows.x) if rows.routed is rows.x else mean_inputs(rows.x)
    return TrainingRows(
        x=x,
        routed=x if rows.routed is rows.x else first_of_each(rows.routed),
        y=mean(rows.y),
        weights=total.to(device, torch.float32),
    )


class _Rows(Protocol):
    """Rows of a matrix, which may be computed as they are read."""

    @property
    def shape(self) -> torch.Size:
        """Return the number of rows and columns."""

    @property
    def device(self) -> torch.device:
        """Return where the rows are."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Tensor) -> Tensor: ...


class _Beside:
    """Inputs of splits and of leaves side by side; rows of a large group differ only in the former."""

    def __init__(self, rows: TrainingRows, in_large_group: Tensor) -> None:
        self._rows, self._in_large_group, self.device = rows, in_large_group, rows.x.device
        self.shape = torch.Size((len(rows.x), rows.routed.shape[1] + rows.x.shape[1]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        kept = self._rows.x[rows].masked_fill(self._in_large_group[rows, None], 0.0)
        return torch.cat([self._rows.routed[rows], kept], dim=1)


def _first_equal(x: _Rows, scratch: Scratch | None) -> Tensor:  # (n, d) -> (n,)
    """Return, for each row, the number of the first row that is equal to it."""
    direction = torch.randn(x.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))
    direction = direction.to(x.device, wide_dtype(x.device))
    # Pieces kept one by one between freed blocks would fragment the memory.
    projection = torch.empty(len(x), dtype=direction.dtype, device=x.device)
    for rows in _blocks(x, scratch):
        projection[rows] = project(x[rows], direction)
    _, group = projection.unique(return_inverse=True)
    numbers = torch.arange(len(x), device=x.device)
    first = torch.full_like(numbers, len(x)).scatter_reduce_(0, group, numbers, "amin")[group]
    # Rows that agree only along that direction:
    equal = torch.empty(len(x), dtype=torch.bool, device=x.device)
    for rows in _blocks(x, scratch):
        equal[rows] = (x[rows] == x[first[rows]]).all(1)
    return torch.where(equal, first, numbers)


def _blocks(x: _Rows, scratch: Scratch | None) -> Iterator[slice]:
    """Yield the places of a matrix's rows, a block at a time; a GPU takes all at once."""
    step = BLOCK_ROWS if scratch is None else scratch.block_rows(x.shape[1])
    step = step if x.device.type == "cpu" else max(len(x), 1)
    for start in range(0, len(x), step):
        yield slice(start, start + step)
        forget_mapped()
