"""The versions of the libraries that affect results, and the memory of this process."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.metadata import version

import psutil

PACKAGES = ("numpy", "torch", "pandas", "pyarrow", "optuna", "scikit-learn", "safetensors")


def library_versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that affect its results."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"python": python, "xrfm-cli": version("xrfm-cli"), **{name: version(name) for name in PACKAGES}}


def peak_memory_bytes() -> int:
    """Return the peak resident size of this process, or the current size if the system records no peak."""
    if sys.platform != "win32":
        with suppress(ImportError):
            import resource  # psutil reports the peak only on Windows

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return int(
                peak if sys.platform == "darwin" else peak * 1024
            )  # macOS counts in bytes, Linux in KiB
    memory = psutil.Process().memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))


def free_memory_bytes() -> int:
    """Return the memory that is available without taking any from other programs."""
    return int(psutil.virtual_memory().available)


def resident_bytes() -> int:
    """Return the resident size of this process now."""
    return int(psutil.Process().memory_info().rss)
