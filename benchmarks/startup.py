"""Processor seconds of commands that have little to do: what a user waits for before anything happens.

    python -m benchmarks.startup [--checkout OTHER]

Every command runs three times; the fewest seconds count, as other processes and cold caches only add to them.
A file of ten rows is predicted, and wrong names of every kind are refused.
Python may write compiled modules beside the sources, as pip does when it installs a package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measurements import ROOT, Recorder, benchmark_parser, describe_commit, read
from benchmarks.tables import latest, markdown, names_in, number

SUITE, REPEATS = "startup", 3
SAMPLE, ROWS = ROOT / "datasets" / "samples" / "autos.csv", 10
# The arguments of each command, by what the page calls it, with its exit status.
COMMANDS: dict[str, tuple[str, int]] = {
    "--version": ("--version", 0),
    "--help": ("--help", 0),
    "fit --help": ("fit --help", 0),
    "an unknown option": ("fit autos.csv --tarket price", 2),
    "a wrong choice": ("fit autos.csv --target price --preset fast", 2),
    "fit, no such file": ("fit none.csv --target price", 2),
    "fit, no such column": ("fit autos.csv --target prise", 2),
    "fit, no such metric": ("fit autos.csv --target price --metric rmsse", 2),
    "predict, no such file": ("predict none.csv", 2),
    "predict, no such model": ("predict ten.csv --model none.xrfm", 2),
    "evaluate, no such column": ("evaluate autos.csv --by colour", 2),
    "info": ("info", 0),
    "doctor": ("doctor", 0),
    "sample": ("sample wine --output wine.csv", 0),
    "predict, ten rows": ("predict ten.csv --output predicted.csv", 0),
    "predict, ten rows of Parquet": ("predict ten.parquet --output predicted.csv", 0),
    "evaluate": ("evaluate autos.csv", 0),
    "explain": ("explain", 0),
    "explain, ten rows": ("explain ten.csv --output attributions.csv", 0),
    "fit, dry run": ("fit autos.csv --target price --dry-run", 0),
    "fit, one trial": ("fit autos.csv --target price --trials 1 --model other.xrfm", 0),
}


def run(words: str, folder: Path, checkout: Path = ROOT) -> tuple[int, float, float]:
    """Run a command in a folder; return its status, its seconds and those of the processor."""
    before, began = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "xrfm_cli", *words.split()]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(checkout.resolve())
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)
    seconds, after = time.perf_counter() - began, os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return done.returncode, seconds, cpu_s


def write_inputs(folder: Path) -> None:
    """Write a table, its first rows as CSV and Parquet, and a model."""
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    lines = SAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "autos.csv").write_text("".join(lines), encoding="utf-8")
    (folder / "ten.csv").write_text("".join(lines[: ROWS + 1]), encoding="utf-8")
    pq.write_table(pacsv.read_csv(folder / "ten.csv"), folder / "ten.parquet")
    status, *_ = run("fit autos.csv --target price --trials 0", folder)
    if status:
        raise SystemExit("the model could not be fitted")


def startup_table() -> str:
    """Return the processor seconds of each command."""
    rows = read(SUITE)
    lines = []
    for table in names_in(rows):
        row = latest(rows, table=table)
        if row:
            lines.append((table, number(row.value, 2), row.commit or "-"))
    return markdown(("command", "CPU s", "commit"), lines)


def main() -> None:
    """Run every command."""
    parser = benchmark_parser(__doc__, SUITE)
    parser.add_argument("--only", default="", help="run the commands whose names contain this")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="another checkout to compare with")
    args = parser.parse_args()
    recorder = Recorder(SUITE, args.results)
    recorder.commit = describe_commit(args.checkout)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        for label, (words, expected) in COMMANDS.items():
            if args.only not in label:
                continue
            runs = [run(words, folder, args.checkout) for _ in range(REPEATS)]
            status, (seconds, cpu_s) = runs[0][0], (min(done[place] for done in runs) for place in (1, 2))
            extra = {} if status == expected else {"status": status}
            recorder.add(label, "cpu_s", round(cpu_s, 2), seconds=round(seconds, 2), extra=extra)
            wrong = "" if status == expected else f"  status {status}, not {expected}"
            print(f"{label:30} cpu {cpu_s:5.2f} s  {seconds:5.2f} s{wrong}", flush=True)


if __name__ == "__main__":
    main()
