"""Prediction, model file and memory by the number of leaves: the cost of a row must not grow with them.

    python -m benchmarks.many_leaves [--leaves 16 256 4096] [--rows 100000]

Trees of leaves with 1,000 centers in 20 columns from a seed, on one thread. Splits are along columns in turn
at the median of the rows that reach them, so every leaf has about as many rows. CPU seconds are those of the
process, the best of several calls. ``first`` is the first prediction of a model that was read, which prepares
its leaves.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measurements import Recorder, benchmark_parser
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf
from xrfm_cli.trees import SplitNode, TreeConfig, TreeModel, read_model_file, write_model_file

COLUMNS, CENTERS = 20, 1_000
KERNELS = {
    "norm": LeafConfig(kernel_p=2.0, kernel_q=1.0),
    "sum_power": LeafConfig(kernel="sum_power", power=2, constant=0.0),
}
CASES = (("norm", 0.0), ("norm", 0.1), ("sum_power", 0.0))  # kernel and temperature
REPEATS, GRADIENT_ROWS = 3, 200


def make_splits(leaves: int) -> tuple[SplitNode, ...]:
    """Return a balanced tree whose splits halve normal rows along one column after the other."""
    splits: list[SplitNode] = []
    numbers = iter(range(leaves))

    def build(level: int, low: dict[int, float], high: dict[int, float], count: int) -> int:
        if count == 1:
            return ~next(numbers)
        column, number = level % COLUMNS, len(splits)
        begin, end = low.get(column, 0.0), high.get(column, 1.0)
        middle = (begin + end) / 2
        direction = torch.zeros(COLUMNS, dtype=torch.float64)
        direction[column] = 1.0
        quantile = float(torch.special.ndtri(torch.tensor(middle, dtype=torch.float64)))
        splits.append(SplitNode(direction=direction, threshold=quantile, iqr=0.5, left=0, right=0))
        left = build(level + 1, low, high | {column: middle}, count // 2)
        right = build(level + 1, low | {column: middle}, high, count - count // 2)
        splits[number] = SplitNode(
            direction=direction, threshold=quantile, iqr=end - begin, left=left, right=right
        )
        return number

    build(0, {}, {}, leaves)
    return tuple(splits)


def make_tree(leaves: int, config: LeafConfig, temperature: float) -> TreeModel:
    """Return a tree of leaves with random centers."""
    generator = torch.Generator().manual_seed(leaves)
    made = tuple(
        RFMLeaf(
            config=config,
            centers=torch.randn(CENTERS, COLUMNS, generator=generator),
            coefficients=torch.randn(CENTERS, 1, generator=generator),
            feature_matrix=torch.rand(COLUMNS, generator=generator),
            bandwidth=5.0,
        )
        for _ in range(leaves)
    )
    tree = TreeConfig(leaf=config, leaf_size=CENTERS, temperature=temperature)
    return TreeModel(config=tree, splits=make_splits(leaves), leaves=made)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def measure(leaves: int, rows: int, folder: str) -> list[tuple[str, str, float]]:
    """Return settings, metrics and values for one number of leaves."""
    torch.set_num_threads(1)
    x = torch.randn(rows, COLUMNS, generator=torch.Generator().manual_seed(0))
    found = []
    for name, temperature in CASES:
        setting = f"{name}, {'soft' if temperature else 'hard'}"
        tree = make_tree(leaves, KERNELS[name], temperature)
        found += [(setting, metric, value) for metric, value in speeds(tree, x).items()]
    file = Path(folder) / f"{leaves}.xrfm"
    found += [("file", metric, value) for metric, value in file_seconds(tree, file).items()]
    found.append(("process", "peak_mib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    return found


def speeds(tree: TreeModel, x: Tensor) -> dict[str, float]:
    """Return microseconds of CPU a row, of the first prediction and of the best one."""
    first = cpu_seconds(lambda: tree.predict(x))
    again = min(cpu_seconds(lambda: tree.predict(x)) for _ in range(REPEATS))
    found = {"first_us_a_row": 1e6 * first / len(x), "us_a_row": 1e6 * again / len(x)}
    if tree.temperature:
        slopes = cpu_seconds(lambda: tree.gradients(x[:GRADIENT_ROWS]))
        found["voting_leaves"] = len(tree.votes(x).rows) / len(x)
        found["gradient_us_a_row"] = 1e6 * slopes / GRADIENT_ROWS
    return found


def file_seconds(tree: TreeModel, file: Path) -> dict[str, float]:
    """Return the CPU seconds of writing and reading a tree, and the size of the file."""
    facts, tensors = tree.state()
    found = {"write_s": cpu_seconds(lambda: write_model_file(file, {"tree": facts}, tensors))}
    found["read_s"] = cpu_seconds(lambda: _read(file))
    found["mib"] = file.stat().st_size / 2**20
    file.unlink()
    return found


def _read(file: Path) -> Tensor:
    manifest, tensors = read_model_file(file)
    return TreeModel.from_state(manifest["tree"], tensors).leaves[0].centers


def main() -> None:
    """Measure each number of leaves in a process of its own, and print a line for each figure."""
    parser: argparse.ArgumentParser = benchmark_parser(__doc__, "many_leaves")
    parser.add_argument("--leaves", type=int, nargs="+", default=[16, 256, 4096])
    parser.add_argument("--rows", type=int, default=100_000)
    args = parser.parse_args()
    recorder = Recorder("many_leaves", args.results)
    with tempfile.TemporaryDirectory() as folder:
        for leaves in args.leaves:
            with get_context("spawn").Pool(1) as pool:
                found = pool.apply(measure, (leaves, args.rows, folder))
            for setting, metric, value in found:
                recorder.add(f"{leaves:,} leaves", metric, round(value, 4), setting=setting)
                print(f"{leaves:6,} leaves  {setting:16}  {metric:18} {value:10.3f}", flush=True)


if __name__ == "__main__":
    main()
