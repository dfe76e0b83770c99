"""Fit tables of growing numbers of rows whole: seconds, memory, error and model size.

    python -m benchmarks.any_size [--rows 10000 100000 1000000] [--memory 8GiB] [--peer PYTHON]
    python -m benchmarks.any_size --rows 50000 100000 --wide 1500
    python -m benchmarks.any_size --tables FOLDER/sgemm_gpu.parquet FOLDER/skin_segmentation.parquet

The target depends on three directions of 19 numbers (a multi-index model), on a category of 50 levels, and on
noise. The installed command fits all rows, with one configuration and leaves of ``--leaf-size`` rows, and
predicts 100,000 others. ``--sample N`` also fits N rows of the largest table. With ``--peer``, LightGBM of
that Python fits 500 trees to the same rows. CPU seconds and peaks are those of whole processes.

With ``--wide``, tables have that many columns of small integers. With ``--tables``, real tables are fitted,
whose target is the last column: four fifths of the rows, drawn at random, are fitted, the others predicted.
The error of classes is the share of wrong ones.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.any_size_page import REAL
from benchmarks.measurements import Recorder, benchmark_parser

COLUMNS, DIRECTIONS, LEVELS = 19, 3, 50
GROUP_ROWS, TEST_ROWS, WIDE_GROUP_ROWS = 100_000, 100_000, 20_000
NOISE = 0.3
LEAF_SIZE = 2_000
FIT = ("--target", "y", "--trials", "0", "--search-rows", "10000", "--fit-rows", "all", "--format", "json")
LIGHTGBM = """
import json, sys
import lightgbm, numpy, pandas
train, test, out, LEVELS = *sys.argv[1:4], int(sys.argv[4])
def read(path):
    table = pandas.read_parquet(path)
    table["kind"] = table["kind"].astype(pandas.CategoricalDtype([f"k{k}" for k in range(LEVELS)]))
    return table.drop(columns="y"), table["y"].to_numpy()
x, y = read(train)
model = lightgbm.LGBMRegressor(n_estimators=500, verbose=-1, random_state=0, n_jobs=-1).fit(x, y)
x, y = read(test)
error = float(numpy.sqrt(numpy.mean((model.predict(x) - y) ** 2)))
json.dump({"rmse": error}, open(out, "w"))
"""


LOOK_S = 0.5  # between two looks at the files of a process


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Seconds, memory and files of a process."""

    cpu_s: float
    peak_mib: float
    disk_mib: float  # of mapped files without a name, at most


def write_table(path: Path, rows: int, seed: int) -> None:
    """Write a Parquet file group by group; the law is the same for every seed."""
    law = np.random.default_rng(0)
    directions = law.normal(size=(COLUMNS, DIRECTIONS)) / math.sqrt(COLUMNS)
    effects = law.normal(size=LEVELS)

    def group(generator: np.random.Generator, n: int) -> pa.Table:
        x = generator.normal(size=(n, COLUMNS)).astype(np.float32)
        kind = generator.integers(0, LEVELS, n)
        a, b, c = (x @ directions).T
        y = np.sin(2 * a) + b * c + 0.5 * effects[kind] * (a > 0) + generator.normal(0, NOISE, n)
        columns = {f"x{k}": x[:, k] for k in range(COLUMNS)}
        return pa.table(columns | {"kind": [f"k{k}" for k in kind], "y": y.astype(np.float32)})

    write_groups(path, rows, seed, group, size=GROUP_ROWS)


def write_groups(
    path: Path, rows: int, seed: int, group: Callable[[np.random.Generator, int], pa.Table], *, size: int
) -> None:
    """Write groups of at most ``size`` rows, each drawn with its own generator."""
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, size):
        table = group(np.random.default_rng([seed, start]), min(size, rows - start))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def run(command: Sequence[object], output: str | Path = os.devnull) -> Usage:
    """Run a command to its end, with its standard output in a file; raise an error if it fails."""
    ended, disk_mib = 0, 0.0
    with Path(output).open("wb") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file)
        while not ended:
            time.sleep(LOOK_S)
            disk_mib = max(disk_mib, mapped_mib(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with status {process.returncode}")
    cpu_s, peak_mib = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return Usage(cpu_s=cpu_s, peak_mib=peak_mib, disk_mib=disk_mib)


def mapped_mib(pid: int) -> float:
    """Return the size of the files without a name that a process has mapped, on Linux."""
    maps, size = Path(f"/proc/{pid}/maps"), 0
    for line in maps.read_text().splitlines() if maps.exists() else ():
        if line.endswith("(deleted)"):
            begin, end = line.split()[0].split("-")
            size += int(end, 16) - int(begin, 16)
    return size / 2**20


def error_of(predicted: Path, test: Path) -> float:
    """Return the root mean square error over the deviation of the target, or the share of wrong classes."""
    y = pq.read_table(test, columns=["y"])["y"].to_numpy()
    found = pq.read_table(predicted)["prediction"].to_numpy()
    if found.dtype.kind != "f":  # classes, which may be whole numbers
        return float(np.mean(found.astype(str) != y.astype(str)))
    y = y.astype(float)
    return float(np.sqrt(np.mean((found - y) ** 2)) / y.std())


def write_wide(path: Path, rows: int, seed: int, columns: int) -> None:
    """Write a Parquet file of integers from 0 to 9; the first four columns determine the target."""

    def group(generator: np.random.Generator, n: int) -> pa.Table:
        x = generator.integers(0, 10, (n, columns), dtype=np.int8)
        a, b, c, d = (x[:, :4].T - 4.5) / 2.87  # of deviation 1
        y = np.sin(2 * a) + b * c + d + generator.normal(0, NOISE, n)
        return pa.table({f"x{k}": x[:, k] for k in range(columns)} | {"y": y.astype(np.float32)})

    write_groups(path, rows, seed, group, size=WIDE_GROUP_ROWS)


def divide(path: Path, train: Path, test: Path) -> None:
    """Write four fifths of a real table's rows, drawn at random, and the others; the target is called y."""
    table = pq.read_table(path)
    table = table.rename_columns([*table.column_names[:-1], "y"])
    order = np.random.default_rng(0).permutation(table.num_rows)
    cut = table.num_rows * 4 // 5
    for file, rows in ((train, order[:cut]), (test, order[cut:])):
        pq.write_table(table.take(pa.array(np.sort(rows))), file)


def measure_ours(train: Path, test: Path, folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Fit and predict by the command."""
    model, out = folder / "model.xrfm", folder / "out.parquet"
    xrfm = [sys.executable, "-m", "xrfm_cli"]
    machine = ("--memory", args.memory, "--threads", args.threads, "--quiet")
    own = ("--set", f"leaf_size={args.leaf_size}", "--model", model)
    fitted = run([*xrfm, "fit", train, *FIT, *own, *machine])
    predicted = run([*xrfm, "predict", test, "--model", model, "--output", out, *machine])
    return {
        "error": error_of(out, test),
        "cpu_s": fitted.cpu_s,
        "peak_mib": fitted.peak_mib,
        "disk_mib": fitted.disk_mib,
        "model_mib": model.stat().st_size / 2**20,
        "predict_cpu_s": predicted.cpu_s,
        "predict_peak_mib": predicted.peak_mib,
    }


def measure_lightgbm(python: str, train: Path, test: Path, folder: Path) -> dict[str, float]:
    """Fit LightGBM, which reads the table whole."""
    out = folder / "peer.json"
    usage = run([python, "-c", LIGHTGBM, train, test, out, LEVELS])
    deviation = pq.read_table(test, columns=["y"])["y"].to_numpy().astype(float).std()
    error = float(json.loads(out.read_text(encoding="utf-8"))["rmse"] / deviation)
    return {"error": error, "cpu_s": usage.cpu_s, "peak_mib": usage.peak_mib}


def measure(
    folder: Path, rows: int, args: argparse.Namespace
) -> Iterator[tuple[str, str | None, dict[str, float]]]:
    """Yield the method, its setting and its figures, one after the other on the same rows."""
    train, test, few = (folder / f"{name}.parquet" for name in ("train", "test", "few"))
    with get_context("spawn").Pool(1) as pool:  # a process passes its peak on to those that it starts
        if args.wide:
            pool.starmap(write_wide, [(train, rows, 1, args.wide), (test, WIDE_GROUP_ROWS, 2, args.wide)])
        else:
            pool.starmap(write_table, [(train, rows, 1), (test, TEST_ROWS, 2)])
    yield "xrfm", None, measure_ours(train, test, folder, args)
    if args.sample and rows == max(args.rows):
        with get_context("spawn").Pool(1) as pool:
            pool.apply(write_table, (few, args.sample, 1))
        yield "xrfm", f"{args.sample:,} rows", measure_ours(few, test, folder, args)
    if args.peer:
        yield "LightGBM", None, measure_lightgbm(args.peer, train, test, folder)


def measure_real(path: Path, args: argparse.Namespace) -> tuple[int, dict[str, float]]:
    """Return the rows of a real table, and the figures of four fifths of them."""
    with tempfile.TemporaryDirectory() as name:
        train, test = Path(name, "train.parquet"), Path(name, "test.parquet")
        with get_context("spawn").Pool(1) as pool:
            pool.apply(divide, (path, train, test))
        rows = pq.read_metadata(train).num_rows
        return rows, measure_ours(train, test, Path(name), args)


def name_of(rows: int, args: argparse.Namespace) -> str:
    """Return the name of a generated table."""
    return f"{rows:,} rows" + (f" of {args.wide:,} small integers" if args.wide else "")


def main() -> None:
    """Measure each table, and print a line for each."""
    parser = benchmark_parser(__doc__, "any_size")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--sample", type=int, help="also fit this many rows of the largest table")
    parser.add_argument("--leaf-size", type=int, default=LEAF_SIZE)
    parser.add_argument("--memory", default="8GiB")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peer", metavar="PYTHON", help="a Python with lightgbm, pandas and pyarrow")
    parser.add_argument("--wide", type=int, metavar="COLUMNS", help="columns of small integers instead")
    parser.add_argument("--tables", type=Path, nargs="+", help="Parquet files to fit instead")
    args = parser.parse_args()
    recorder = Recorder("any_size", args.results)
    extra = {"leaf_size": args.leaf_size, "memory": args.memory, "threads": args.threads}
    for path in args.tables or ():
        rows, figures = measure_real(path, args)
        for metric, value in figures.items():
            recorder.add(
                path.stem, metric, round(value, 4), method="xrfm", setting=REAL, extra=extra | {"rows": rows}
            )
        print(f"{path.stem} {rows:,} rows {figures}", flush=True)
    for rows in () if args.tables else args.rows:
        with tempfile.TemporaryDirectory() as name:
            for method, setting, figures in measure(Path(name), rows, args):
                if method == "xrfm" and args.leaf_size != LEAF_SIZE:
                    setting = ", ".join(filter(None, [setting, f"leaves of {args.leaf_size:,} rows"]))
                for metric, value in figures.items():
                    facts = {"method": method, "setting": setting, "extra": extra}
                    recorder.add(name_of(rows, args), metric, round(value, 4), **facts)
                print(f"{rows:>12,} {method} {setting or ''} {figures}", flush=True)


if __name__ == "__main__":
    main()
