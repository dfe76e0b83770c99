"""Milliseconds that a service takes for one row: ``xrfm predict - --each-line`` through pipes.

    python -m benchmarks.service

A model of a shipped sample, an ensemble of the default search, answers one row after the other. The time of
a row is from writing its line to reading its answer, after some rows that warm the process up.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.measurements import Recorder, benchmark_parser, read
from xrfm_cli.datasets import sample_path
from xrfm_cli.tuning.model.storage import load_model

TARGETS = {"autos": "price", "soybean": "class", "credit": "class"}
WARM_UP, ROWS = 50, 1_000
COMMAND = [sys.executable, "-m", "xrfm_cli"]


def main() -> None:
    """Fit a model of each sample, and time its service in both formats."""
    parser = benchmark_parser(__doc__, "service")
    parser.add_argument("--samples", nargs="+", default=["autos"], choices=list(TARGETS))
    parser.add_argument("--trials", type=int, default=30)
    args = parser.parse_args()
    recorder = Recorder("service", args.results)
    for name in args.samples:
        with tempfile.TemporaryDirectory() as folder:
            table, model = sample_path(f"{name}.csv"), Path(folder, "m.xrfm")
            fit = ["fit", str(table), "--target", TARGETS[name], "--trials", str(args.trials), "--quiet"]
            subprocess.run([*COMMAND, *fit, "--model", str(model)], check=True, stdout=subprocess.DEVNULL)
            members = len(load_model(model).members)
            for kind, lines in lines_of(table).items():
                milliseconds = ask(model, lines)
                middle, late, most = np.percentile(milliseconds, [50, 99, 100])
                extra = {"median": round(middle, 2), "most": round(most, 2), "members": members, "rows": ROWS}
                recorder.add(name, "p99_ms", round(late, 2), setting=kind, extra=extra)
                print(f"{name}, {kind}: median {middle:.2f} ms, p99 {late:.2f} ms, most {most:.2f} ms")


def lines_of(table: Path) -> dict[str, list[str]]:
    """Return rows in both formats, the header of CSV first."""
    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    text = [",".join(f'"{cell}"' for cell in row) for row in (header, *rows)]
    named = [dict(zip(header, row, strict=True)) for row in rows]
    objects = [json.dumps({name: as_json(cell) for name, cell in row.items()}) for row in named]
    repeated = list(islice(cycle(text[1:]), WARM_UP + ROWS))
    return {"CSV": [text[0], *repeated], "JSON": list(islice(cycle(objects), WARM_UP + ROWS))}


def as_json(cell: str) -> str | float | None:
    """Return a cell as a number, where it is one."""
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def ask(model: Path, lines: list[str]) -> np.ndarray:
    """Return the milliseconds from each line to its answer."""
    command = [*COMMAND, "predict", "-", "--each-line", "--quiet", "--model", str(model)]
    taken = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as service:
        assert service.stdin is not None
        assert service.stdout is not None
        for line in lines:
            began = time.perf_counter()
            service.stdin.write(line + "\n")
            answer = service.stdout.readline()
            taken.append(1_000 * (time.perf_counter() - began))
            assert "error" not in answer
            assert answer.strip()
        service.terminate()
    return np.array(taken[-ROWS:])


def service_table() -> str:
    """Return the table of the page."""
    latest = {(row.table, row.setting): row for row in read("service")}
    lines = [
        "| sample | lines | models | median ms | p99 ms | most ms | commit |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (table, kind), row in latest.items():
        extra = row.extra
        cells = (table, kind, extra["members"], extra["median"], row.value, extra["most"], row.commit)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
