"""One leaf in this project and in the reference package, side by side: time, memory, closeness to float64.

    python benchmarks/leaf_speed.py --reference-python REFENV/bin/python --group large

Both fit the same rows with the same pinned hyperparameters, ``T = 5`` metric updates without early stopping
over the same AGOP rows (all of them), and predict the same new rows. Every fit is a process of its own, so
that its peak memory is its own. The float64 solution is this project's own path in float64, which the tests
compare with slow loops. ``--stages`` prints the time of each stage over the floor that this machine's matrix
products set.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measurements import (  # by path: the reference's environment runs this file, too
    Recorder,
    benchmark_parser,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from xrfm_cli.leaf_models import RFMLeaf

ITERATIONS, NEW_ROWS = 5, 2_000
KERNELS: dict[str, dict[str, float]] = {  # the name: p and q
    "p=2": {"p": 2.0, "q": 1.0},
    "p=1": {"p": 1.0, "q": 1.0},
    "p=1.5": {"p": 1.5, "q": 1.2},
    "sum_power": {"q": 1.0},
}


@dataclass(frozen=True)
class Case:
    """A leaf to fit: the kernel, the size of the table and the shape of the feature matrix."""

    kernel: str
    n: int
    d: int
    shape: str  # of the feature matrix
    outputs: int

    @property
    def bandwidth(self) -> float:
        """Return a bandwidth near the median distance of standardised rows."""
        return {"p=2": 1.4 * self.d**0.5, "p=1": 1.1 * self.d, "p=1.5": 1.2 * self.d ** (1 / 1.5)}.get(
            self.kernel, 2.0
        )


def cases(group: str) -> list[Case]:
    """The grid at 2,000 rows, or the larger fits."""
    if group == "small":
        return [
            Case(kernel, 2_000, d, shape, outputs)
            for kernel in KERNELS
            for d in (10, 50, 200)
            for shape in ("diagonal", "full")
            for outputs in (1, 10)
        ]
    at_10_000 = [Case(kernel, 10_000, 50, "diagonal", 1) for kernel in KERNELS]
    return at_10_000 + [Case(kernel, 20_000, 50, "diagonal", 1) for kernel in ("p=2", "p=1")]


def rows(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth multi-index target with noise, from a seed of its own."""
    source = np.random.default_rng(case.n + case.d + case.outputs)
    x = source.standard_normal((case.n + NEW_ROWS, case.d)).astype(np.float32)
    mixing = source.standard_normal((3, case.outputs))
    y = np.tanh(x[:, :3] @ mixing) + 0.5 * x[:, :1] * x[:, 1:2]
    y += 0.1 * source.standard_normal(y.shape)
    return x[: case.n], y[: case.n].astype(np.float32), x[case.n :]


def fit_ours(
    case: Case, x: np.ndarray, y: np.ndarray, new: np.ndarray, dtype: str
) -> tuple[np.ndarray, float]:
    """Predictions of this project's leaf, and the seconds that fitting took."""
    import torch

    from xrfm_cli.leaf_models import LeafConfig, fit_leaf

    facts = KERNELS[case.kernel]
    kernel = (
        {"kernel": "norm", "kernel_p": facts["p"]} if "p" in facts else {"kernel": "sum_power", "power": 2}
    )
    config = LeafConfig.from_dict(
        {
            **kernel,
            "kernel_q": facts["q"],
            "bandwidth": case.bandwidth,
            "ridge": 1e-2,
            "iterations": ITERATIONS,
            "metric_shape": case.shape,
            "agop_rows": case.n,
        }
    )
    kind = getattr(torch, dtype)
    start = time.perf_counter()
    leaf = fit_leaf(
        torch.from_numpy(x).to(kind),
        torch.from_numpy(y).to(kind),
        config,
        generator=torch.Generator().manual_seed(0),
        memory_bytes=16 << 30,
    )
    seconds = time.perf_counter() - start
    return leaf.predict(torch.from_numpy(new).to(kind)).numpy(), seconds


def fit_reference(case: Case, x: np.ndarray, y: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
    """Predictions of the reference's leaf, and the seconds that fitting took."""
    import torch
    from xrfm.rfm_src import RFM  # noqa: TID251  (this process runs in the reference's own environment)

    facts = KERNELS[case.kernel]
    name = {"p=2": "l2", "p=1": "l1", "p=1.5": "lpq", "sum_power": "sum_power_laplace"}[case.kernel]
    model = RFM(
        kernel=name,
        bandwidth=case.bandwidth,
        exponent=facts["q"],
        norm_p=facts.get("p"),
        iters=ITERATIONS,
        diag=case.shape == "diagonal",
        device="cpu",
        verbose=False,
        power=2,
    )
    train = (torch.from_numpy(x), torch.from_numpy(y))
    few = (train[0][:2], train[1][:2])  # a validation set is compulsory; the smallest costs nothing
    start = time.perf_counter()
    model.fit(
        train,
        few,
        reg=1e-2,
        iters=ITERATIONS,
        return_best_params=False,
        early_stop_rfm=False,
        total_points_to_sample=case.n,
    )
    seconds = time.perf_counter() - start
    return model.predict(torch.from_numpy(new)).numpy(), seconds


def work(side: str, case: Case, out: Path) -> None:
    """Fit and predict in this process; write the predictions and the figures."""
    if side != "reference":
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as xrfm_cli.commands.common.session does
    import torch

    torch.set_num_threads(2)
    x, y, new = rows(case)
    torch.from_numpy(x[:64]) @ torch.from_numpy(x[:64]).T  # what a first product loads is not the fit's
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if side == "reference":
        predictions, seconds = fit_reference(case, x, y, new)
    else:
        predictions, seconds = fit_ours(case, x, y, new, "float64" if side == "float64" else "float32")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    np.save(out.with_suffix(".npy"), predictions.astype(np.float64))
    out.write_text(json.dumps({"seconds": seconds, "peak_bytes": peak * 1024}))


def run(side: str, case: Case, python: str, limit: float, folder: Path) -> dict[str, object]:
    """One side of one case in a process of its own, which the limit ends."""
    out = folder / f"{side}.json"
    out.unlink(missing_ok=True)
    command = [python, __file__, "--worker", side, json.dumps(asdict(case)), str(out)]
    try:
        done = subprocess.run(command, timeout=limit, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {limit:g} s"}
    if done.returncode or not out.exists():
        return {"failed": (done.stderr.strip().splitlines() or ["killed"])[-1][:200]}
    return {**json.loads(out.read_text()), "predictions": np.load(out.with_suffix(".npy"))}


def compare(case: Case, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Both sides, and how far each is from float64 in deviations of the exact predictions."""
    record: dict[str, object] = asdict(case)
    answers = {}
    pythons = {"ours": sys.executable, "reference": args.reference_python, "float64": sys.executable}
    for side, python in pythons.items():
        if side == "float64" and case.n > args.exact_up_to:
            continue
        answer = run(side, case, python, args.limit, folder)
        answers[side] = answer.pop("predictions", None)
        if side != "float64" or "failed" in answer:
            record[side] = answer
    exact = answers.get("float64")
    for side in ("ours", "reference"):
        if exact is not None and answers.get(side) is not None:
            far = np.sqrt(np.mean((answers[side] - exact) ** 2)) / exact.std()
            record[side]["error"] = float(far)  # type: ignore[index]
    ours, reference = record["ours"], record["reference"]
    if "seconds" in ours and "seconds" in reference:  # type: ignore[operator]
        record["faster"] = reference["seconds"] / ours["seconds"]  # type: ignore[index]
    return record


def add_measurements(recorder: Recorder, case: Case, record: dict[str, object]) -> None:
    """Record seconds, memory and distance from float64 of both sides."""
    table = f"{case.n:,} rows, {case.d} columns"
    kernel = case.kernel.replace("=", " = ")
    setting = f"{kernel}, {case.shape}, {case.outputs} output{'s' if case.outputs > 1 else ''}"
    for side, method in (("ours", "xrfm"), ("reference", "xrfm_ref")):
        answer: dict = record[side]  # type: ignore[assignment]
        facts = {"method": method, "setting": setting, "seconds": answer.get("seconds")}
        extra = {"failed": answer["failed"]} if "failed" in answer else {}
        recorder.add(table, "fit_s", answer.get("seconds"), extra=extra, **facts)
        if "peak_bytes" in answer:
            recorder.add(table, "peak_mb", answer["peak_bytes"] / 1e6, **facts)
        if "error" in answer:
            recorder.add(table, "distance_from_float64", answer["error"], **facts)


def leaf_agop(leaf: RFMLeaf, x: Tensor) -> Tensor:
    """The full average gradient outer product over all rows."""
    from xrfm_cli.leaf_models.agop import agop

    return agop(leaf.gradients(x))


def stages(n: int, d: int, recorder: Recorder) -> None:
    """Record the time of each stage divided by the time of its matrix products on this machine."""
    import torch

    from xrfm_cli.leaf_models import LeafConfig, make_kernel
    from xrfm_cli.leaf_models.leaf import RFMLeaf
    from xrfm_cli.leaf_models.solvers.ridge import factorise_
    from xrfm_cli.leaf_models.steps import symmetric_kernel

    def best(function: Callable[..., object], *given: object, times: int = 3) -> float:
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            function(*given)
            taken.append(time.perf_counter() - start)
        return min(taken)

    square = torch.randn(4_000, 4_000)
    rate = 2 * 4_000**3 / best(torch.mm, square, square)
    print(f"float32 matrix products: {rate / 1e9:.0f} GFLOP/s with {torch.get_num_threads()} threads")
    x = torch.randn(n, d)
    gradient_flops = 4 * n * n * d + 2 * n * d * d
    for name, facts in KERNELS.items():
        family = {"kernel": "norm", "kernel_p": facts["p"]} if "p" in facts else {"kernel": "sum_power"}
        case = Case(name, n, d, "full", 1)
        config = LeafConfig.from_dict({**family, "kernel_q": facts["q"], "metric_shape": "full"})
        kernel = make_kernel(config, case.bandwidth)
        matrix = symmetric_kernel(kernel, x)
        leaf = RFMLeaf(
            config=config,
            centers=x,
            coefficients=torch.randn(n, 1),
            feature_matrix=torch.eye(d),
            bandwidth=case.bandwidth,
        )
        timed = {
            # Half of the pairs, two operations for each of their coordinates.
            "distances and kernel": (best(symmetric_kernel, kernel, x), n * n * d),
            "gradients and full AGOP": (best(leaf_agop, leaf, x, times=2), gradient_flops),
        }
        if name == "p=2":
            matrix.diagonal().add_(1e-2)
            timed["factorisation"] = (best(factorise_, matrix, times=1), n**3 // 3)
        for stage, (seconds, flops) in timed.items():
            floor = flops / rate
            facts = {"setting": name, "seconds": seconds, "extra": {"floor_s": floor}}
            recorder.add(f"{n:,} rows, {d} columns", f"{stage.replace(' ', '_')}_s", seconds, **facts)
            print(
                f"{name:10s} {stage:22s} {seconds:8.3f} s  floor {floor:7.3f} s  {seconds / floor:6.1f} times"
            )


def main() -> None:
    """Read the arguments; compare, or be one side of a comparison."""
    parser = benchmark_parser(__doc__, "leaf_speed")
    parser.add_argument("--worker", nargs=3, metavar=("SIDE", "CASE", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--reference-python", help="the Python of an environment with xrfm 0.4.5")
    parser.add_argument("--group", choices=["small", "large"], default="large")
    parser.add_argument("--rows", type=int, nargs="+", help="of the group, only these numbers of rows")
    parser.add_argument("--columns", type=int, nargs="+", help="of the group, only these numbers of columns")
    parser.add_argument("--kernels", nargs="+", choices=list(KERNELS), default=list(KERNELS))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds a fit may take")
    parser.add_argument(
        "--exact-up-to", type=int, default=10_000, help="rows up to which float64 is fitted too"
    )
    parser.add_argument("--stages", action="store_true", help="time the stages of this project's leaf alone")
    args = parser.parse_args()
    if args.worker:
        side, case, out = args.worker
        work(side, Case(**json.loads(case)), Path(out))
    elif args.stages:
        stages(10_000, 50, Recorder("leaf_speed", args.results))
    else:
        recorder = Recorder("leaf_speed", args.results)
        with tempfile.TemporaryDirectory() as folder:
            for case in cases(args.group):
                if case.kernel not in args.kernels or case.n not in (args.rows or [case.n]):
                    continue
                if case.d not in (args.columns or [case.d]):
                    continue
                record = compare(case, args, Path(folder))
                add_measurements(recorder, case, record)
                print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
