"""Check that `xrfm fit --time-limit` holds on tables of odd shapes: each is fitted by the command.

    python -m benchmarks.limit_grid                          # all shapes, limits of 5 and 10 s
    python -m benchmarks.limit_grid --shapes columns --limits 10
    python -m benchmarks.limit_grid --shapes "rows 200," "rows, classes" --limits 10 30 --busy 2

Every run appends a line to the results, and the worst overrun is printed. A limit holds if the command ends
within 5 % or 5 s of it, whichever is larger. Run it on a quiet machine: ``load`` is the load average before
the run, ``cpu_s`` the processor time that the run took. With ``--busy``, endless loops run beside each fit.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from benchmarks.busy_cores import busy_loops
from benchmarks.measurements import Recorder, benchmark_parser
from benchmarks.more_tables import limit_holds

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
    Shape(name="rows 200, mixed", rows=200, columns=25, kinds="nnc"),
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


def main() -> None:
    """Fit every shape under every limit."""
    parser = benchmark_parser(__doc__, "limit_grid")
    parser.add_argument("--shapes", nargs="+", default=[""], help="run the shapes whose names begin so")
    parser.add_argument("--busy", type=int, default=0, help="endless loops that run beside each fit")
    parser.add_argument("--limits", type=float, nargs="+", default=LIMITS_S, help="seconds")
    args = parser.parse_args()
    worst = (-float("inf"), "")
    recorder = Recorder("limit_grid", args.results)
    with tempfile.TemporaryDirectory() as folder:
        for shape in (shape for shape in SHAPES if shape.name.startswith(tuple(args.shapes))):
            path = Path(folder) / "table.csv"
            write_table(shape, path)
            for limit_s in args.limits:
                load = os.getloadavg()[0]
                with busy_loops(args.busy):
                    status, seconds, cpu_s = run_fit(path, limit_s)
                over = seconds - limit_s
                holds = limit_holds(over, limit_s, status)
                extra = {"status": status, "cpu_s": round(cpu_s, 2), "load": round(load, 2)}
                report = path.with_suffix(".report.json")
                if status == 0 and args.busy:  # where the seconds went
                    extra["stages"] = json.loads(report.read_text(encoding="utf-8"))["seconds"]
                facts = {"seed": 0, "time_limit_s": limit_s, "seconds": round(seconds, 2), "extra": extra}
                setting = f"{args.busy} busy loops" if args.busy else None
                recorder.add(shape.name, "overrun_s", round(over, 2), setting=setting, **facts)
                print(
                    f"{shape.name:24} limit {limit_s:5g} s  took {seconds:7.2f} s  cpu {cpu_s:7.2f} s  "
                    f"status {status}  {'holds' if holds else 'BROKEN'}",
                    flush=True,
                )
                worst = max(worst, (over, f"{shape.name}, limit {limit_s:g} s"))
    print(f"worst overrun {worst[0]:.2f} s: {worst[1]}")


if __name__ == "__main__":
    main()
