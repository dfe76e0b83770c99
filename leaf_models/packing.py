"""Matrices in 16 bits: whole numbers between the smallest and the largest value of each column.

They are four to eight times as exact as floating-point numbers of 16 bits, half of whose range is below one.
Steps are powers of two, so that values from the file are packed to themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from xrfm_cli.errors import ModelFileError

MOST = 65_535  # whole numbers of a column
FLOAT_BITS = 22  # steps of no fewer bits below the largest value: float32 holds their multiples exactly
SMALLEST_STEP = 2.0**-100
GRID = "_grid"  # ends the name of the lowest values and the steps of a packed matrix


def pack(values: Tensor) -> tuple[Tensor, Tensor]:  # (n, k) -> (n, k) int16, (2, k)
    """Return whole numbers, and the lowest value and the step of each column.

    >>> codes, grid = pack(torch.tensor([[0.0], [0.1], [1.0]]))
    >>> unpack(codes, grid).T, float(grid[1, 0]) == 2**-15
    (tensor([[0.0000, 0.1000, 1.0000]]), True)
    """
    wide = values.detach().cpu().double()
    low, high = wide.amin(0), wide.amax(0)
    # One step is left for rounding at both ends.
    span = torch.maximum((high - low) / (MOST - 1), torch.maximum(low.abs(), high.abs()) / 2**FLOAT_BITS)
    step = torch.exp2(torch.ceil(torch.log2(span.clamp_min(SMALLEST_STEP))))
    whole = torch.round(wide / step)
    lowest = whole.amin(0)
    codes = (whole - lowest - (MOST + 1) // 2).to(torch.int16)
    return codes, torch.stack([lowest * step, step]).float()


def unpack(codes: Tensor, grid: Tensor) -> Tensor:  # (n, k) int16, (2, k) -> (n, k) float32
    """Return the values of packed numbers.

    Raises ModelFileError for what no packing gives.
    """
    is_packed = codes.dtype == torch.int16 and grid.dtype == torch.float32
    if not is_packed or codes.ndim != 2 or grid.shape != (2, codes.shape[1]):
        raise ModelFileError("a packed matrix does not fit its grid. Fit the model again.")
    low, step = grid.double()
    values = (low + (codes.double() + (MOST + 1) // 2) * step).float()
    if not values.is_meta and not bool(values.isfinite().all()):
        raise ModelFileError("a packed matrix has values that are not finite. Fit the model again.")
    return values


def packed(tensors: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the tensors of a leaf, those of some names in 16 bits."""
    found = dict(tensors)
    for name in names:
        if name in found:
            found[name], found[name + GRID] = pack(found[name])
    return found


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a leaf in 32 bits."""
    grids = {name.removesuffix(GRID): tensor for name, tensor in tensors.items() if name.endswith(GRID)}
    plain = {name: tensor for name, tensor in tensors.items() if not name.endswith(GRID)}
    if not set(grids) <= set(plain):
        raise ModelFileError("a packed matrix has no numbers. Fit the model again.")
    return plain | {name: unpack(plain[name], grid) for name, grid in grids.items()}
