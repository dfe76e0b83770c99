"""The device and the threads that a command computes with."""

from __future__ import annotations

import torch

from xrfm_cli.options.cores import usable_cores
from xrfm_cli.options.devices import find_device


def prepare_device(device: str, *, threads: int | None) -> str:
    """Set the number of threads, turn TF32 off and return the device that ``auto`` stands for.

    Both belong to the process, so only the front door sets them; the library takes them as they are. torch
    leaves TF32 off too, unless the environment asks for it, as some containers do.

    >>> prepare_device("cpu", threads=None)
    'cpu'
    """
    torch.set_num_threads(default_threads() if threads is None else threads)
    torch.set_float32_matmul_precision("highest")
    return find_device(device)


def default_threads() -> int:
    """Threads without ``--threads``: torch's number, but no more than the cores that may be used."""
    return min(torch.get_num_threads(), usable_cores())
