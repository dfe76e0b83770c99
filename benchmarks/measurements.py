"""Measurements as data: one JSON line each in ``benchmarks/results``, one file for each suite.

Benchmark commands append lines, ``python -m benchmarks.page`` makes the pages and charts from them. Fields
that are not known are null. Where the same thing was measured several times, the last line counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
OPTIONAL = ("setting", "source", "extra")  # left out of a line where they are empty
OURS = "xrfm"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured figure."""

    suite: str  # the benchmark, which is also the name of the file
    table: str
    method: str
    setting: str | None = None  # options that differ from the benchmark's defaults
    commit: str | None = None  # of this project; null for other methods
    seed: int | None = None  # of the split and the fit
    time_limit_s: float | None = None
    metric: str
    value: float | None  # null if the method failed; ``extra`` then says how
    seconds: float | None = None  # what the measured step took, usually the fit
    machine: str | None = None
    source: str | None = None  # where the figure was copied from; null if the benchmark wrote it
    extra: dict[str, Any] = field(default_factory=dict)

    def to_line(self) -> str:
        """Return the measurement as a JSON line."""
        document = {part.name: getattr(self, part.name) for part in fields(self)}
        for name in OPTIONAL:
            if not document[name]:
                del document[name]
        return json.dumps(document, ensure_ascii=False, allow_nan=False)


def read(suite: str, folder: Path = RESULTS) -> list[Measurement]:
    """Read all measurements of a suite in the order in which they were made."""
    path = folder / f"{suite}.jsonl"
    if not path.exists():
        return []
    return [Measurement(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def select(rows: list[Measurement], **wanted: object) -> list[Measurement]:
    """Keep the measurements whose fields have the wanted values."""
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


class Recorder:
    """Appends the measurements of one run of a benchmark to a file."""

    def __init__(self, suite: str, path: Path) -> None:
        self.suite, self.path = suite, path
        self.commit, self.machine = describe_commit(), describe_machine()
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, table: str, metric: str, value: float | None, **facts: Any) -> Measurement:
        """Append one measurement; ``facts`` are further fields of it."""
        method = facts.pop("method", OURS)
        commit = self.commit if method == OURS else None
        facts = {"commit": commit, "machine": self.machine} | facts
        row = Measurement(suite=self.suite, table=table, method=method, metric=metric, value=value, **facts)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(row.to_line() + "\n")
        return row


def benchmark_parser(description: str | None, suite: str) -> argparse.ArgumentParser:
    """Return a parser with the option that names the file which measurements are appended to."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=RESULTS / f"{suite}.jsonl",
        help="the file to append measurements to (default: %(default)s)",
    )
    return parser


def describe_commit(checkout: Path = ROOT) -> str | None:
    """Name the commit of a checkout, with a plus where files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git here
        return None
    return done.stdout.strip() or None


def describe_machine() -> str:
    """Describe the processor, the cores that this process may use, the memory and the GPU."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = (line for line in cpuinfo.read_text().splitlines() if line.startswith("model name"))
        processor = next(names, f": {processor}").split(":", 1)[1].strip()
    affinity = getattr(os, "sched_getaffinity", None)
    parts = [f"{len(affinity(0)) if affinity else os.cpu_count()} cores of {processor}"]
    if hasattr(os, "sysconf"):
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB")
    return ", ".join([*parts, _describe_gpu()])


def _describe_gpu() -> str:
    try:
        import torch
    except ImportError:
        return "no GPU"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
