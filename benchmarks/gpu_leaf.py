"""One leaf on a CUDA device, over the floor that its matrix products set; or a tree of many small leaves.

    python benchmarks/gpu_leaf.py --reference-python REFENV/bin/python --tf32

Fits 60,000 rows of 50 columns with ``T = 3`` metric updates over 4,096 AGOP rows, for ``p = 2`` and ``p
= 1``, and predicts new rows. The floor is that of the ``T + 1`` factorisations, ``n^3 / 3`` operations
each, at the rate of float32 matrix products measured beforehand with TF32 off. With ``--reference-
python``, the reference package fits the same rows with the same pinned hyperparameters; with ``--tf32``,
this project fits them once more with TF32 on, and the record tells how far its predictions move. Every
fit is a process of its own, with an untimed small fit first, for libraries load and kernels compile at
their first use. ``--n 2000`` is a quick try.

    python benchmarks/gpu_leaf.py --small-leaves 64 --leaf-rows 1000

Fits a tree of so many leaves instead, together and one by one; the time of the splits, which both spend,
is beside that of the leaves.

Ends with status 2 where there is no CUDA device.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from leaf_speed import KERNELS, Case, rows
from measurements import Recorder, benchmark_parser

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from xrfm_cli.leaf_models import LeafConfig

AGOP_ROWS, WARM_ROWS, RIDGE = 4_096, 1_000, 1e-2
TREE_SIDES = ("together", "one_by_one")


def leaf_config(case: Case, iterations: int, agop_rows: int) -> LeafConfig:
    """The pinned hyperparameters of this project's leaves."""
    from xrfm_cli.leaf_models import LeafConfig

    facts = KERNELS[case.kernel]
    return LeafConfig(
        kernel_p=facts["p"],
        kernel_q=facts["q"],
        bandwidth=case.bandwidth,
        ridge=RIDGE,
        iterations=iterations,
        agop_rows=agop_rows,
    )


def fit_ours(case: Case, x: Tensor, y: Tensor, iterations: int) -> Callable[[Tensor], Tensor]:
    """Fit our leaf and return its prediction function."""
    import torch

    from xrfm_cli.leaf_models import fit_leaf

    config = leaf_config(case, iterations, min(AGOP_ROWS, len(x)))
    memory = torch.cuda.mem_get_info()[1]
    return fit_leaf(x, y, config, generator=torch.Generator().manual_seed(0), memory_bytes=memory).predict


def fit_reference(case: Case, x: Tensor, y: Tensor, iterations: int) -> Callable[[Tensor], Tensor]:
    """Fit the reference's leaf and return its prediction function."""
    from xrfm.rfm_src import RFM  # noqa: TID251  (this process runs in the reference's own environment)

    facts = KERNELS[case.kernel]
    model = RFM(
        kernel={"p=2": "l2", "p=1": "l1"}[case.kernel],
        bandwidth=case.bandwidth,
        exponent=facts["q"],
        norm_p=facts["p"],
        iters=iterations,
        diag=True,
        device="cuda",
        verbose=False,
    )
    model.fit(
        (x, y),
        (x[:2], y[:2]),  # a validation set is compulsory; the smallest costs nothing
        reg=RIDGE,
        iters=iterations,
        return_best_params=False,
        early_stop_rfm=False,
        total_points_to_sample=min(AGOP_ROWS, len(x)),
    )
    return model.predict


def work_tree(side: str, case: Case, leaf_rows: int, iterations: int, out: Path) -> None:
    """Fit a tree and predict in this process; write the predictions and the figures."""
    import torch
    from gpu_tree import timed_tree

    from xrfm_cli.leaf_models import leaves
    from xrfm_cli.trees import TreeConfig

    if side == "one_by_one":
        leaves.FEWEST_LEAVES = sys.maxsize
    x, y, new = (torch.from_numpy(values).cuda() for values in rows(case))
    config = TreeConfig(leaf=leaf_config(case, iterations, AGOP_ROWS), leaf_size=leaf_rows)
    timed_tree(x[: 4 * leaf_rows], y[: 4 * leaf_rows], config)
    tree, facts = timed_tree(x, y, config)
    np.save(out.with_suffix(".npy"), tree.predict(new).cpu().double().numpy())
    out.write_text(json.dumps(facts))


def work(side: str, case: Case, iterations: int, out: Path) -> None:
    """Fit and predict in this process; write the predictions and the figures."""
    import torch

    torch.set_float32_matmul_precision("high" if side == "ours_tf32" else "highest")
    fit = fit_reference if side == "reference" else fit_ours
    x, y, new = (torch.from_numpy(values).cuda() for values in rows(case))
    fit(case, x[:WARM_ROWS], y[:WARM_ROWS], 1)(new)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    predict = fit(case, x, y, iterations)
    torch.cuda.synchronize()
    fitted = time.perf_counter()
    predictions = predict(new).cpu()
    facts = {
        "fit_s": fitted - start,
        "predict_s": time.perf_counter() - fitted,
        "peak_bytes": torch.cuda.max_memory_allocated(),
    }
    np.save(out.with_suffix(".npy"), predictions.double().numpy())
    out.write_text(json.dumps(facts))


def product_rate(n: int = 8_192, times: int = 5) -> float:
    """Operations a second of float32 matrix products with TF32 off."""
    import torch

    torch.set_float32_matmul_precision("highest")
    square, best = torch.randn(n, n, device="cuda"), float("inf")
    for _ in range(times + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        square @ square
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def run(side: str, python: str, case: Case, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One side of one case in a process of its own, which the limit ends."""
    out = folder / f"{side}.json"
    out.unlink(missing_ok=True)
    command = [python, __file__, "--worker", side, str(out), "--kernels", case.kernel]
    command += ["--n", str(case.n), "--d", str(case.d), "--iterations", str(args.iterations)]
    if side in TREE_SIDES:
        command += ["--leaf-rows", str(args.leaf_rows)]
    try:
        done = subprocess.run(command, timeout=args.limit, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {args.limit:g} s"}
    if done.returncode or not out.exists():
        return {"failed": (done.stderr.strip().splitlines() or ["killed"])[-1][:200]}
    return {**json.loads(out.read_text()), "predictions": np.load(out.with_suffix(".npy"))}


def compare(case: Case, rate: float, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """All sides of a case; how far the others' predictions are from ours, in deviations of ours."""
    pythons = {"ours": sys.executable}
    if args.tf32:
        pythons["ours_tf32"] = sys.executable
    if args.reference_python:
        pythons["reference"] = args.reference_python
    floor = (args.iterations + 1) * case.n**3 / 3 / rate
    record: dict[str, object] = {"kernel": case.kernel, "n": case.n, "d": case.d, "floor_s": floor}
    ours = None
    for side, python in pythons.items():
        answer = run(side, python, case, args, folder)
        predictions = answer.pop("predictions", None)
        if side == "ours":
            ours = predictions
        elif ours is not None and predictions is not None:
            apart = predictions.reshape(ours.shape) - ours
            answer["from_ours"] = float(np.sqrt(np.mean(apart**2)) / ours.std())
        if "fit_s" in answer:
            answer["times_floor"] = answer["fit_s"] / floor  # type: ignore[operator]
        record[side] = answer
    return record


def compare_trees(case: Case, args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """A tree with its leaves fitted together and one by one; how far its predictions are apart."""
    record: dict[str, object] = {"kernel": case.kernel, "n": case.n, "d": case.d, "leaf_rows": args.leaf_rows}
    predictions = []
    for side in TREE_SIDES:
        answer = run(side, sys.executable, case, args, folder)
        if "predictions" in answer:
            predictions.append(answer.pop("predictions"))
        record[side] = answer
    if len(predictions) == len(TREE_SIDES):
        apart = predictions[0] - predictions[1]  # type: ignore[operator]
        record["apart"] = float(np.sqrt(np.mean(apart**2)) / np.std(predictions[0]))  # type: ignore[arg-type]
    return record


def main() -> int:
    """Read the arguments; compare, or be one side of a comparison."""
    parser = benchmark_parser(__doc__, "gpu_leaf")
    parser.add_argument("--worker", nargs=2, metavar=("SIDE", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--n", type=int, default=60_000, help="rows")
    parser.add_argument("--d", type=int, default=50, help="columns")
    parser.add_argument("--iterations", type=int, default=3, help="metric updates T")
    parser.add_argument("--kernels", nargs="+", choices=["p=2", "p=1"], default=["p=2", "p=1"])
    parser.add_argument("--reference-python", help="the Python of an environment with xrfm 0.4.5 and CUDA")
    parser.add_argument("--tf32", action="store_true", help="fit with TF32 on, too")
    parser.add_argument("--small-leaves", type=int, help="fit a tree of so many leaves instead of one leaf")
    parser.add_argument("--leaf-rows", type=int, default=1_000, help="rows of each of them")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds a fit may take")
    args = parser.parse_args()
    if args.worker:
        side, out = args.worker
        case = Case(args.kernels[0], args.n, args.d, "diagonal", 1)
        if side in TREE_SIDES:
            work_tree(side, case, args.leaf_rows, args.iterations, Path(out))
        else:
            work(side, case, args.iterations, Path(out))
        return 0

    import torch

    if not torch.cuda.is_available():
        print("no CUDA device here: this benchmark needs one")
        return 2
    device, rate = torch.cuda.get_device_name(), product_rate()
    print(f"{device}: float32 matrix products at {rate / 1e12:.1f} TFLOP/s, TF32 off", flush=True)
    recorder = Recorder("gpu_leaf", args.results)
    with tempfile.TemporaryDirectory() as folder:
        for kernel in args.kernels:
            if args.small_leaves:
                case = Case(kernel, args.small_leaves * args.leaf_rows, args.d, "diagonal", 1)
                found = compare_trees(case, args, Path(folder))
            else:
                found = compare(Case(kernel, args.n, args.d, "diagonal", 1), rate, args, Path(folder))
            record = {"device": device, "rate": rate, **found}
            table = f"{case.n:,} rows, {case.d} columns"
            for side, answer in found.items():
                if isinstance(answer, dict):
                    seconds = answer.get("fit_s", answer.get("leaves_s"))
                    setting = f"{kernel}, {side.replace('_', ' ')}"
                    method = "xrfm_ref" if side == "reference" else "xrfm"
                    facts = {"setting": setting, "method": method, "seconds": seconds, "extra": answer}
                    recorder.add(table, "fit_s" if "fit_s" in answer else "leaves_s", seconds, **facts)
            print(json.dumps(record), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
