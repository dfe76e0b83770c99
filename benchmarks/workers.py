"""Seconds of a fit and of a prediction with one worker process and with two, on the same rows.

    python -m benchmarks.workers [--rows 200 2000 5000] [--leaves 40000] [--predict 300000]

Of ``--rows``, seconds of a search; of ``--leaves``, seconds of a final model in leaves of 2,000 rows, from
the first row that is encoded to the last leaf; of ``--predict``, seconds of a prediction by it. Each
is done twice, in turns, and the shorter time counts. Run it on an idle machine. Models and predictions must
be equal; the command says so if they are not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.measurements import Recorder, benchmark_parser, read
from benchmarks.search_speed import rows
from xrfm_cli.events import ignore_event
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.config import TreeConfig
from xrfm_cli.trees.growing import grow
from xrfm_cli.trees.node_rows import TrainingRows
from xrfm_cli.trees.tasks import LeafTask, fitted_leaves
from xrfm_cli.tuning.search.pools.tree_pool import tree_pool

TRIALS = {200: 20, 2_000: 12, 5_000: 6}  # some ten to thirty seconds each
TURNS = 2
MEMORY_BYTES = 1 << 32
LEAF_SIZE, LEAF_ROWS = 2_000, 40_000
WHOLE = ("--trials", "0", "--search-rows", "4000", "--fit-rows", "all", "--set", f"leaf_size={LEAF_SIZE}")
THREADS: tuple[tuple[tuple[str, ...], str], ...] = (((), ""), (("--threads", "1"), ", one thread"))


def main() -> None:
    """Measure each size with one worker and with two."""
    parser = benchmark_parser(__doc__, "workers")
    parser.add_argument("--rows", nargs="*", type=int, default=list(TRIALS))
    parser.add_argument("--leaves", nargs="*", type=int, default=[LEAF_ROWS], help="rows of final models")
    parser.add_argument("--alone", nargs="*", type=int, default=[24_000], help="rows of leaves alone")
    parser.add_argument("--predict", nargs="*", type=int, default=[300_000], help="rows to predict")
    arguments = parser.parse_args()
    recorder = Recorder("workers", arguments.results)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in arguments.rows:
            write(folder / "rows.parquet", n)
            words = fit_words(folder, ("--trials", TRIALS.get(n, 6)))
            compare(recorder, f"{n:,} rows", words, folder / "m.xrfm", "search")
        for n in arguments.alone:
            compare_leaves(recorder, n)
        for n in arguments.leaves:
            write(folder / "rows.parquet", n)
            for more, said in THREADS:
                words = fit_words(folder, (*WHOLE, *more))
                table = f"{n:,} rows in leaves of {LEAF_SIZE:,}{said}"
                compare(recorder, table, words, folder / "m.xrfm", "refit")
        for n in arguments.predict:
            write(folder / "rows.parquet", LEAF_ROWS)
            run(fit_words(folder, WHOLE))
            write(folder / "new.parquet", n)
            out = folder / "out.parquet"
            for more, said in THREADS:
                words = (
                    "predict",
                    folder / "new.parquet",
                    "--model",
                    folder / "m.xrfm",
                    "--output",
                    out,
                    *more,
                )
                compare(recorder, f"predict {n:,} rows{said}", words, out, None)


def compare_leaves(recorder: Recorder, n: int) -> None:
    """Time the leaves of one tree alone, with one thread each: its growth is serial."""
    x, y = (torch.from_numpy(values).float().reshape(n, -1) for values in rows(n))
    leaf = LeafConfig(bandwidth=16.0, bandwidth_mode="adaptive", ridge=0.006, iterations=1, agop_rows=2_000)
    config = TreeConfig(leaf_size=LEAF_SIZE, split_rows=LEAF_SIZE, leaf=leaf)
    partition = grow(
        TrainingRows(x=x, routed=x, y=y, weights=None), config, generator=torch.Generator().manual_seed(0)
    )
    seconds: dict[int, list[float]] = {1: [], 2: []}
    cpu: dict[int, list[float]] = {1: [], 2: []}
    with compute_threads(1):
        for workers in (1, 2) * TURNS:
            before = sum(os.times()[:4])  # of this process, and of its workers when they have ended
            with tree_pool(workers, ignore_event) as pool:
                begun = time.perf_counter()
                tasks = (_task(node.gathered(), leaf) for node in partition.nodes)
                deque(fitted_leaves(tasks, ignore_event, workers=pool), maxlen=0)
                seconds[workers].append(round(time.perf_counter() - begun, 2))
            cpu[workers].append(round(sum(os.times()[:4]) - before, 2))
    name = f"{len(partition.nodes)} leaves of {n // len(partition.nodes):,} rows alone"
    for workers, taken in seconds.items():
        facts = {"method": "xrfm", "setting": f"workers={workers}"}
        recorder.add(name, "leaves_s", min(taken), **facts, extra={"cpu_s": min(cpu[workers])})
        print(name, f"workers={workers}", taken, "CPU", cpu[workers], flush=True)


def _task(own: TrainingRows, config: LeafConfig) -> LeafTask:
    return LeafTask(
        x=own.x, y=own.y, weights=None, config=config, seed=0, start=None, memory_bytes=MEMORY_BYTES
    )


def write(path: Path, n: int) -> None:
    """Write a table of n rows."""
    x, y = rows(n)
    frame = pd.DataFrame(x, columns=[f"v{k}" for k in range(x.shape[1])]).assign(y=y)
    frame.to_parquet(path)


def fit_words(folder: Path, words: Sequence[object]) -> tuple[object, ...]:
    """Return the arguments of a fit of the table in a folder."""
    own = ("fit", folder / "rows.parquet", "--target", "y", "--model", folder / "m.xrfm", "--format", "json")
    return (*own, *words)


def run(words: Sequence[object]) -> dict[str, Any]:
    """Run the command and return its document."""
    command = [sys.executable, "-m", "xrfm_cli", *map(str, words), "--json"]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def compare(recorder: Recorder, name: str, words: Sequence[object], written: Path, stage: str | None) -> None:
    """Run a command with one worker and with two, in turns; record the least seconds of it, or of a stage."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    contents: set[bytes] = set()
    for workers in (1, 2) * TURNS:
        document = run((*words, "--workers", workers))
        taken = document["seconds"]
        seconds[workers].append(taken if stage is None else taken[stage])
        contents.add(written.read_bytes())
    for workers, all_taken in seconds.items():
        extra = {"trials": len(document["trials"]), "score": document["score"]} if stage else {}
        facts = {"method": "xrfm", "setting": f"workers={workers}", "extra": extra}
        recorder.add(name, f"{stage or 'predict'}_s", round(min(all_taken), 2), **facts)
        print(name, f"workers={workers}", all_taken, flush=True)
    if len(contents) > 1:
        print(f"{name}: {written.name} differs")


def workers_table() -> str:
    """Return the table of the page."""
    latest = {(row.table, row.setting): row for row in read("workers")}
    lines = [
        "| table | trials | one worker, s | two, s | times faster | CPU s | commit |",
        "|" + " --- |" * 7,
    ]
    for (table, setting), one in latest.items():
        two = latest.get((table, "workers=2"))
        if setting != "workers=1" or two is None or not one.value or not two.value:
            continue
        seconds = f"| {one.value:.1f} | {two.value:.1f} | {one.value / two.value:.2f} |"
        cpu = " and ".join(str(row.extra["cpu_s"]) for row in (one, two) if "cpu_s" in row.extra)
        lines.append(f"| {table} | {one.extra.get('trials', '')} {seconds} {cpu} | {two.commit} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
