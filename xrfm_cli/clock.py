"""When the process began: the time limit of a fit counts from there."""

from __future__ import annotations

import sys
import time

import psutil


def process_start() -> float:
    """When this process started, on the clock of ``time.monotonic``; now, where the system does not tell."""
    try:
        started = psutil.Process().create_time()
        if sys.platform == "linux":
            # psutil adds the moment of the boot, which Linux tells in whole seconds; the rest is exact.
            age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - (started - psutil.boot_time())
        else:
            age_s = time.time() - started
    except (psutil.Error, OSError, RuntimeError):
        age_s = 0.0
    return time.monotonic() - max(age_s, 0.0)
