"""One kernel solve by conjugate gradients, beside the direct solve: seconds until both have equal errors.

    taskset -c 0 python -m benchmarks.iterative_solves ../shared/bench --rows 5000 10000 20000

A leaf of each table, under a feature matrix that 2,000 of its rows have learned, as in the last rung of a
search. The kernel matrix is in memory and its time is counted on neither side. ``iterative`` is what leaves
of many rows use; the others are what was tried:

- ``pivoted N``: a preconditioner of N randomly pivoted columns (Diaz et al., arXiv 2304.12465);
- ``uniform N``: of N columns drawn uniformly, which is Nystrom's approximation;
- ``old ridge``, ``old weights``, ``old matrix``: the factor of the same rows under a larger ridge, without
  the row weights of a logistic step, or under the feature matrix of an earlier update.

``distance`` is that of the test predictions from the direct solve's, over the deviation of these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.measurements import Recorder
from benchmarks.suite import read_split, suite_parser
from xrfm_cli.datasets import (
    EncodingConfig,
    SchemaOverrides,
    encode_target,
    fit_encoder,
    infer_schema,
    infer_target,
)
from xrfm_cli.leaf_models import LeafConfig, iterate_leaf
from xrfm_cli.leaf_models.compiled.products import multiply
from xrfm_cli.leaf_models.kernels.coordinates import prepare_centers
from xrfm_cli.leaf_models.kernels.families import make_kernel
from xrfm_cli.leaf_models.solvers.iterative import IterativeSolver
from xrfm_cli.leaf_models.solvers.ridge import _substituted, factorise_, solve_ridge
from xrfm_cli.leaf_models.steps import DISTANCE_ROWS, draw_rows, place_rows, symmetric_kernel

TABLES = ("adult", "bank_marketing", "credit_default_taiwan", "cardio_disease", "california_housing")
LEARNING_ROWS, UPDATES, TEST_ROWS = 2_000, 3, 4_000
MOST_STEPS = 400
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
BLOCK = 128  # pivots drawn at a time

Multiply = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """A kernel of the first configurations of a search, and the encoding of its numbers."""

    name: str
    numeric: Literal["standard", "quantile"]
    config: LeafConfig


def _norm(p: float, q: float, bandwidth: float, ridge: float) -> LeafConfig:
    return LeafConfig(
        kernel_p=p,
        kernel_q=q,
        bandwidth=bandwidth,
        ridge=ridge,
        bandwidth_mode="adaptive",
        iterations=UPDATES,
    )


SETTINGS = (
    Setting("p = 2, q = 0.7, ridge 0.02", "quantile", _norm(2, 0.7, 8.0, 0.02)),
    Setting("p = 2, q = 1.55, ridge 0.001", "standard", _norm(2, 1.55, 15.0, 0.001)),
    Setting("p = 1, q = 0.75, ridge 0.03", "quantile", _norm(1, 0.75, 1.0, 0.03)),
    Setting("p = 1, q = 0.73, ridge 7.5", "quantile", _norm(1, 0.73, 4.5, 7.5)),
    Setting("p = 2, q = 1, ridge 0.1", "quantile", _norm(2, 1.0, 8.0, 0.1)),
)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Encoded training and test rows, and their targets."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The step and the seconds at which conjugate gradients first reached a tolerance."""

    tolerance: float
    steps: int
    seconds: float
    coefficients: Tensor


def read_rows(suite: Path, name: str, numeric: Literal["standard", "quantile"], *, n: int, seed: int) -> Rows:
    """Encode a table; numbers and classes -1 and 1 as targets, standardised numbers."""
    split = read_split(suite, name, seed=seed, most_train=n)
    schema = infer_schema(split.train, SchemaOverrides(target=split.target))
    target = infer_target(split.train, split.target, task=split.task)
    y, test_y = encode_target(split.train, target), encode_target(split.test, target)[:TEST_ROWS]
    if split.task == "regression":
        test_y, y = (test_y - y.mean()) / y.std(), (y - y.mean()) / y.std()
    else:
        y, test_y = 2.0 * y - 1, 2.0 * test_y - 1
    encoder, x, _ = fit_encoder(split.train, schema, EncodingConfig(numeric=numeric), target=y[:, None])
    test_x = encoder.encode(split.test.slice(0, TEST_ROWS))[0]
    wide = [torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in (x, y[:, None], test_x)]
    return Rows(x=wide[0], y=wide[1], test_x=wide[2], test_y=torch.from_numpy(test_y)[:, None])


def learned_matrices(rows: Rows, config: LeafConfig) -> list[Tensor]:
    """Return the feature matrices before each solve, learned from a few rows."""
    few = slice(0, LEARNING_ROWS)
    generator = torch.Generator().manual_seed(0)
    return [
        leaf.feature_matrix for leaf in iterate_leaf(rows.x[few], rows.y[few], config, generator=generator)
    ]


def kernel_matrices(rows: Rows, config: LeafConfig, feature_matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the kernel matrix of the training rows, and that of test and training rows."""
    drawn = draw_rows(len(rows.x), DISTANCE_ROWS, torch.Generator().manual_seed(0))
    placed = place_rows(rows.x, None, config, feature_matrix, drawn, None)
    kernel = make_kernel(config, placed.kernel_bandwidth)
    centers = prepare_centers(placed.u)
    blocks = [kernel.matrix(block, centers) for block in placed.transform(rows.test_x).split(512)]
    return symmetric_kernel(kernel, placed.u), torch.cat(blocks)


def low_rank(matrix: Tensor, rank: int, *, is_pivoted: bool) -> Tensor:
    """Return ``F (n, rank)`` with ``F F^T`` near the kernel matrix, from some of its columns."""
    n = len(matrix)
    generator = torch.Generator().manual_seed(0)
    factor, left = matrix.new_zeros(n, rank), torch.ones(n, dtype=torch.float64)
    done = 0
    while done < rank:
        size = min(BLOCK, rank - done)
        chances = left.clamp(min=0) if is_pivoted else (left > 0).double()
        pivots = torch.multinomial(chances, size, replacement=False, generator=generator)
        known = factor[:, :done]
        columns = matrix[:, pivots] - known @ known[pivots].T
        core = columns[pivots].double()
        core.diagonal().add_(1e-6 * float(core.diagonal().mean()))
        lower = torch.linalg.cholesky(core).float()
        new = torch.linalg.solve_triangular(lower.T, columns, upper=True, left=False)
        factor[:, done : done + size] = new
        left -= new.double().square().sum(1)
        left[pivots] = 0.0
        done += size
    return factor


def woodbury(factor: Tensor, diagonal: Tensor) -> Multiply:
    """Return the product with the inverse of ``F F^T + diag(d)``."""
    scaled = factor / diagonal.sqrt().float()[:, None]
    inner = (scaled.T @ scaled).double()
    inner.diagonal().add_(1.0)
    lower = torch.linalg.cholesky(inner)

    def apply(v: Tensor) -> Tensor:
        near = v / diagonal[:, None]
        below = torch.cholesky_solve((factor.T @ near.float()).double(), lower)
        return near - (factor @ below.float()).double() / diagonal[:, None]

    return apply


def conjugate_gradients(
    matrix: Tensor, diagonal: Tensor, y: Tensor, precondition: Multiply, began: float
) -> Iterator[Stop]:
    """Solve ``(K + diag(d)) alpha = y``; yield where each tolerance is reached."""
    waiting = list(TOLERANCES)
    residual = y.double()
    start = residual.norm()
    coefficients = torch.zeros_like(residual)
    better = precondition(residual)
    step, power = better, (residual * better).sum()
    for number in range(1, MOST_STEPS + 1):
        moved = multiply(matrix, step) + diagonal[:, None] * step
        length = power / (step * moved).sum()
        coefficients = coefficients + length * step
        before, residual = residual, residual - length * moved
        while waiting and residual.norm() <= waiting[0] * start:
            yield Stop(
                tolerance=waiting.pop(0),
                steps=number,
                seconds=time.perf_counter() - began,
                coefficients=coefficients,
            )
        if not waiting:
            return
        better = precondition(residual)
        change = ((residual - before) * better).sum()
        step = better + (change / power).clamp(min=0) * step
        power = (residual * better).sum()


def by_factor(factor: Tensor) -> Multiply:
    """Return the solution with a Cholesky factor in the lower triangle."""

    def apply(v: Tensor) -> Tensor:
        scale = v.abs().max()
        return _substituted(factor, (v / scale).float()).double() * scale

    return apply


class Comparison:
    """One kernel matrix, solved in several ways."""

    def __init__(
        self, recorder: Recorder, table: str, setting: Setting, rows: Rows, matrices: list[Tensor]
    ) -> None:
        self.recorder, self.table, self.setting, self.rows = recorder, table, setting, rows
        self.n = len(rows.x)
        self.matrix, self.test = kernel_matrices(rows, setting.config, matrices[-1])
        self.matrices = matrices
        self.ridge = setting.config.ridge

    def run(self, ranks: list[int], *, old: bool) -> None:
        """Solve directly, then in every other way."""
        y, weights = self.rows.y, None
        direct = self.direct("direct", y, weights)
        self.product(y, direct)
        for rank in ranks:
            for is_pivoted in (True, False):
                began = time.perf_counter()
                factor = low_rank(self.matrix, rank, is_pivoted=is_pivoted)
                diagonal = torch.full((self.n,), self.ridge, dtype=torch.float64)
                apply = woodbury(factor, diagonal)
                self.iterate(
                    f"{'pivoted' if is_pivoted else 'uniform'} {rank}", diagonal, y, apply, began, direct
                )
        if old:
            self.run_old(y, direct)

    def run_old(self, y: Tensor, direct: Tensor) -> None:
        """Use factors of other systems as preconditioners; their own time is not counted."""
        diagonal = torch.full((self.n,), self.ridge, dtype=torch.float64)
        for name, share in (("old ridge, 10 times", 10.0), ("old ridge, 3 times", 3.0)):
            factor = self.matrix.clone()
            factor.diagonal().add_(share * self.ridge)
            assert factorise_(factor)
            self.iterate(name, diagonal, y, by_factor(factor), time.perf_counter(), direct)
        # A logistic step from the least-squares fit: weights 4 p (1 - p), between 0.116 and 1.
        factor = self.matrix.clone()
        factor.diagonal().add_(self.ridge)
        assert factorise_(factor)
        values = (y.double() - self.ridge * direct).clamp(-0.94, 0.94)
        weights = (1 - values.square())[:, 0]
        exact = self.direct("direct, weighted", y, weights.float())
        raised = self.ridge / weights
        self.iterate("old weights", raised, y, by_factor(factor), time.perf_counter(), exact)
        for number in (-2, -3):
            factor, _ = kernel_matrices(self.rows, self.setting.config, self.matrices[number])
            factor.diagonal().add_(self.ridge)
            assert factorise_(factor)
            name = f"old matrix, {-1 - number} update{'s' if number < -2 else ''} earlier"
            self.iterate(name, diagonal, y, by_factor(factor), time.perf_counter(), direct)

    def direct(self, name: str, y: Tensor, weights: Tensor | None) -> Tensor:
        """Solve by a factorisation; record its seconds."""
        copy = self.matrix.clone()
        began = time.perf_counter()
        alpha = solve_ridge(copy, y, self.ridge, weights).coefficients.double()
        seconds = time.perf_counter() - began
        predicted = self.test.double() @ alpha
        self.add(name, seconds, {"error": self.error(predicted)})
        return alpha

    def product(self, y: Tensor, direct: Tensor) -> None:
        """Solve as leaves of many rows are, then with the weights of a logistic step."""
        began = time.perf_counter()
        solver = IterativeSolver(self.matrix)
        prepared = time.perf_counter() - began
        exact = self.test.double() @ direct
        for name in ("iterative", "iterative, again with weights"):
            weights = None if name == "iterative" else 0.12 + 0.88 * torch.rand(self.n)
            found = solver.solve(y, self.ridge, weights)
            extra: dict = {"prepared_s": round(prepared, 3)}
            if found is None:
                extra["failed"] = "converges too slowly"
            elif weights is None:
                predicted = self.test.double() @ found.double()
                distance = float((predicted - exact).square().mean().sqrt() / exact.std())
                extra |= {"distance": float(f"{distance:.2g}"), "error": self.error(predicted)}
            self.add(name, time.perf_counter() - began, extra)
            began = time.perf_counter()

    def iterate(
        self, name: str, diagonal: Tensor, y: Tensor, apply: Multiply, began: float, direct: Tensor
    ) -> None:
        """Solve by conjugate gradients; record seconds, steps and distance at every tolerance."""
        prepared = time.perf_counter() - began
        exact = self.test.double() @ direct
        last = None
        for stop in conjugate_gradients(self.matrix, diagonal, y, apply, began):
            last = stop
            predicted = self.test.double() @ stop.coefficients
            distance = float((predicted - exact).square().mean().sqrt() / exact.std())
            extra = {
                "tolerance": stop.tolerance,
                "steps": stop.steps,
                "prepared_s": round(prepared, 3),
                "distance": float(f"{distance:.2g}"),
                "error": self.error(predicted),
            }
            self.add(name, stop.seconds, extra)
        if last is None or last.tolerance > TOLERANCES[-1]:
            seconds = time.perf_counter() - began
            self.add(name, seconds, {"failed": f"{MOST_STEPS} steps", "prepared_s": round(prepared, 3)})

    def error(self, predicted: Tensor) -> float:
        """Root mean square error over the deviation of the test target."""
        y = self.rows.test_y
        return float(f"{float((predicted - y).square().mean().sqrt() / y.std()):.5g}")

    def add(self, name: str, seconds: float, extra: dict) -> None:
        """Record one figure."""
        table, setting = f"{self.table}, {self.n:,} rows", f"{self.setting.name} | {name}"
        self.recorder.add(table, "solve_s", round(seconds, 3), setting=setting, extra=extra)
        print(f"{table:32s} {setting:56s} {seconds:8.2f} s  {extra}", flush=True)


def main() -> None:
    """Compare for each table, number of rows and kernel."""
    parser = suite_parser(__doc__, "iterative_solves", TABLES)
    parser.add_argument("--rows", nargs="+", type=int, default=[10_000])
    parser.add_argument("--ranks", nargs="+", type=int, default=[500, 1_000, 2_000])
    parser.add_argument("--settings", nargs="+", type=int, default=list(range(len(SETTINGS))))
    parser.add_argument("--old", action="store_true", help="also with old factors as preconditioners")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recorder = Recorder("iterative_solves", args.results)
    for name in args.tables:
        for n in args.rows:
            for setting in (SETTINGS[number] for number in args.settings):
                rows = read_rows(args.suite, name, setting.numeric, n=n, seed=args.seed)
                config = replace(setting.config, iterations=UPDATES)
                comparison = Comparison(recorder, name, setting, rows, learned_matrices(rows, config))
                comparison.run(args.ranks, old=args.old)


if __name__ == "__main__":
    main()
