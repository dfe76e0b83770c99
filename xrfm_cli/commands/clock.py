"""When the process began: the time limit of a fit counts from there."""

from __future__ import annotations

import os
import time
from pathlib import Path


def process_start() -> float:
    """When this process started, on the clock of ``time.monotonic``.

    Linux knows it to a hundredth of a second; elsewhere it is the time of this call.
    """
    now = time.monotonic()
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        booted_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # starttime, field 22 of proc_pid_stat(5)
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - booted_s
    except (OSError, ValueError, IndexError, AttributeError):
        return now
    return now - max(age_s, 0.0)
