"""Random mixtures of many outputs, whose gradients have the same average outer product.

The AGOP of a model ``f`` with ``c`` outputs sums over all of them, and its cost grows with ``c``. For a
matrix ``S`` ``(c, m)`` of random signs divided by ``sqrt(m)``, the model ``f S`` has ``m`` outputs. The
expectation of its AGOP is that of ``f``, since ``E[S S^T]`` is the identity. Achlioptas, Journal of Computer
and System Sciences 66 (2003).
"""

from __future__ import annotations

import torch
from torch import Tensor

MANY_OUTPUTS = 64  # up to this number, every output is differentiated
MIXTURES = 32  # number of mixtures beyond; averaged over rows, sums of squares are exact to a few per cent


def output_mixture(outputs: int, *, like: Tensor, generator: torch.Generator) -> Tensor | None:
    """Return random signs ``(outputs, MIXTURES)``, scaled, or None if every output is differentiated.

    >>> generator = torch.Generator().manual_seed(0)
    >>> output_mixture(10, like=torch.ones(1), generator=generator) is None
    True
    >>> output_mixture(300, like=torch.ones(1), generator=generator).shape
    torch.Size([300, 32])
    """
    if outputs <= MANY_OUTPUTS:
        return None
    signs = torch.randint(0, 2, (outputs, MIXTURES), generator=generator) * 2 - 1
    return signs.to(like) / MIXTURES**0.5
