"""Precision: float64 where it is needed, and its replacement on devices without it.

Apple's GPUs compute in float32 at most. There, sums and products use float32; decompositions, for which that
is not enough, run on the CPU. Everywhere else these functions are ``Tensor.double``.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WITHOUT_FLOAT64 = {"mps"}


def has_float64(device: torch.device) -> bool:
    """Return whether a device computes in float64.

    >>> has_float64(torch.device("cpu")), has_float64(torch.device("mps"))
    (True, False)
    """
    return device.type not in _WITHOUT_FLOAT64


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the widest floating-point type of a device.

    >>> wide_dtype(torch.device("cuda")), wide_dtype(torch.device("mps"))
    (torch.float64, torch.float32)
    """
    return torch.float64 if has_float64(device) else torch.float32


def widened(x: Tensor) -> Tensor:  # (...) -> (...)
    """Convert to the widest floating-point type of the device.

    >>> widened(torch.tensor([0.5]))
    tensor([0.5000], dtype=torch.float64)
    """
    return x.to(wide_dtype(x.device))


def in_float64(x: Tensor) -> Tensor:  # (...) -> (...)
    """Convert to float64, on the CPU if the device has none.

    >>> in_float64(torch.tensor([0.5]))
    tensor([0.5000], dtype=torch.float64)
    """
    return x.double() if has_float64(x.device) else x.cpu().double()
