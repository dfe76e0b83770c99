"""Cores that a process may use: affinity and the quota of its control groups."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from xrfm_cli.options import cores
from xrfm_cli.options.cores import cpu_quota, usable_cores

V1, V2 = "3:cpuset:/\n2:cpu,cpuacct:/{0}\n1:memory:/elsewhere\n", "0::/{0}\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (V2, {}, None),
        (V2, {"cpu.max": "max 100000"}, None),
        (V2, {"cpu.max": "150000 100000"}, 1.5),  # a container sees its own group as the root
        (V2, {"a/b/cpu.max": "50000 100000"}, 0.5),
        (V2, {"a/cpu.max": "50000 100000", "a/b/cpu.max": "400000 100000"}, 0.5),  # the smallest above
        (V2, {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3.0),
        (V2, {"c/cpu.max": "50000 100000"}, None),  # of another process
        (V2, {"cpu.max": "what"}, None),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (V1, {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1.0),
        (
            V1,
            {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (V1, {"cpu/a/cpu.cfs_quota_us": "20000", "cpu/a/cpu.cfs_period_us": "10000"}, 2.0),
        (V1, {"memory/a/cpu.max": "50000 100000"}, None),
        (None, {"cpu.max": "200000 100000"}, 2.0),
    ],
)
def test_the_smallest_quota_on_the_path_holds(
    own: str | None, files: dict[str, str], expected: float | None, tmp_path: Path
) -> None:
    root, told = tmp_path / "cgroup", tmp_path / "own"
    root.mkdir()
    if own is not None:
        told.write_text(own.format("a/b"))
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    assert cpu_quota(root, told) == expected


@pytest.mark.parametrize(("quota", "expected"), [(0.2, 1), (1.0, 1), (1.5, 2), (64.0, None), (None, None)])
def test_usable_cores_are_those_of_quota_and_affinity(
    quota: float | None, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda process: [0, 3, 5], raising=False)
    assert usable_cores() == (expected or 3)


def test_without_affinity_every_core_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cpu_quota", lambda: None)

    def refuse(process: object) -> list[int]:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getaffinity", refuse, raising=False)
    monkeypatch.setattr(psutil.Process, "cpu_affinity", refuse, raising=False)
    assert usable_cores() == os.cpu_count()


def test_doctor_and_commands_keep_to_the_quota(
    xrfm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    monkeypatch.setattr(cores.cpu_quota, "__defaults__", (tmp_path, tmp_path / "none"))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "7"))
    torch.set_num_threads(3)
    try:
        threads = xrfm("doctor", "--json").document["threads"]
    finally:
        torch.set_num_threads(before)
    assert (threads["usable_cores"], threads["torch"]) == (1, 1)
