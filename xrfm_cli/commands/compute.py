"""The device and the threads that a command computes with."""

from __future__ import annotations

import re

import torch

from xrfm_cli.cores import usable_cores
from xrfm_cli.datasets.errors import OptionError


def prepare_device(device: str, *, threads: int | None) -> str:
    """Set the number of threads, turn TF32 off and return the device that ``auto`` stands for.

    Both belong to the process, so only the front door sets them; the library takes them as they are. torch
    leaves TF32 off too, unless the environment asks for it, as some containers do.

    >>> prepare_device("cpu", threads=None)
    'cpu'
    """
    torch.set_num_threads(default_threads() if threads is None else threads)
    torch.set_float32_matmul_precision("highest")
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise OptionError(f"--device: '{device}' is not a device: auto, cpu, cuda, cuda:N or mps")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        _check_cuda(device)
    if device == "mps" and not torch.backends.mps.is_available():
        raise OptionError("--device: mps is not available here; use cpu")
    return device


def default_threads() -> int:
    """Threads without ``--threads``: torch's number, but no more than the cores that may be used."""
    return min(torch.get_num_threads(), usable_cores())


def _check_cuda(device: str) -> None:
    if not torch.cuda.is_available():
        raise OptionError(
            f"--device: {device} is not available here; use cpu or auto (xrfm doctor says more)"
        )
    count = torch.cuda.device_count()
    number = int(device.partition(":")[2] or 0)
    if number >= count:
        raise OptionError(f"--device: {device} does not exist; the last one is cuda:{count - 1}")
