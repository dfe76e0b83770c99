"""The start time of the process, from which a fit's time limit counts."""

from __future__ import annotations

import sys
import time

import psutil


def process_start() -> float:
    """Return the start of this process on the clock of ``time.monotonic``; now if the system cannot tell."""
    try:
        started = psutil.Process().create_time()
        if sys.platform == "linux":
            # psutil adds the boot time, which Linux gives in whole seconds; subtracting it is exact again.
            age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - (started - psutil.boot_time())
        else:
            age_s = time.time() - started
    except (psutil.Error, OSError, RuntimeError):
        age_s = 0.0
    return time.monotonic() - max(age_s, 0.0)
