"""How many cores this process may use: by its affinity, and by the CPU quota of its container."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

THREADS_OF_A_CORE, FEW_THREADS = 4, 64  # more gain nothing, and a system refuses to start thousands
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores that this process may use, at least 1."""
    found, quota = _cores_by_affinity(), cpu_quota()
    return max(1, found if quota is None else min(found, math.ceil(quota)))


def most_threads() -> int:
    """Threads to compute with at most; any machine may use a few, to repeat another machine's fit."""
    return max(FEW_THREADS, THREADS_OF_A_CORE * (os.cpu_count() or 1))


def _cores_by_affinity() -> int:
    """Cores that the process may run on; all of them on macOS, where nobody can choose."""
    if sys.platform != "darwin":
        with suppress(OSError, psutil.Error):
            return len(psutil.Process().cpu_affinity())
    return os.cpu_count() or 1


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float | None:
    """CPUs' worth of time that the control groups of this process allow; None without a quota.

    Groups are nested, and the smallest quota on the path up to the root holds. Version 1 and 2 of control
    groups are read. In a container the path may be that on the host: groups that do not exist are skipped,
    the root, where a container sees its own group, is always read.

    Args:
        root: where control groups are mounted.
        own: the file that names the groups of this process.
    """
    quotas = [quota for folder in _folders(root, own) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """The folders of the process's groups that may have a CPU quota, each with all above it."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    yield from (root, root / "cpu", root / "cpu,cpuacct")  # of version 2, and of version 1
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for top in (root, root / "unified") if not controllers else (root / "cpu", root / controllers):
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts)):
                yield top.joinpath(*parts[: depth + 1])


def _quota_of(folder: Path) -> float | None:
    """The quota of one group, in CPUs; None if it has none or cannot be read."""
    try:
        if (folder / "cpu.max").exists():
            allowed, period = (folder / "cpu.max").read_text().split()
        else:
            allowed = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        quota = -1.0 if allowed == "max" else int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return quota if quota > 0 else None
