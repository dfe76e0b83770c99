"""Values of rows in blocks of a fixed size, so that no row's value depends on other rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened

# Rows are predicted in blocks of this size, the last one padded with zeros: matrix products round
# differently for other shapes, and a row's prediction must not depend on other rows.
BLOCK_ROWS = 256


def expand(kernel_block: Tensor, columns: Tensor) -> Tensor:  # (b, m), (c, m) -> (b, c)
    """Compute ``kernel_block @ columns.T``, one output at a time, summed in float64.

    A matrix-vector product rounds a row in the same way at any position in the block; a product with several
    columns does not. Coefficients of both signs are large if the ridge is small: their sum in float32 keeps
    few digits, and which ones depends on the number of threads.
    """
    wide = widened(kernel_block)
    return torch.stack([wide @ column for column in widened(columns)], dim=1).to(kernel_block.dtype)


def in_blocks(values: Callable[[Tensor], Tensor], x: Tensor, outputs: int) -> Tensor:  # -> (n, outputs)
    """Return ``values(x)`` for rows ``x (n, d)``, computed in blocks of :data:`BLOCK_ROWS`.

    ``values`` maps a block ``(BLOCK_ROWS, d)`` to ``(BLOCK_ROWS, outputs)``.
    """
    out = torch.empty(len(x), outputs, dtype=x.dtype, device=x.device)
    block = torch.zeros(BLOCK_ROWS, x.shape[1], dtype=x.dtype, device=x.device)
    for start in range(0, len(x), BLOCK_ROWS):
        rows = min(BLOCK_ROWS, len(x) - start)
        block[:rows] = x[start : start + rows]
        block[rows:] = 0
        out[start : start + rows] = values(block)[:rows]
    return out
