"""Trials a minute of this project's search and of the reference's, on the same rows.

    python -m benchmarks.search_speed --reference-python REFENV/bin/python [--rows 2000 10000] [--hold-out]

The reference's search is that of pytabkit (``XRFM_HPO_Regressor``, 30 random configurations of its
``only_l2`` space validated on a hold-out of 20 %), without a time limit, since it does not keep one. This
project's search runs for a minute with its defaults, or on the same kind of hold-out with ``--hold-out``; a
trial that was pruned after a subsample counts as started, not as finished.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurements import Recorder, benchmark_parser

FEATURES, STEPS = 20, 30

REFERENCE = """
import json, sys, time
import numpy as np, torch
from pytabkit import XRFM_HPO_Regressor
torch.set_num_threads(2)
data = np.load(sys.argv[1])
model = XRFM_HPO_Regressor(
    device="cpu", random_state=0, n_threads=2, n_hyperopt_steps=int(sys.argv[2]), use_caruana_ensembling=True,
    hpo_space_name="only_l2",
)
start = time.perf_counter()
model.fit(data["x"], data["y"])
print(json.dumps(time.perf_counter() - start))
"""


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A smooth target of a few of the columns, with noise."""
    source = np.random.default_rng(n)
    x = source.standard_normal((n, FEATURES)).astype(np.float32)
    y = np.sin(x[:, 0] * 2) + x[:, 1] * x[:, 2] + 0.3 * source.standard_normal(n)
    return x, y.astype(np.float32)


def reference(python: str, folder: Path, x: np.ndarray, y: np.ndarray, limit: float) -> float | None:
    """Seconds that the reference's search takes, or None beyond the limit."""
    np.savez(folder / "rows.npz", x=x, y=y)
    command = [python, "-c", REFERENCE, str(folder / "rows.npz"), str(STEPS)]
    try:
        done = subprocess.run(command, timeout=limit, capture_output=True, text=True, check=True)
    except subprocess.TimeoutExpired:
        return None
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def write(path: Path, x: np.ndarray, y: np.ndarray) -> Path:
    """Write rows as CSV."""
    names = ",".join([*(f"x{j}" for j in range(FEATURES)), "y"])
    np.savetxt(path, np.column_stack([x, y]), delimiter=",", header=names, comments="", fmt="%.7g")
    return path


def ours(folder: Path, x: np.ndarray, y: np.ndarray, *, has_hold_out: bool) -> tuple[Counter[str], float]:
    """Return the states of the trials of a minute, and the seconds of the search."""
    cut = len(x) * 4 // 5 if has_hold_out else len(x)
    command = [sys.executable, "-m", "xrfm_cli", "fit", str(write(folder / "rows.csv", x[:cut], y[:cut]))]
    command += [
        "--target",
        "y",
        "--time-limit",
        "60s",
        "--model",
        str(folder / "m.xrfm"),
        "--json",
        "--quiet",
    ]
    if has_hold_out:
        command += ["--valid", str(write(folder / "valid.csv", x[cut:], y[cut:]))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    return Counter(trial["state"] for trial in document["trials"]), float(document["seconds"]["search"])


def main() -> None:
    """Run both searches for each number of rows."""
    parser = benchmark_parser(__doc__, "search_speed")
    parser.add_argument(
        "--reference-python", required=True, help="the Python of an environment with pytabkit"
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[2_000, 10_000])
    parser.add_argument(
        "--limit", type=float, default=600.0, help="seconds that the reference's search may take"
    )
    parser.add_argument("--hold-out", action="store_true", help="validate on a fifth, like the reference")
    args = parser.parse_args()
    setting = "hold-out" if args.hold_out else None
    recorder = Recorder("search_speed", args.results)
    for n in args.rows:
        x, y = rows(n)
        with tempfile.TemporaryDirectory() as folder:
            states, seconds = ours(Path(folder), x, y, has_hold_out=args.hold_out)
            slow = reference(args.reference_python, Path(folder), x, y, args.limit)
        rate, started = 60 / seconds, sum(states.values())
        extra: dict[str, object] = {"started": started, **states}
        facts: dict[str, Any] = {"time_limit_s": 60.0, "seconds": round(seconds, 2), "extra": extra}
        recorder.add(f"{n:,} rows", "trials_a_minute", started * rate, setting=setting, **facts)
        extra = {} if slow else {"failed": f"{STEPS} trials took more than {args.limit:g} s"}
        facts = {"method": "xrfm_ref_hpo", "seconds": slow and round(slow, 2), "extra": extra}
        recorder.add(f"{n:,} rows", "trials_a_minute", STEPS / slow * 60 if slow else None, **facts)
        print(
            f"{n:,} rows: {started * rate:.1f} trials a minute started, {dict(states)}, "
            f"search {seconds:.1f} s"
        )
        theirs = (
            f"{STEPS / slow * 60:.1f} trials a minute"
            if slow
            else f"{STEPS} trials took more than {args.limit:g} s"
        )
        print(f"{n:,} rows, reference: {theirs}", flush=True)


if __name__ == "__main__":
    main()
