"""Resolve the value of ``--device``."""

from __future__ import annotations

import re

import torch

from xrfm_cli.errors import OptionError


def find_device(device: str) -> str:
    """Return the torch device for a name, resolving ``auto``; OptionError for an unavailable device.

    >>> find_device("cpu")
    'cpu'
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise OptionError(f"--device: '{device}' is not a device: auto, cpu, cuda, cuda:N or mps")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        _check_cuda(device)
    if device == "mps" and not torch.backends.mps.is_available():
        raise OptionError("--device: mps is not available here; use cpu")
    return device


def _check_cuda(device: str) -> None:
    if not torch.cuda.is_available():
        raise OptionError(f"--device: {device} is not available here; use cpu or auto (see xrfm doctor)")
    count = torch.cuda.device_count()
    number = int(device.partition(":")[2] or 0)
    if number >= count:
        raise OptionError(f"--device: {device} does not exist; the last one is cuda:{count - 1}")
