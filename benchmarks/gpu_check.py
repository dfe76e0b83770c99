"""Check and measure everything that runs on a CUDA device, in at most eight minutes.

On a bare machine with Python 3.11 or later and a CUDA build of torch, from the root of the checkout:

    python3 -m pip install -e . pytest hypothesis && python3 -m benchmarks.gpu_check --out gpu_check.jsonl

What is installed already is kept. Where there is no package index, make a folder of wheels elsewhere with
``pip download --only-binary=:all: --python-version 3.12 -d wheels optuna msgspec filelock``, and install with
``--no-index --find-links wheels --no-build-isolation``.

The sections run one after the other, each in a process of its own with a time budget, and append their
measurements to the file as they make them. A section that fails, hangs or crashes leaves a line with its
traceback, and the others still run. Without a CUDA device, or with ``--cpu``, every section runs with small
sizes on the CPU, where Triton's interpreter runs the kernels; those figures only show that the script works.

Ends with status 1 if a section failed or a difference exceeds its tolerance.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu_sections import SECTIONS, Bench
from benchmarks.measurements import RESULTS, ROOT, Measurement, Recorder, read

SUITE = "gpu_check"
TOTAL_S = 470.0  # eight minutes, less what starts before the first section
MOST_TRACEBACK = 4_000  # characters of a failed section's output that are kept, its end


def run_section(name: str, args: argparse.Namespace, left_s: float, recorder: Recorder) -> bool:
    """Run a section in a process of its own; record why it failed, if it did."""
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--section", name, "--out", str(args.out)]
    command += ["--cpu"] * args.cpu
    if args.suite is not None:
        command += ["--suite", str(args.suite)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | ({"TRITON_INTERPRET": "1"} if args.cpu else {})
    budget = min(SECTIONS[name].budget_s, left_s)
    began = time.monotonic()
    if budget <= 0:
        failure = f"no time was left of {args.total:g} s"
    else:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=environment,
            start_new_session=True,  # so that the fits that it started end with it
        )
        try:
            output, _ = process.communicate(timeout=budget)
            failure = output[-MOST_TRACEBACK:] if process.returncode else ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            failure = f"took more than its {budget:.0f} s: {output[-MOST_TRACEBACK:]}"
    seconds = round(time.monotonic() - began, 1)
    extra = {"failed": failure} if failure else {}
    recorder.add(name, "section_s", None if failure else seconds, seconds=seconds, extra=extra)
    print(f"== {name}: {'FAILED' if failure else 'done'} after {seconds:.1f} s", flush=True)
    if failure:
        print(failure, flush=True)
    return not failure


def show(row: Measurement) -> str:
    """Return a measurement as one line of text."""
    value = "none" if row.value is None else f"{row.value:.5g}"
    more = ", ".join(
        f"{name} {found:.4g}" if isinstance(found, float) else f"{name} {found}"
        for name, found in row.extra.items()
        if name != "failed"
    )
    return f"{row.table:11s} {row.setting or '':38s} {row.metric:22s} {value:>11s}  {more}"


def main() -> int:
    """Run all sections, or be the process of one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS / f"{SUITE}.jsonl", help="the file to append to")
    parser.add_argument("--cpu", action="store_true", help="small sizes on the CPU")
    parser.add_argument("--suite", type=Path, help="the folder with suite.json and data/, for real tables")
    parser.add_argument("--sections", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--total", type=float, default=TOTAL_S, help="seconds for all sections")
    parser.add_argument("--section", choices=list(SECTIONS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    import torch

    args.cpu |= not torch.cuda.is_available()
    recorder = Recorder(SUITE, args.out)
    if args.section:
        bench = Bench(device="cpu" if args.cpu else "cuda", suite=args.suite, record=recorder.add)
        SECTIONS[args.section].run(bench)
        return 0
    end = time.monotonic() + args.total
    args.out = args.out.resolve()
    before = len(args.out.read_text(encoding="utf-8").splitlines()) if args.out.exists() else 0
    passed = [run_section(name, args, end - time.monotonic(), recorder) for name in args.sections]
    rows = read(args.out.stem, args.out.parent)[before:]
    print(*(show(row) for row in rows), sep="\n")
    apart = [
        row for row in rows if row.value is not None and row.value > row.extra.get("tolerance", row.value)
    ]
    for row in apart:
        print(f"BEYOND ITS TOLERANCE: {show(row)}")
    return int(not all(passed) or bool(apart))


if __name__ == "__main__":
    sys.exit(main())
