"""Processor seconds of a search in Python, alone and beside busy loops: waiting threads must not spin.

    python -m benchmarks.busy_cores

The estimator searches 60 trials on the autos sample, in a process of its own without environment variables.
Run it on an idle machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measurements import Recorder, benchmark_parser

FIT = """
import resource, sys
import pandas as pd
from xrfm_cli import XRFMRegressor
from xrfm_cli.datasets import sample_path
table = pd.read_csv(sample_path("autos.csv"))
XRFMRegressor(trials=int(sys.argv[1]), random_state=0).fit(table.drop(columns="price"), table["price"])
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(part.ru_utime + part.ru_stime for part in usage))
"""
LOOP = "while True: pass"
IGNORED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMP_SPINCOUNT")


def main() -> None:
    """Measure without busy loops and with them."""
    parser = benchmark_parser(__doc__, "busy_cores")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--loops", type=int, nargs="+", default=[0, 2])
    args = parser.parse_args()
    recorder = Recorder("busy_cores", args.results)
    for count in args.loops:
        seconds = measure(args.trials, count)
        setting = f"{count} busy loops"
        recorder.add("autos", "cpu_s", round(seconds, 1), setting=setting, extra={"trials": args.trials})
        print(f"{setting}: {seconds:.1f} processor seconds", flush=True)


def measure(trials: int, count: int) -> float:
    """Return the processor seconds of a search beside a number of busy loops."""
    environment = {name: value for name, value in os.environ.items() if name not in IGNORED}
    command = [sys.executable, "-c", FIT, str(trials)]
    with busy_loops(count):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep cores busy with processes of endless loops."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


if __name__ == "__main__":
    main()
