"""Nanoseconds of one core for a pair of a row and a center, p = 2: the compiled loops beside matrix products.

    python -m benchmarks.pair_cost

``product`` computes squared distances as ``|x|^2 + |c|^2 - 2 x.c`` in blocks that stay in cache, and torch
does the rest. The least processor time of several runs counts. Errors are relative to the standard deviation
of the sums in float64; some rows are centers, and some lie beside one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.measurements import Recorder, benchmark_parser, read
from benchmarks.tables import markdown, number
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.leaf import RFMLeaf

CENTERS, ROWS, NEAR, REPEATS = 10_000, 1_024, 64, 5
BLOCK = 512  # rows and centers of a block: 1 MiB of distances, the fastest of five shapes


def example(d: int) -> tuple[RFMLeaf, Tensor]:
    """Return a leaf of ``d`` columns and the rows to predict."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(CENTERS, d, generator=generator)
    x = torch.randn(ROWS, d, generator=generator)
    x[:NEAR] = centers[:NEAR]
    x[NEAR : 2 * NEAR] = centers[:NEAR] + 1e-4 * x[NEAR : 2 * NEAR]
    config = LeafConfig(kernel="norm", kernel_p=2.0, kernel_q=1.0)
    leaf = RFMLeaf(
        config=config,
        centers=centers,
        coefficients=torch.randn(CENTERS, 1, generator=generator),
        feature_matrix=torch.ones(d),
        bandwidth=1.4 * d**0.5,
    )
    return leaf, x


def by_products(leaf: RFMLeaf, x: Tensor, *, is_whole: bool) -> Tensor:
    """Return the predictions ``(n, 1)`` by matrix products; without the rest of the work, zeros."""
    out = torch.zeros(len(x), 1)
    for centers, weights in zip(leaf.centers.split(BLOCK), leaf.coefficients.split(BLOCK), strict=True):
        doubled, squares = -2 * centers.T, (centers * centers).sum(1)
        for rows, target in zip(x.split(BLOCK), out.split(BLOCK), strict=True):
            distances = torch.addmm(squares, rows, doubled)
            if is_whole:
                distances.add_((rows * rows).sum(1, keepdim=True)).clamp_(min=0).sqrt_()
                target += distances.mul_(-1 / leaf.bandwidth).exp_() @ weights
    return out


def exact(leaf: RFMLeaf, x: Tensor) -> Tensor:
    """Return the predictions in float64."""
    mode = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(x.double(), leaf.centers.double(), compute_mode=mode)
    return (-distances / leaf.bandwidth).exp() @ leaf.coefficients.double()


def cost(predict: Callable[[], Tensor]) -> float:
    """Return the nanoseconds of a pair."""
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        predict()
        seconds.append(time.process_time() - began)
    return 1e9 * min(seconds) / (ROWS * CENTERS)


def main() -> None:
    """Measure each way for several numbers of columns."""
    parser = benchmark_parser(__doc__, "pair_cost")
    parser.add_argument("--columns", type=int, nargs="+", default=[1, 20, 40])
    args = parser.parse_args()
    recorder = Recorder("pair_cost", args.results)
    torch.set_num_threads(1)
    for d in args.columns:
        leaf, x = example(d)
        true = exact(leaf, x)
        ways = {
            "loops": lambda leaf=leaf, x=x: leaf.predict(x),
            "product": lambda leaf=leaf, x=x: by_products(leaf, x, is_whole=True),
            "product alone": lambda leaf=leaf, x=x: by_products(leaf, x, is_whole=False),
        }
        for name, predict in ways.items():
            errors = (predict().double() - true).abs() / true.std()
            extra = {} if name == "product alone" else {"error": float(errors.square().mean().sqrt())}
            row = recorder.add(f"{d} columns", "ns", round(cost(predict), 3), setting=name, extra=extra)
            print(f"{row.table}, {name}: {row.value} ns a pair {extra}", flush=True)


def pair_table() -> str:
    """Return the table of the page."""
    latest = {(row.table, row.setting): row for row in read("pair_cost")}
    lines = [
        (table, setting or "", number(row.value, 2), number(row.extra.get("error"), 7), row.commit or "-")
        for (table, setting), row in latest.items()
    ]
    return markdown(("centers of", "", "ns a pair", "error", "commit"), lines)


if __name__ == "__main__":
    main()
