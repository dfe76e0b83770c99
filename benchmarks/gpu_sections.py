"""The sections of ``gpu_check.py``. Each runs with small sizes on a CPU, too."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from unittest import mock

import torch
from torch import Tensor

from benchmarks.gpu_bench import (
    COLUMNS,
    KERNEL_NAMES,
    RIDGE,
    SAME_FIT,
    SAME_MODEL,
    TRITON,
    UPDATES,
    Bench,
    apart,
    leaf_config,
    rows,
    source_of,
)
from benchmarks.gpu_fits import compare_fits, compare_model_files
from benchmarks.measurements import ROOT
from xrfm_cli.leaf_models import LeafConfig, LeafRows, fit_leaf, iterate_leaves, leaves
from xrfm_cli.leaf_models.kernels import coordinates
from xrfm_cli.leaf_models.kernels.families import make_kernel
from xrfm_cli.leaf_models.solvers.ridge import factorise_, solve_ridge
from xrfm_cli.leaf_models.steps import direct_bytes, symmetric_kernel
from xrfm_cli.leaf_models.terms import Term
from xrfm_cli.trees import TrainingRows, TreeConfig, TreeModel, fit_tree, grow


@dataclass(frozen=True)
class Section:
    """A part of the check, and the seconds that it may take."""

    run: Callable[[Bench], None]
    budget_s: float


def run_tests(bench: Bench) -> None:
    """Run all tests marked ``gpu``; without a device they are collected and skipped."""
    every = sorted((ROOT / "tests" / "leaf_models").rglob("test_*.py"))
    marked = [path for path in every if "pytest.mark.gpu" in path.read_text(encoding="utf-8")]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-rf", "--no-header", *map(str, marked)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    counts = dict.fromkeys(("passed", "failed", "error", "skipped"), 0)
    for number, name in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout):
        counts[name] = int(number)
    for name, number in counts.items():
        bench.record("tests", name, number)
    expected = counts["skipped"] if bench.is_small else counts["passed"]
    if done.returncode or not expected:
        raise SystemExit(done.stdout)


def compare_predictions(bench: Bench) -> None:
    """Predict by the same models on the CPU and on the device, in both directions of the move."""
    n = bench.size(4_000, 200)
    x, y = rows(n, 10)
    new, _ = rows(n, 10, seed=1)
    configs = {
        "p = 2, diagonal": LeafConfig(kernel_p=2.0, iterations=2),
        "p = 1, diagonal": LeafConfig(kernel_p=1.0, kernel_q=1.0, iterations=2),
        "p = 1.5, full": LeafConfig(kernel_p=1.5, kernel_q=1.2, iterations=2, metric_shape="full"),
        "sum of powers": LeafConfig(kernel="sum_power", kernel_q=1.0, iterations=2),
        "log odds": LeafConfig(kernel_p=2.0, iterations=1, loss="logistic"),
        "linear": LeafConfig(kernel="linear", iterations=1),
    }
    for name, config in configs.items():
        targets = y.sign() if config.loss == "logistic" else y
        near = fit_leaf(x, targets, config, generator=source_of(0))
        there = fit_leaf(x.to(bench.device), targets.to(bench.device), config, generator=source_of(0))
        expected = near.predict(new)
        moved, back = near.to(bench.device), there.to("cpu")
        far_rows = new.to(bench.device)
        figures = {
            "same_model": (apart(moved.predict(far_rows), expected), SAME_MODEL),
            "gradients": (apart(moved.gradients(far_rows[:500]), near.gradients(new[:500])), 10 * SAME_MODEL),
            "fitted_there_read_here": (apart(back.predict(new), there.predict(far_rows)), SAME_MODEL),
            "same_fit": (apart(there.predict(far_rows), expected), SAME_FIT),
        }
        for metric, (value, tolerance) in figures.items():
            bench.record("predictions", metric, value, setting=name, extra={"tolerance": tolerance})
    tree = fit_tree(x, y, TreeConfig(leaf=configs["p = 2, diagonal"], leaf_size=n // 6, temperature=0.2),
                    generator=source_of(0))  # fmt: skip
    value = apart(tree.to(bench.device).predict(new.to(bench.device)), tree.predict(new))
    bench.record("predictions", "same_model", value, setting="tree", extra={"tolerance": SAME_MODEL})
    compare_model_files(bench)


def compare_triton(bench: Bench) -> None:
    """Time the Triton kernels beside torch's operations and compare both with float64."""
    from xrfm_cli.leaf_models.kernels import triton_kernels

    usable = mock.patch.object(coordinates, "triton_module", return_value=triton_kernels)
    by_triton = mock.patch.object(coordinates, "backend", return_value="triton")
    by_torch = mock.patch.object(coordinates, "backend", return_value="torch")
    b, m, d, c = (2_048, 16_384, COLUMNS, 3) if not bench.is_small else (20, 70, 3, 2)
    source = source_of(1)
    u, a, pair, coefficients = (
        torch.randn(*shape, generator=source).to(bench.device) for shape in ((b, d), (m, d), (b, m), (m, c))
    )
    exact_rows = slice(0, 64)
    for kind, exponent in (("power", 1.0), ("power", 1.3), ("decay", 1.0), ("decay", 1.7)):
        term = Term(kind=kind, exponent=exponent, scale=1.0 if kind == "power" else 0.8)  # type: ignore[arg-type]
        # ``plain_centers`` has no binary columns, so every operation is that of the kernels alone.
        centers, exact = coordinates.plain_centers(a), coordinates.plain_centers(a.double())
        operations: dict[str, Callable[..., Tensor]] = {
            "sums": lambda u, a, pair, coef, term=term: coordinates.coordinate_sums(term, u, a),
            "fused": lambda u, a, pair, coef, term=term: coordinates.exponential_sums(term, u, a, 0.7, 0.3),
            "slopes": lambda u, a, pair, coef, term=term: coordinates.coordinate_slopes(
                term, u, a, pair, coef
            ),
        }
        for name, operation in operations.items():
            given = (u, centers, pair, coefficients)
            few = (u[exact_rows].double(), exact, pair[exact_rows].double(), coefficients.double())
            with by_torch:
                expected = operation(*few)
                torch_s = bench.seconds(partial(operation, *given), times=bench.size(3, 1))
            with usable, by_triton:
                found = operation(*given)[exact_rows]  # compiles at its first call
                triton_s = bench.seconds(partial(operation, *given), times=bench.size(5, 1))
            error = float((found.double() - expected).abs().max() / expected.abs().max())
            setting = f"{name}, {kind} {exponent:g}"
            extra = {"tolerance": TRITON, "torch_s": torch_s, "triton_s": triton_s}
            bench.record("triton", "error", error, setting=setting, seconds=triton_s, extra=extra)


def product_rate(bench: Bench, dtype: torch.dtype = torch.float32) -> float:
    """Return operations a second of matrix products with TF32 off."""
    n = bench.size(8_192, 256)
    square = torch.randn(n, n, device=bench.device, dtype=dtype)
    return 2 * n**3 / bench.seconds(lambda: square @ square, times=4)


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Compute matrix products with or without TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def time_leaf(bench: Bench) -> None:
    """Fit one leaf of 60,000 rows, with TF32 off and on, over the floor of its factorisations."""
    n = bench.size(60_000, 400)
    x, y = (values.to(bench.device) for values in rows(n, COLUMNS))
    new = rows(2_000, COLUMNS, seed=1)[0].to(bench.device)
    rate = product_rate(bench)
    floor = (UPDATES + 1) * n**3 / 3 / rate
    bench.record("leaf", "float32_tflops", rate / 1e12)
    bench.record("leaf", "float64_tflops", product_rate(bench, torch.float64) / 1e12)
    for p, name in KERNEL_NAMES.items():
        fitted = []
        for allowed in (False, True):
            with tf32(allowed=allowed):
                predictions, facts = _timed_leaf(bench, x, y, new, leaf_config(p))
            fitted.append(predictions)
            facts |= {"rows": n, "times_floor": facts["fit_s"] / floor}
            facts["from_tf32_off"] = apart(fitted[-1], fitted[0])
            setting = f"{name}, TF32 {'on' if allowed else 'off'}"
            bench.record(
                "leaf", "fit_s", facts["fit_s"], setting=setting, seconds=facts["fit_s"], extra=facts
            )


def _timed_leaf(
    bench: Bench, x: Tensor, y: Tensor, new: Tensor, config: LeafConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return a leaf's predictions of new rows, its seconds and its memory; a small leaf warms up."""
    few = min(1_000, len(x))
    fit_leaf(x[:few], y[:few], config, generator=source_of(0)).predict(new)
    bench.forget_peak()
    began = time.perf_counter()
    leaf = fit_leaf(x, y, config, generator=source_of(0), memory_bytes=bench.memory_bytes())
    bench.wait()
    seconds, peak = time.perf_counter() - began, bench.peak_bytes()
    facts = {
        "fit_s": seconds,
        "predict_s": bench.seconds(lambda: leaf.predict(new), times=2),
        "peak_bytes": peak,
        "of_planned_memory": peak / direct_bytes(len(x)),
    }
    return leaf.predict(new).cpu(), facts


def time_stages(bench: Bench) -> None:
    """Time the stages of a solve, and the library's own Cholesky factors beside ours."""
    for n in (bench.size(2_000, 200), bench.size(10_000, 300), bench.size(40_000, 400)):
        for name, seconds in _stage_seconds(bench, n).items():
            bench.record("stages", f"{name}_s", seconds, setting=f"{n:,} rows")


def _stage_seconds(bench: Bench, n: int) -> dict[str, float]:
    """Return the seconds of each stage; copies of the matrix that a stage needs are subtracted."""
    x, y = (values.to(bench.device) for values in rows(n, COLUMNS))
    found = {}
    for p, name in KERNEL_NAMES.items():
        kernel = make_kernel(leaf_config(p), leaf_config(p).bandwidth)
        symmetric_kernel(kernel, x[:100])
        found[f"kernel_matrix_{name.replace(' = ', '')}"] = bench.seconds(
            partial(symmetric_kernel, kernel, x), times=2
        )
    matrix = symmetric_kernel(make_kernel(leaf_config(2.0), leaf_config(2.0).bandwidth), x)
    raised = matrix.clone()
    raised.diagonal().add_(RIDGE)
    copy_s = bench.seconds(matrix.clone, times=2)
    found["solve"] = bench.seconds(lambda: solve_ridge(matrix.clone(), y, RIDGE)) - copy_s
    found["factorise"] = bench.seconds(lambda: factorise_(raised.clone())) - copy_s
    for dtype in (torch.float32, torch.float64):
        kind = str(dtype).removeprefix("torch.")
        wide = raised.to(dtype)
        found[f"library_factor_{kind}"] = bench.seconds(partial(torch.linalg.cholesky_ex, wide), times=2)
    return found


def time_tree(bench: Bench) -> None:
    """Fit a tree of 64 leaves of 1,000 rows, its leaves in batches and one by one."""
    leaf_rows, count = bench.size(1_000, 60), bench.size(64, 4)
    x, y = (values.to(bench.device) for values in rows(count * leaf_rows, COLUMNS))
    new = rows(2_000, COLUMNS, seed=1)[0].to(bench.device)
    for p, name in KERNEL_NAMES.items():
        config = TreeConfig(leaf=leaf_config(p), leaf_size=leaf_rows + leaf_rows // 20)
        fitted = []
        for way in ("one by one", "in batches"):
            # On a device the batch is as large as it is for users; on a CPU there would be none.
            decide = leaves.leaves_per_batch if bench.device == "cuda" else lambda *_: count
            decide = decide if way == "in batches" else lambda *_: 0
            with mock.patch.object(leaves, "leaves_per_batch", decide):
                timed_tree(bench, x[: 5 * leaf_rows], y[: 5 * leaf_rows], config)
                bench.forget_peak()
                tree, facts = timed_tree(bench, x, y, config)
            fitted.append(tree.predict(new))
            facts |= {"from_one_by_one": apart(fitted[-1], fitted[0]), "peak_bytes": bench.peak_bytes()}
            bench.record("tree", "leaves_s", facts["leaves_s"], setting=f"{name}, {way}", extra=facts)


def timed_tree(bench: Bench, x: Tensor, y: Tensor, config: TreeConfig) -> tuple[TreeModel, dict[str, float]]:
    """Return a tree, grown and fitted as ``iterate_tree`` does, and the seconds of its splits and leaves."""
    times = [time.perf_counter()]
    training = TrainingRows(x=x, routed=x, y=y, weights=None)
    partition = grow(training, config, generator=source_of(0))
    bench.wait()
    times.append(time.perf_counter())
    parts = [
        LeafRows(x=x[own], y=y[own], weights=None, generator=source_of(number))
        for number, own in enumerate(partition.leaf_rows)
    ]
    *_, found = iterate_leaves(parts, config.leaf, memory_bytes=bench.memory_bytes() // 2)
    bench.wait()
    times.append(time.perf_counter())
    facts = {
        "leaves": len(found),
        "largest": max(len(part.x) for part in parts),
        "grow_s": times[1] - times[0],
        "leaves_s": times[2] - times[1],
    }
    return TreeModel(config=config, splits=partition.splits, leaves=found), facts


SECTIONS = {
    "predictions": Section(compare_predictions, 70),
    "triton": Section(compare_triton, 60),
    "leaf": Section(time_leaf, 100),
    "tree": Section(time_tree, 50),
    "fits": Section(compare_fits, 170),
    "tests": Section(run_tests, 120),
    "stages": Section(time_stages, 40),
}
