"""Predict with a model larger than the memory: peak, seconds and the same numbers.

    python -m benchmarks.stored_model [--leaves 16384] [--rows 20000]

A model of leaves with 1,000 centers in 20 columns, 1.3 GiB by default, predicts a CSV table by the command
``xrfm predict``: in memory, and with values of ``--memory`` that leave no room for it. ``beyond_mib`` is the
peak beyond that of the same command with a model of one leaf. ``xrfm explain`` reads the model too, with the
smallest of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.many_leaves import COLUMNS, KERNELS, make_splits, make_tree
from benchmarks.measurements import Recorder, benchmark_parser
from xrfm_cli.main import run
from xrfm_cli.trees import TreeModel
from xrfm_cli.tuning.model.storage import load_model, save_model

DISTINCT = 64  # leaves that are generated; the other leaves of the file repeat their numbers
KERNEL = "norm"
MEMORIES = ("128MiB", "512MiB", "16GiB")
FIT_ROWS = 300


def make_table(rows: int, seed: int) -> pa.Table:
    """Return normal columns and a target."""
    x = np.random.default_rng(seed).normal(size=(rows, COLUMNS))
    return pa.table({f"x{k}": x[:, k] for k in range(COLUMNS)} | {"y": x[:, 0]})


def make_model(folder: Path, leaves: int) -> Path:
    """Fit a small model, replace its tree by one of this many leaves, and write it."""
    pyarrow.csv.write_csv(make_table(FIT_ROWS, 0), folder / "train.csv")
    small = folder / "small.xrfm"
    words = ("--target", "y", "--trials", "0", "--format", "json", "--quiet")
    assert run(["fit", str(folder / "train.csv"), *words, "--model", str(small)]) == 0
    model = load_model(small)
    (member,) = model.members
    assert member.tree.n_features == COLUMNS, member.tree.n_features
    few = make_tree(min(leaves, DISTINCT), KERNELS[KERNEL], 0.0)
    own = tuple(few.leaves[number % len(few.leaves)] for number in range(leaves))
    tree = TreeModel(config=few.config, splits=make_splits(leaves), leaves=own)
    path = folder / f"{leaves}.xrfm"
    save_model(replace(model, members=(replace(member, tree=tree),)), path)
    return path


def predict(folder: Path, model: Path, memory: str, output: str) -> dict[str, float]:
    """Predict the table; return the peak and the seconds."""
    return measure(
        "predict", folder / "rows.csv", "--model", model, "--memory", memory, "--output", folder / output
    )


def explain(model: Path, memory: str) -> dict[str, float]:
    """Explain a model from its file; return the peak and the seconds."""
    return measure("explain", "--model", model, "--memory", memory, "--format", "json")


def measure(*words: object) -> dict[str, float]:
    """Run the command in a process of its own; return its peak and its seconds."""
    command = [sys.executable, "-m", "xrfm_cli", *words, "--threads", "1", "--quiet"]
    begun = time.monotonic()
    child = os.spawnv(os.P_NOWAIT, sys.executable, [str(word) for word in command])
    _, status, usage = os.wait4(child, 0)
    assert status == 0
    return {
        "peak_mib": usage.ru_maxrss / 1024,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "seconds": time.monotonic() - begun,
    }


def main() -> None:
    """Measure each value of ``--memory``, and print a line for each figure."""
    parser: argparse.ArgumentParser = benchmark_parser(__doc__, "stored_model")
    parser.add_argument("--leaves", type=int, default=16_384)
    parser.add_argument("--rows", type=int, default=20_000)
    args = parser.parse_args()
    recorder = Recorder("stored_model", args.results)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pyarrow.csv.write_csv(make_table(args.rows, 1), folder / "rows.csv")
        with get_context("spawn").Pool(1) as pool:  # a process passes its peak on to those that it starts
            small, large = (pool.apply(make_model, (folder, leaves)) for leaves in (1, args.leaves))
        base = predict(folder, small, MEMORIES[0], "small.csv")["peak_mib"]
        size = large.stat().st_size / 2**20
        results = {memory: predict(folder, large, memory, f"{memory}.csv") for memory in MEMORIES}
        outputs = {(folder / f"{memory}.csv").read_bytes() for memory in MEMORIES}
        assert len(outputs) == 1, "predictions differ"
        base_of_explain = explain(small, MEMORIES[0])["peak_mib"]
        explained = explain(large, MEMORIES[0])
    rows = [(f"{args.rows:,} rows", memory, found, base) for memory, found in results.items()]
    for name, memory, found, least in [*rows, ("explain", MEMORIES[0], explained, base_of_explain)]:
        figures = {"model_mib": size, "beyond_mib": found["peak_mib"] - least} | found
        for metric, value in figures.items():
            recorder.add(name, metric, round(value, 2), setting=f"--memory {memory}")
            print(f"{name:12}  --memory {memory:8}  {metric:12} {value:10.2f}", flush=True)


if __name__ == "__main__":
    main()
