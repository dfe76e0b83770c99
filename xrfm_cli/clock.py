"""The clock of a time limit: when the process started, and how much other processes slow it down."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

START_FIELD = 19  # of /proc/self/stat after the name of the program: clock ticks since boot
SCHEDULE = Path("/proc/thread-self/schedstat")  # nanoseconds on a core, nanoseconds of waiting for one
LEAST_RUN_S = 0.1  # on a core: in less time, a few turns of other processes tell nothing


def process_start() -> float:
    """Return the start of this process on the clock of ``time.monotonic``; now if the system cannot tell."""
    return time.monotonic() - max(_age_s(), 0.0)


def seconds_of_thread() -> tuple[float, float]:
    """Return for how long this thread ran on a core, and for how long it was ready but had to wait for one.

    Linux counts both, waits at the limit of a container included; other systems do not, and give 0.
    """
    try:
        run_ns, waited_ns = SCHEDULE.read_bytes().split()[:2]
        return int(run_ns) / 1e9, int(waited_ns) / 1e9
    except (OSError, ValueError):
        return 0.0, 0.0


class Slowdown:
    """How many times as long this thread takes as on a core of its own, since the object was made.

    1 on a quiet machine, 2 beside an endless loop on the same core. Sleeping and reading do not count.

    >>> readings = iter([(5.0, 1.0), (7.0, 4.0)])
    >>> Slowdown(lambda: next(readings))()
    2.5
    """

    def __init__(self, read: Callable[[], tuple[float, float]] = seconds_of_thread) -> None:
        self._read, self._began = read, read()

    def __call__(self) -> float:
        """Return the factor; 1 if the thread has not run for long enough, or if the system cannot tell."""
        run_s, waited_s = (now - then for now, then in zip(self._read(), self._began, strict=True))
        return 1 + max(waited_s, 0.0) / run_s if run_s >= LEAST_RUN_S else 1.0


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
