"""Products of a float32 matrix in memory with float64 columns: compiled, or in panels with torch."""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled.loops import extension, share_rows

PANEL = 64  # rows converted at a time, which stay in the cache


def multiply(matrix: Tensor, columns: Tensor) -> Tensor:  # (n, m) float32, (m, c) float64 -> (n, c)
    """Return the product, summed in float64; a row's sum depends neither on other rows nor on the threads.

    >>> multiply(torch.ones(2, 3), torch.ones(3, 1, dtype=torch.float64)).ravel()
    tensor([3., 3.], dtype=torch.float64)
    """
    n, m = matrix.shape
    if columns.shape[0] != m or matrix.dtype != torch.float32 or not matrix.is_contiguous():
        raise ValueError("tensors of shapes that do not fit together")
    out = torch.empty(n, columns.shape[1], dtype=torch.float64)
    if extension is None:
        panel = torch.empty(min(PANEL, n), m, dtype=torch.float64)
        for start in range(0, n, PANEL):
            rows = slice(start, min(start + PANEL, n))
            part = panel[: rows.stop - start]
            torch.mm(part.copy_(matrix[rows]), columns, out=out[rows])
        return out
    wide = columns.T.contiguous().double()

    def fill(rows: slice) -> None:
        part, target = matrix[rows], out[rows]
        extension.multiply(part.data_ptr(), len(part), m, wide.data_ptr(), len(wide), target.data_ptr())

    share_rows(fill, n, m)
    return out
