"""Seconds of a search with one worker process and with two, on the same rows and for the same trials.

    python -m benchmarks.workers [--rows 200 2000 5000]

Run it on an idle machine. The models must be equal; the command says so if they are not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.measurements import Recorder, benchmark_parser, read
from benchmarks.search_speed import rows

TRIALS = {200: 20, 2_000: 12, 5_000: 6}  # some ten to thirty seconds each


def main() -> None:
    """Measure each size with one worker and with two."""
    parser = benchmark_parser(__doc__, "workers")
    parser.add_argument("--rows", nargs="*", type=int, default=list(TRIALS))
    arguments = parser.parse_args()
    recorder = Recorder("workers", arguments.results)
    for n in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            x, y = rows(n)
            frame = pd.DataFrame(x, columns=[f"v{k}" for k in range(x.shape[1])]).assign(y=y)
            frame.to_csv(Path(folder, "rows.csv"), index=False)
            scores = [measure(recorder, Path(folder), n, workers) for workers in (1, 2)]
        if scores[0] != scores[1]:
            print(f"{n:,} rows: the models differ, {scores[0]} and {scores[1]}")


def measure(recorder: Recorder, folder: Path, n: int, workers: int) -> float:
    """Fit a table with a number of workers; return the score."""
    command = [sys.executable, "-m", "xrfm_cli", "fit", str(folder / "rows.csv"), "--target", "y", "--json"]
    command += [
        "--trials",
        str(TRIALS.get(n, 6)),
        "--workers",
        str(workers),
        "--model",
        str(folder / "m.xrfm"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    found = recorder.add(
        f"{n:,} rows",
        "search_s",
        round(document["seconds"]["search"], 2),
        method="xrfm",
        setting=f"workers={workers}",
        extra={"trials": len(document["trials"]), "score": document["score"]},
    )
    print(found.table, found.setting, found.value, flush=True)
    return float(document["score"])


def workers_table() -> str:
    """Return the table of the page."""
    latest = {(row.table, row.setting): row for row in read("workers")}
    lines = ["| table | trials | one worker, s | two, s | times faster | commit |", "|" + " --- |" * 6]
    for (table, setting), one in latest.items():
        two = latest.get((table, "workers=2"))
        if setting != "workers=1" or two is None or not one.value or not two.value:
            continue
        seconds = f"| {one.value:.1f} | {two.value:.1f} | {one.value / two.value:.2f} |"
        lines.append(f"| {table} | {one.extra['trials']} {seconds} {two.commit} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
