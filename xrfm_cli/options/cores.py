"""Count the cores that this process may use, from its CPU affinity and its container's CPU quota."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

THREADS_OF_A_CORE, FEW_THREADS = 4, 64  # more do not help, and systems refuse thousands
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Return the number of cores that this process may use, at least 1."""
    found, quota = _cores_by_affinity(), cpu_quota()
    return max(1, found if quota is None else min(found, math.ceil(quota)))


def most_threads() -> int:
    """Return the maximum of ``--threads``; at least 64, so that any machine can reproduce another's fit."""
    return max(FEW_THREADS, THREADS_OF_A_CORE * (os.cpu_count() or 1))


def _cores_by_affinity() -> int:
    """Return the number of cores in the CPU affinity; all cores on macOS, which has no affinity."""
    if sys.platform == "linux" and hasattr(os, "sched_getaffinity"):
        with suppress(OSError):
            return len(os.sched_getaffinity(0))
    elif sys.platform != "darwin":
        import psutil

        with suppress(OSError, psutil.Error):
            return len(psutil.Process().cpu_affinity())
    return os.cpu_count() or 1


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float | None:
    """Return the CPU quota of this process's control groups, in CPUs; None without a quota.

    Groups are nested, and the smallest quota on the path to the root applies. Both cgroup versions are read.
    In a container the path may be the one on the host, so groups that do not exist are skipped. The root,
    where a container sees its own group, is always read.

    Args:
        root: mount point of the control groups.
        own: file that names the groups of this process.
    """
    quotas = [quota for folder in _folders(root, own) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the process's groups that may have a CPU quota, with all their parents."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    yield from (root, root / "cpu", root / "cpu,cpuacct")  # version 2, then version 1
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for top in (root, root / "unified") if not controllers else (root / "cpu", root / controllers):
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts)):
                yield top.joinpath(*parts[: depth + 1])


def _quota_of(folder: Path) -> float | None:
    """Return the quota of one group, in CPUs; None without a readable quota."""
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
