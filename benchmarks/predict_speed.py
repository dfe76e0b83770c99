"""Rows a second that a model of 10,000 centers predicts, beside CatBoost and the reference package.

    python benchmarks/predict_speed.py --others-python REFENV/bin/python

One table of 20 columns from a seed. ``xrfm predict`` runs as a user calls it, from a file to a file, and so
its seconds hold the start of the process, reading and writing. ``in memory`` is what the same rows take in
memory, kernel values and their weighted sums alone. The others (an environment with catboost and xrfm 0.4.5)
predict the same rows in memory, read beforehand, each fitted on the same 10,000 rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from measurements import Recorder, benchmark_parser  # by path: the others' environment runs this file, too

CENTERS, COLUMNS = 10_000, 20
PINNED = ["leaf_size=20000", "kernel=norm", "kernel_p=2", "kernel_q=1", "bandwidth=1.4", "iterations=1"]


def make_rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``(n, columns)`` and a bent target ``(n,)``."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n, COLUMNS)).astype(np.float32)
    return x, np.tanh(x[:, 0] + x[:, 1] * x[:, 2]) + 0.1 * generator.standard_normal(n)


def as_table(x: np.ndarray, y: np.ndarray | None = None) -> pa.Table:
    """Columns ``x0 ..``, and the target ``y``."""
    columns = {f"x{k}": x[:, k] for k in range(x.shape[1])}
    return pa.table(columns if y is None else columns | {"y": y})


def ours(folder: Path, x: np.ndarray) -> dict[tuple[str, str], float]:
    """Seconds of the whole command for each kind of file, and of the arithmetic."""
    import torch

    from xrfm_cli.tuning.model.storage import load_model

    command = [sys.executable, "-m", "xrfm_cli"]
    fit = [*command, "fit", "train.parquet", "--target", "y", "--trials", "0", "--threads", "2", "--quiet"]
    for pin in PINNED:
        fit += ["--set", pin]
    subprocess.run(fit, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = {}
    for ending, name in (("csv", "CSV"), ("parquet", "Parquet")):
        began = time.perf_counter()
        predict = [
            *command,
            "predict",
            f"new.{ending}",
            "--output",
            f"out.{ending}",
            "--threads",
            "2",
            "--quiet",
        ]
        subprocess.run([*predict, "--quiet"], cwd=folder, check=True)
        seconds["xrfm", f"{name} to {name}"] = time.perf_counter() - began
    torch.set_num_threads(2)
    (member,) = load_model(folder / "model.xrfm").members
    assert sum(leaf.n_rows for leaf in member.tree.leaves) == CENTERS
    rows = torch.from_numpy(x)
    began = time.perf_counter()
    for block in rows.split(2_048):
        member.tree.predict(block)
    seconds["xrfm", "in memory"] = time.perf_counter() - began
    return seconds


def theirs(folder: Path) -> dict[tuple[str, str], float]:
    """Seconds that the other packages take for the same rows in memory; run in their own environment."""
    import torch
    from catboost import CatBoostRegressor
    from xrfm.rfm_src import RFM  # noqa: TID251

    data = np.load(folder / "rows.npz")
    x, y, new = data["x"], data["y"].astype(np.float32), data["new"]
    boosted = CatBoostRegressor(verbose=0, thread_count=2, allow_writing_files=False).fit(x, y)
    began = time.perf_counter()
    boosted.predict(new, thread_count=2)
    seconds = {("catboost", "in memory"): time.perf_counter() - began}
    torch.set_num_threads(2)
    machine = RFM(kernel="l2", bandwidth=7.0, exponent=1.0, iters=1, diag=True, device="cpu", verbose=False)
    train = (torch.from_numpy(x), torch.from_numpy(y)[:, None])
    machine.fit(train, (train[0][:2], train[1][:2]), reg=1e-3, iters=1, return_best_params=False)
    began = time.perf_counter()
    for block in torch.from_numpy(new).split(2_048):
        machine.predict(block)
    seconds["xrfm_ref", "in memory"] = time.perf_counter() - began
    return seconds


def main() -> None:
    """Write the rows, time both sides, print rows a second."""
    parser = benchmark_parser(__doc__, "predict_speed")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--others-python", help="the Python of an environment with catboost and xrfm 0.4.5")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(
            "\n".join(
                f"{method}\t{setting}\t{took}" for (method, setting), took in theirs(args.worker).items()
            )
        )
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x, y = make_rows(CENTERS, 0)
        new, _ = make_rows(args.rows, 1)
        np.savez(folder / "rows.npz", x=x, y=y, new=new)
        pq.write_table(as_table(x, y), folder / "train.parquet")
        pq.write_table(as_table(new), folder / "new.parquet")
        pyarrow.csv.write_csv(as_table(new), folder / "new.csv")
        seconds = ours(folder, new)
        if args.others_python:
            command = [args.others_python, __file__, "--worker", str(folder)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for method, setting, took in (line.split("\t") for line in output.splitlines()):
                seconds[method, setting] = float(took)
    recorder = Recorder("predict_speed", args.results)
    table = f"{args.rows:,} rows, {CENTERS:,} centers"
    for (method, setting), took in seconds.items():
        facts = {"method": method, "setting": setting, "seconds": round(took, 2)}
        recorder.add(table, "rows_a_second", round(args.rows / took), **facts)
        print(f"{f'{method}, {setting}':36s} {took:8.2f} s  {args.rows / took:12,.0f} rows a second")


if __name__ == "__main__":
    main()
