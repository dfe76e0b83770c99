"""Models that a search of large tables evaluates to the end within its limit, and the error of the result.

    taskset -c 0 python -m benchmarks.large_searches ../shared/bench [--checkout OTHER]

All rows of the training part are searched with one thread. ``--checkout`` runs another checkout of this
project, to be compared with this one on the same machine and day.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measurements import ROOT, Recorder, describe_commit, read
from benchmarks.suite import read_split, suite_parser

TABLES = ("adult", "bank_marketing", "credit_default_taiwan", "cardio_disease")
ALL_ROWS = 10**9


def main() -> None:
    """Fit each table and record how many trials were complete."""
    parser = suite_parser(__doc__, "large_searches", TABLES)
    parser.add_argument("--time-limit", type=float, default=120.0)
    parser.add_argument("--checkout", type=Path, default=ROOT)
    args = parser.parse_args()
    recorder = Recorder("large_searches", args.results)
    recorder.commit = describe_commit(args.checkout)
    environment = os.environ | {"PYTHONPATH": str(args.checkout.resolve())}
    for name in args.tables:
        split = read_split(args.suite, name, seed=args.seed, most_train=ALL_ROWS)
        with tempfile.TemporaryDirectory() as folder:
            for part in ("train", "test"):
                pq.write_table(getattr(split, part).data, Path(folder, f"{part}.parquet"))

            def run(*words: str, folder: str = folder) -> dict:
                command = [sys.executable, "-m", "xrfm_cli", *words, "--json", "--threads", "1"]
                done = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True, check=True
                )
                return json.loads(done.stdout)

            limit = ["--time-limit", f"{args.time_limit:g}s"]
            fitted = run("fit", "train.parquet", "--target", split.target, *limit, "--workers", "1")
            metrics = run("evaluate", "test.parquet")["metrics"]
        complete = sum(trial["state"] == "complete" for trial in fitted["trials"])
        extra = {
            "trials": len(fitted["trials"]),
            "members": len(fitted["ensemble"]),
            "error": round(1 - metrics["auc"], 5),
            "total_s": round(fitted["seconds"]["total"], 1),
            "rows": split.train.n_rows,
        }
        facts = {"time_limit_s": args.time_limit, "seed": args.seed, "extra": extra}
        recorder.add(name, "complete_trials", complete, **facts)
        print(name, recorder.commit, complete, extra, flush=True)


def large_searches_table() -> str:
    """Return the table of the page: the first commit of each table beside the last."""
    head = "| table | rows | commit | models validated to the end | error | command s |"
    lines = [head, "|" + " --- |" * 6]
    for row in read("large_searches"):
        extra = row.extra
        cells = (
            row.table,
            f"{extra['rows']:,}",
            row.commit,
            f"{row.value:.0f}",
            extra["error"],
            extra["total_s"],
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
