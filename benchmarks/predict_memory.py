"""Largest resident memory of ``xrfm predict`` by the number of rows: it must not grow with them.

    python -m benchmarks.predict_memory --rows 60000 600000 2400000

One table of 20 numeric columns and a category from a seed, a model of 2,000 of its rows, and for every format
the same rows from a file to a file. Memory is what the system says of the process that ended (``ru_maxrss``),
which counts what its parent held when it was started: tables are therefore made by processes of their own.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from benchmarks.measurements import Recorder, benchmark_parser

TRAINING_ROWS, COLUMNS, LEVELS = 2_000, 20, 50
FORMATS = {"csv": "CSV", "csv.gz": "CSV, gzip", "parquet": "Parquet, one row group", "arrow": "Arrow"}


def make_table(n: int, seed: int) -> pa.Table:
    """Numbers of full precision, a category of text, and the target ``y``."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, COLUMNS))
    levels = generator.integers(LEVELS, size=n)
    y = np.tanh(x[:, 0] + x[:, 1] * x[:, 2]) + 0.01 * levels + 0.1 * generator.standard_normal(n)
    columns = {f"x{k}": x[:, k] for k in range(COLUMNS)}
    return pa.table(columns | {"level": [f"level {k}" for k in levels], "y": y})


def _make(file: Path, n: int, seed: int) -> None:
    write(make_table(n, seed), file)


def make_file(file: Path, n: int, seed: int) -> None:
    """Write a table of ``n`` rows, in a process of its own."""
    maker = get_context("spawn").Process(target=_make, args=(file, n, seed))
    maker.start()
    maker.join()
    if maker.exitcode:
        raise SystemExit(f"{file} could not be made")


def write(table: pa.Table, file: Path) -> None:
    """The table in the format of the file's ending; Parquet as one row group."""
    if file.suffix == ".parquet":
        pq.write_table(table, file, row_group_size=table.num_rows)
    elif file.suffix == ".arrow":
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=65_536)
    elif file.suffix == ".gz":
        write(table, file.with_suffix(""))
        with file.with_suffix("").open("rb") as plain, gzip.open(file, "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed)
    else:
        pyarrow.csv.write_csv(table, file)


def peak_mib(command: list[str], folder: Path) -> float:
    """Largest resident memory of a command, in MiB."""
    child = subprocess.Popen(command, cwd=folder)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_maxrss / 1024


def measure(folder: Path, sizes: list[int]) -> Iterator[tuple[str, list[float]]]:
    """For every format its peaks, one a size."""
    program = [sys.executable, "-m", "xrfm_cli"]
    make_file(folder / "train.parquet", TRAINING_ROWS, 0)
    fit = ["fit", "train.parquet", "--target", "y", "--trials", "2", "--threads", "2", "--quiet"]
    subprocess.run([*program, *fit], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for ending in FORMATS:
        peaks = []
        for rows in sizes:
            data = folder / f"new.{ending}"
            make_file(data, rows, 1)
            output = f"out.{ending.removesuffix('.gz')}"
            predict = ["predict", data.name, "--output", output, "--threads", "2", "--quiet"]
            peaks.append(peak_mib([*program, *predict], folder))
        yield ending, peaks


def main() -> None:
    """Print a line for every format as it is measured."""
    parser = benchmark_parser(__doc__, "predict_memory")
    parser.add_argument("--rows", type=int, nargs="+", default=[60_000, 600_000, 2_400_000])
    args = parser.parse_args()
    print("| format | " + " | ".join(f"{rows:,}" for rows in args.rows) + " | most to least |", flush=True)
    recorder = Recorder("predict_memory", args.results)
    with tempfile.TemporaryDirectory() as name:
        for ending, peaks in measure(Path(name), args.rows):
            for rows, peak in zip(args.rows, peaks, strict=True):
                recorder.add(f"{rows:,} rows", "peak_mib", round(peak, 1), setting=FORMATS[ending])
            cells = " | ".join(f"{peak:.0f}" for peak in peaks)
            print(f"| {ending} | {cells} | {max(peaks) / min(peaks):.3f} |", flush=True)


if __name__ == "__main__":
    main()
