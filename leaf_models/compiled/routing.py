"""Compiled routing of rows through the splits of a tree."""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled.loops import extension, share_rows


def vote(
    x: Tensor,
    splits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    *,
    enough: float,
    most: int,
) -> tuple[Tensor, Tensor]:  # (n, d) -> (n, most), (n, most)
    """Return the heaviest leaves of each row and their weights, until they hold ``enough`` or are ``most``.

    ``splits`` are directions ``(s, d)``, thresholds ``(s,)``, widths ``(s,)`` and slacks ``(s, 2)`` in
    float64 and children ``(s, 2)`` in int64. The unused places are leaf -1 of weight 0. The first leaf of a
    row is -1 where the rounding of a projection decides a hard split.
    """
    leaves, masses = x.new_empty(len(x), most, dtype=torch.int64), x.new_empty(len(x), most).double()
    _descend(x, splits, enough, most, leaves, masses)
    return leaves, masses


def descend(x: Tensor, splits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]) -> Tensor:  # (n, d) -> (n,)
    """Return the leaf of each row under hard routing, -1 where the rounding of a projection decides."""
    leaves = x.new_empty(len(x), dtype=torch.int64)
    _descend(x, splits, 1.0, 1, leaves, None)
    return leaves


def _descend(
    x: Tensor,
    splits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    enough: float,
    most: int,
    leaves: Tensor,
    masses: Tensor | None,
) -> None:
    x = x.contiguous()
    directions, thresholds, widths, slacks, children = splits
    if directions.shape[1] != x.shape[1] or not all(part.is_contiguous() for part in splits):
        raise ValueError("tensors of shapes that do not fit together")

    def walk(rows: slice) -> None:
        part = x[rows]
        extension.vote(
            part.data_ptr(),
            len(part),
            x.shape[1],
            directions.data_ptr(),
            thresholds.data_ptr(),
            widths.data_ptr(),
            slacks.data_ptr(),
            children.data_ptr(),
            len(directions),
            enough,
            most,
            leaves[rows].data_ptr(),
            0 if masses is None else masses[rows].data_ptr(),
        )

    share_rows(walk, len(x), x.shape[1] * len(directions).bit_length())
