"""Where float64 is needed, and what stands in for it on a device that has none.

Apple's GPUs compute in float32 at most. Sums and products then stay there in float32; decompositions, for
which that is not enough, go to the processor. Everywhere else these functions are ``Tensor.double``.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WITHOUT_FLOAT64 = {"mps"}


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64.

    >>> has_float64(torch.device("cpu")), has_float64(torch.device("mps"))
    (True, False)
    """
    return device.type not in _WITHOUT_FLOAT64


def wide_dtype(device: torch.device) -> torch.dtype:
    """The widest type of number that a device has.

    >>> wide_dtype(torch.device("cuda")), wide_dtype(torch.device("mps"))
    (torch.float64, torch.float32)
    """
    return torch.float64 if has_float64(device) else torch.float32


def widened(x: Tensor) -> Tensor:  # (...) -> (...)
    """The same numbers in the widest type of their device.

    >>> widened(torch.tensor([0.5]))
    tensor([0.5000], dtype=torch.float64)
    """
    return x.to(wide_dtype(x.device))


def in_float64(x: Tensor) -> Tensor:  # (...) -> (...)
    """The same numbers in float64, on the processor if their device has none.

    >>> in_float64(torch.tensor([0.5]))
    tensor([0.5000], dtype=torch.float64)
    """
    return x.double() if has_float64(x.device) else x.cpu().double()
