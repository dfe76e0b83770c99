"""Fits by the command on a device and on the CPU, for ``gpu_check.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import torch
from torch import Tensor

from benchmarks.gpu_bench import SAME_MODEL, Bench, apart, rows
from benchmarks.measurements import ROOT

FIT_S = 60


def compare_fits(bench: Bench) -> None:
    """Fit two tables on the device and on the CPU at once; compare their test errors."""
    limit = FIT_S if not bench.is_small else 2
    with tempfile.TemporaryDirectory() as name:
        for table, write in (("california_housing", _write_regression), ("letter", _write_classes)):
            folder = Path(name) / table
            folder.mkdir()
            target, source = write(bench, folder, table)
            running = {}
            for device in dict.fromkeys((bench.device, "cpu")):
                words = (
                    f"fit train.csv --target {target} --time-limit {limit}s --device {device} --json --quiet"
                )
                running[device] = start_xrfm(f"{words} --no-early-stop --model {device}.xrfm", folder)
            for device, process in running.items():
                output, errors = process.communicate()
                if process.returncode:
                    raise RuntimeError(f"fit on {device}: {errors[-2_000:]}")
                document = json.loads(output)
                words = f"evaluate test.csv --model {device}.xrfm --device {device} --json --quiet"
                scores = json.loads(run_xrfm(words, folder))["metrics"]
                metric = "rmse" if "rmse" in scores else "error" if "error" in scores else "accuracy"
                states = [trial["state"] for trial in document["trials"]]
                bench.record(
                    "fits",
                    metric,
                    float(scores[metric]),
                    setting=f"{table} on {device}",
                    seconds=document["seconds"]["total"],
                    time_limit_s=limit,
                    extra={"source": source, "trials": len(states), "complete": states.count("complete")},
                )


def _write_regression(bench: Bench, folder: Path, name: str) -> tuple[str, str]:
    if bench.suite is not None:
        return _write_real(bench.suite, folder, name)
    x, y = rows(bench.size(20_000, 300), 8)
    return _write_made(folder, x, {"y": y[:, 0].numpy()})


def _write_classes(bench: Bench, folder: Path, name: str) -> tuple[str, str]:
    if bench.suite is not None:
        return _write_real(bench.suite, folder, name)
    x, y = rows(bench.size(20_000, 300), 16)
    edges = np.quantile(y[:, 0].numpy(), np.linspace(0, 1, 6)[1:-1])
    return _write_made(folder, x, {"y": np.char.add("c", np.digitize(y[:, 0].numpy(), edges).astype(str))})


def _write_real(suite: Path, folder: Path, name: str) -> tuple[str, str]:
    from benchmarks.suite import read_split

    split = read_split(suite, name, seed=0)
    for part, table in (("train", split.train), ("test", split.test)):
        stored = pa.table({name: table.stored(name) for name in table.column_names})
        pa_csv.write_csv(stored, folder / f"{part}.csv")
    return split.target, "real rows"


def _write_made(folder: Path, x: Tensor, target: dict[str, np.ndarray]) -> tuple[str, str]:
    data = pa.table({f"x{j}": x[:, j].numpy() for j in range(x.shape[1])} | target)
    cut = data.num_rows // 5
    pa_csv.write_csv(data[cut:], folder / "train.csv")
    pa_csv.write_csv(data[:cut], folder / "test.csv")
    return "y", "made-up rows"


def start_xrfm(words: str, folder: Path) -> subprocess.Popen[str]:
    """Start the command in a folder, with this checkout."""
    command, pipe = [sys.executable, "-m", "xrfm_cli", *words.split()], subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=environment)


def run_xrfm(words: str, folder: Path) -> str:
    """Run the command; raise what it said if it failed."""
    process = start_xrfm(words, folder)
    output, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"xrfm {words}: {errors[-2_000:]}")
    return output


def _columns(path: Path) -> dict[str, list[float]]:
    return pa_csv.read_csv(path).to_pydict()


def compare_model_files(bench: Bench) -> None:
    """Fit by the command on the device; predict on the device and on the CPU."""
    with tempfile.TemporaryDirectory() as name:
        folder, sample = Path(name), ROOT / "datasets" / "samples" / "autos.csv"
        words = f"fit {sample} --target price --trials 2 --folds 2 --device {bench.device} --model m.xrfm"
        run_xrfm(words, folder)
        found = {}
        for device in dict.fromkeys((bench.device, "cpu")):
            run_xrfm(f"predict {sample} --model m.xrfm --device {device} --output {device}.csv", folder)
            found[device] = torch.tensor(_columns(folder / f"{device}.csv")["prediction"])
    value = apart(found[bench.device], found["cpu"])
    bench.record("predictions", "model_file", value, setting="autos", extra={"tolerance": SAME_MODEL})
