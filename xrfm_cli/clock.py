"""The start time of the process, from which a fit's time limit counts."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

START_FIELD = 19  # of /proc/self/stat after the name of the program: clock ticks since boot


def process_start() -> float:
    """Return the start of this process on the clock of ``time.monotonic``; now if the system cannot tell."""
    return time.monotonic() - max(_age_s(), 0.0)


def _age_s() -> float:
    """Return the seconds since the process started, or 0."""
    if sys.platform == "linux" and hasattr(os, "sysconf"):
        try:
            facts = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
            started_s = int(facts[START_FIELD]) / os.sysconf("SC_CLK_TCK")
            return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s
        except (OSError, ValueError, IndexError):
            return 0.0
    import psutil  # takes a tenth of the time of most errors

    try:
        return time.time() - float(psutil.Process().create_time())
    except (psutil.Error, OSError, RuntimeError):
        return 0.0
