"""The script for machines with a GPU, small and on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from benchmarks.gpu_sections import SECTIONS
from benchmarks.measurements import ROOT, Measurement, read
from tests.processes import run_process

pytest.importorskip("triton", reason="Triton is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.posix("sends signals to groups of processes")]


def check(folder: Path, *words: object) -> tuple[CompletedProcess[str], list[Measurement]]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu_check",
        "--cpu",
        "--out",
        folder / "gpu_check.jsonl",
        *words,
    ]
    return run_process(command, folder=ROOT, limit_s=400), read("gpu_check", folder)


def test_every_section_runs_and_stays_within_its_tolerances(tmp_path: Path) -> None:
    done, rows = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row.table for row in rows} == set(SECTIONS)
    assert {row.table for row in rows if row.metric == "section_s"} == set(SECTIONS)
    assert all("failed" not in row.extra for row in rows)
    bounded = [row for row in rows if "tolerance" in row.extra]
    assert {row.table for row in bounded} == {"predictions", "triton"}
    assert all(row.value is not None and row.value <= row.extra["tolerance"] for row in bounded)


def test_a_section_that_fails_leaves_its_traceback_and_the_next_one_runs(tmp_path: Path) -> None:
    done, rows = check(tmp_path, "--suite", tmp_path, "--sections", "fits", "stages")
    assert done.returncode == 1
    failed, *others = rows
    assert (failed.table, failed.value) == ("fits", None)
    assert "Traceback" in failed.extra["failed"]
    assert "suite.json" in failed.extra["failed"]
    assert others[-1].table == "stages"
    assert others[-1].value is not None


def test_a_section_ends_with_its_time(tmp_path: Path) -> None:
    done, rows = check(tmp_path, "--total", "0.5", "--sections", "stages", "tree")
    assert done.returncode == 1
    assert "took more than" in rows[0].extra["failed"]
    assert rows[1].extra["failed"] == "no time was left of 0.5 s"
