r"""Take out one mechanism of the search at a time and measure the error of what is left.

    python -m benchmarks.ablations ../shared/bench --without refinement --tables adult kin8nm --seeds 0 1
    python -m benchmarks.ablations ../shared/bench --summary

Each run is a process of its own, as in :mod:`benchmarks.accuracy`, with one thread, so that two can run side
by side. "nothing" is the whole search. Runs that stand in the data file already are left out. ``--summary``
prints the geometric mean of the errors without each mechanism over those with it: above 1, it pays.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.ablated import ABLATIONS
from benchmarks.accuracy import to_facts
from benchmarks.measurements import RESULTS, ROOT, Measurement, Recorder, read
from benchmarks.suite import suite_parser

SUITE = "ablations"
NOTHING = "nothing"


def main() -> None:
    """Measure, or summarise what was measured."""
    parser = suite_parser(__doc__, SUITE, ())
    parser.add_argument("--without", nargs="+", choices=list(ABLATIONS), default=list(ABLATIONS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--summary", action="store_true", help="print the means and measure nothing")
    args = parser.parse_args()
    if args.summary:
        print("\n".join(summary_lines(read(SUITE, args.results.parent))))
        return
    for seed in args.seeds:
        for name in args.tables:
            for without in args.without:
                if (name, seed, without) not in done(args.results.parent):
                    row = measure(args, name, seed, without)
                    print(row.to_line(), flush=True)


def measure(args: Any, name: str, seed: int, without: str) -> Measurement:
    """Run one table without one mechanism and record its error."""
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "xrfm"
        wrapper.write_text(
            f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m benchmarks.ablated {without} "$@"\n'
        )
        wrapper.chmod(0o755)
        command = [sys.executable, str(args.suite / "run.py"), name, "xrfm", "--command", str(wrapper)]
        command += ["--budget", f"{args.time_limit:g}", "--seed", str(seed), "--", "--threads", "1"]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    facts = to_facts(json.loads(run.stdout.splitlines()[-1]), "error", f"without {without}")
    return Recorder(SUITE, args.results).add(name, "error", **facts)


def done(folder: Path = RESULTS) -> set[tuple[str, int | None, str]]:
    """Return table, seed and mechanism of each run that was recorded."""
    return {
        (row.table, row.seed, (row.setting or "").removeprefix("without ")) for row in read(SUITE, folder)
    }


def summary_lines(rows: list[Measurement]) -> list[str]:
    """Return a line for each mechanism: runs, mean ratio with standard error, and what it helps and harms."""
    found = {(row.table, row.seed, row.setting): row.value for row in rows if row.value is not None}
    lines = ["| without | runs | error over that of the whole search | better with it | worse with it |"]
    lines.append("| --- | --- | --- | --- | --- |")
    names = dict.fromkeys((row.setting or "").removeprefix("without ") for row in rows)
    for without in sorted(names, reverse=True):  # also those that are gone since
        ratios = {
            (table, seed): math.log(max(value, 1e-6) / max(whole, 1e-6))
            for (table, seed, setting), value in found.items()
            if setting == f"without {without}" and without != NOTHING
            if (whole := found.get((table, seed, f"without {NOTHING}"))) is not None
        }
        if ratios:
            lines.append(f"| {without} | {summary(list(ratios.values()))} |")
    return lines


def ablations_table() -> str:
    """Return the table of what was measured."""
    return "\n".join(summary_lines(read(SUITE)))


def minimisers_table() -> str:
    """Return what fitting calibrators took with each minimiser (:mod:`benchmarks.minimisers`)."""
    rows = read("minimisers")
    lines = ["| table | calibrators | Newton s | L-BFGS-B s | largest difference of the minima |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(row.table for row in rows):
        found = [row.extra for row in rows if row.table == name]
        calibrators = sum(extra["calibrators"] for extra in found)
        newton, lbfgs = (sum(extra[key] for extra in found) for key in ("newton", "lbfgs"))
        largest = max(abs(extra["largest_difference"]) for extra in found)
        lines.append(f"| {name} | {calibrators} | {newton:.2f} | {lbfgs:.2f} | {largest:.0e} |")
    return "\n".join(lines)


def summary(logs: list[float]) -> str:
    """Summarise logarithms of ratios."""
    n, mean = len(logs), sum(logs) / len(logs)
    error = math.sqrt(sum((value - mean) ** 2 for value in logs) / max(n - 1, 1) / n)
    better, worse = sum(value > 0 for value in logs), sum(value < 0 for value in logs)
    return f"{n} | {math.exp(mean):.4f} (± {error:.4f}) | {better} | {worse}"


if __name__ == "__main__":
    main()
