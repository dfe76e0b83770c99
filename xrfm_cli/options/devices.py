"""Resolve the value of ``--device``; its spelling is checked without torch."""

from __future__ import annotations

import re

from xrfm_cli.errors import OptionError
from xrfm_cli.mentions import option


def check_device_name(device: str) -> None:
    """Raise OptionError for a name that no device has.

    >>> check_device_name("gpu")
    Traceback (most recent call last):
    xrfm_cli.errors.OptionError: --device: 'gpu' is not a device: auto, cpu, cuda, cuda:N or mps
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise OptionError(f"{option('device')}: '{device}' is not a device: auto, cpu, cuda, cuda:N or mps")


def find_device(device: str) -> str:
    """Return the torch device for a name, resolving ``auto``; OptionError for an unavailable device.

    >>> find_device("cpu")
    'cpu'
    """
    import torch

    check_device_name(device)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        _check_cuda(device)
    if device == "mps" and not torch.backends.mps.is_available():
        raise OptionError(f"{option('device')}: mps is not available here; use cpu")
    return device


def _check_cuda(device: str) -> None:
    import torch

    if not torch.cuda.is_available():
        raise OptionError(
            f"{option('device')}: {device} is not available here; use cpu or auto (see xrfm doctor)"
        )
    count = torch.cuda.device_count()
    number = int(device.partition(":")[2] or 0)
    if number >= count:
        raise OptionError(f"{option('device')}: {device} does not exist; the last one is cuda:{count - 1}")
