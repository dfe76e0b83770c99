"""Set up the device and the threads of a command."""

from __future__ import annotations

import torch

from xrfm_cli.options.cores import usable_cores
from xrfm_cli.options.devices import find_device


def prepare_device(device: str, *, threads: int | None) -> str:
    """Set the number of threads, turn TF32 off and resolve the device name.

    Threads and TF32 are settings of the process, so only the command line changes them, never the library.
    torch turns TF32 off by default, but some containers turn it on through the environment.

    >>> prepare_device("cpu", threads=None)
    'cpu'
    """
    torch.set_num_threads(default_threads() if threads is None else threads)
    torch.set_float32_matmul_precision("highest")
    return find_device(device)


def default_threads() -> int:
    """Return the threads to use without ``--threads``: torch's default, at most the usable cores."""
    return min(torch.get_num_threads(), usable_cores())
