"""Whether `xrfm fit --time-limit` holds on tables of odd shapes: each is fitted by the command.

    python benchmarks/limit_grid.py                          # all shapes, limits of 5 and 10 s
    python benchmarks/limit_grid.py --shape columns --limits 10

Every run appends a line to benchmarks/results/limit_grid.jsonl, and the worst overrun is printed. A limit
holds if the command ends within 5 % or 5 s of it, whichever is larger. Run it on a quiet machine: ``load`` is
the load average before the run, ``cpu_s`` the processor time that the run took.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

RESULTS = Path(__file__).parent / "results" / "limit_grid.jsonl"
LIMITS_S = (5.0, 10.0)
STUCK_S = 120.0  # beyond the limit, after which a run is stopped
WORDS = np.array([f"word{number:03}" for number in range(500)])
COLORS = np.array(["red", "green", "blue", "grey", "pink"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table to fit."""

    name: str
    rows: int
    columns: int
    kinds: str = "n"  # of the columns in turn: numbers, categories, dates, text, high cardinality
    classes: int = 0  # 0: a regression
    words: int = 12  # of a text


SHAPES = (
    Shape(name="ten rows", rows=10, columns=3),
    Shape(name="ten rows, classes", rows=10, columns=3, classes=2),
    Shape(name="columns 40 x 5,000", rows=40, columns=5_000),
    Shape(name="columns 2,000 x 2,000", rows=2_000, columns=2_000),
    Shape(name="columns 300 x 10,000", rows=300, columns=10_000),
    Shape(name="columns, categories", rows=300, columns=2_000, kinds="c"),
    Shape(name="columns, dates", rows=300, columns=2_000, kinds="d"),
    Shape(name="columns, text", rows=300, columns=500, kinds="t"),
    Shape(name="columns, mixed", rows=1_000, columns=1_000, kinds="ncdt", classes=3),
    Shape(name="classes 100", rows=5_000, columns=10, classes=100),
    Shape(name="classes 500", rows=10_000, columns=10, classes=500),
    Shape(name="classes 300, columns", rows=3_000, columns=500, classes=300),
    Shape(name="long texts", rows=2_000, columns=2, kinds="t", words=5_000),
    Shape(name="levels 100,000", rows=100_000, columns=3, kinds="h"),
    Shape(name="levels, classes", rows=100_000, columns=3, kinds="h", classes=20),
    Shape(name="rows 200,000", rows=200_000, columns=20),
    Shape(name="rows, classes", rows=50_000, columns=20, kinds="nc", classes=50),
)


def column(kind: str, rows: int, words: int, random: np.random.Generator) -> np.ndarray:
    """The cells of one column."""
    if kind == "n":
        return random.normal(size=rows).round(4)
    if kind == "c":
        return random.choice(COLORS, rows)
    if kind == "d":
        days = random.integers(0, 2_000, rows).astype("timedelta64[D]")
        return (np.datetime64("2020-01-01") + days).astype(str)
    if kind == "h":
        return np.char.add("level", random.integers(0, rows, rows).astype(str))
    return np.array([" ".join(random.choice(WORDS, words)) for _ in range(rows)])


def write_table(shape: Shape, path: Path) -> None:
    """A table of a shape: its target follows from its first column of numbers, if it has one, with noise."""
    random = np.random.default_rng(0)
    kinds = [shape.kinds[place % len(shape.kinds)] for place in range(shape.columns)]
    cells = {f"x{place}": column(kind, shape.rows, shape.words, random) for place, kind in enumerate(kinds)}
    signal = 3 * cells["x0"] if kinds[0] == "n" else np.zeros(shape.rows)
    truth = signal + random.normal(size=shape.rows)
    if shape.classes:
        codes = np.argsort(np.argsort(truth)) * shape.classes // shape.rows
        cells["y"] = np.char.add("class", codes.astype(str))
    else:
        cells["y"] = truth.round(4)
    pacsv.write_csv(pa.table(cells), path)


def run_fit(path: Path, limit_s: float) -> tuple[int | None, float, float]:
    """The command's status, None if it was stopped, its seconds and those of the processor."""
    command = [sys.executable, "-m", "xrfm_cli", "fit", str(path), "--target", "y", "--quiet"]
    command += ["--time-limit", f"{limit_s:g}s", "--model", str(path.with_suffix(".xrfm"))]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s + STUCK_S, check=False)
    except subprocess.TimeoutExpired:
        status = None
    else:
        status = done.returncode
        if status:
            print(done.stderr.decode()[-500:])
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return status, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commit() -> str:
    """The commit of this checkout, with a plus where files differ from it."""
    told = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(told, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    """Fit every shape under every limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shape", default="", help="run the shapes whose names contain this")
    parser.add_argument("--limits", type=float, nargs="+", default=LIMITS_S, help="seconds")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file to append to")
    args = parser.parse_args()
    worst = (-float("inf"), "")
    args.results.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for shape in (shape for shape in SHAPES if args.shape in shape.name):
            path = Path(folder) / "table.csv"
            write_table(shape, path)
            for limit_s in args.limits:
                load = os.getloadavg()[0]
                status, seconds, cpu_s = run_fit(path, limit_s)
                over = seconds - limit_s
                holds = status == 0 and over <= max(5.0, 0.05 * limit_s)
                facts = {"shape": asdict(shape), "limit_s": limit_s, "seconds": round(seconds, 2)}
                facts |= {"overrun_s": round(over, 2), "status": status, "holds": holds}
                facts |= {"cpu_s": round(cpu_s, 2), "load": round(load, 2), "commit": commit()}
                with args.results.open("a") as file:
                    file.write(json.dumps(facts) + "\n")
                print(
                    f"{shape.name:24} limit {limit_s:5g} s  took {seconds:7.2f} s  cpu {cpu_s:7.2f} s  "
                    f"status {status}  {'holds' if holds else 'BROKEN'}",
                    flush=True,
                )
                worst = max(worst, (over, f"{shape.name}, limit {limit_s:g} s"))
    print(f"worst overrun {worst[0]:.2f} s: {worst[1]}")


if __name__ == "__main__":
    main()
