"""One leaf of more rows than a direct solve can take: fewer centers against the direct solve of a subsample.

    python -m benchmarks.many_rows [--rows 200000] [--direct 10000]

The target is a smooth function of three of ten coordinates with noise. A direct solve on a subsample, an
iterative one on the same subsample with fewer centers, and an iterative one on all rows predict the same new
rows.
"""

from __future__ import annotations

import resource
import time

import torch
from torch import Tensor

from benchmarks.measurements import Recorder, benchmark_parser
from xrfm_cli.leaf_models import LeafConfig, fit_leaf

NOISE, FEATURES, NEW_ROWS = 0.3, 10, 20_000


def rows(n: int) -> tuple[Tensor, Tensor]:
    """Inputs and noiseless targets."""
    x = torch.randn(n, FEATURES, generator=torch.Generator().manual_seed(n))
    return x, torch.sin(2 * x[:, :1]) * x[:, 1:2] + torch.cos(x[:, 1:2] + x[:, 2:3])


def main() -> None:
    """Fit each and print one line for it."""
    parser = benchmark_parser(__doc__, "many_rows")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--direct", type=int, default=10_000, help="rows that a direct solve takes")
    parser.add_argument("--iterations", type=int, default=2)
    args = parser.parse_args()
    x, truth = rows(args.rows)
    y = truth + NOISE * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    new, wanted = rows(NEW_ROWS)
    cases = [(args.direct, None)]
    cases += [(n, args.direct // share) for n in (args.direct, args.rows) for share in (8, 4, 2)]
    recorder = Recorder("many_rows", args.results)
    for n, centers in cases:
        config = LeafConfig(
            bandwidth=5.0, ridge=1.0, iterations=args.iterations, agop_rows=2_000, max_centers=centers
        )
        generator = torch.Generator().manual_seed(0)
        start = time.perf_counter()
        leaf = fit_leaf(x[:n], y[:n], config, generator=generator, memory_bytes=4 << 30, on_event=print)
        seconds = time.perf_counter() - start
        error = (leaf.predict(new) - wanted).square().mean().sqrt() / wanted.std()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        setting = f"{centers:,} centers" if centers else "direct"
        facts = {"seconds": round(seconds, 2), "extra": {"peak_so_far_gib": round(peak, 2)}}
        recorder.add(f"{n:,} rows", "error", float(error), setting=setting, **facts)
        print(
            f"{n:8,} rows  {len(leaf.centers):7,} centers  error {float(error):.4f}  {seconds:7.1f} s  "
            f"peak so far {peak:.1f} GiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
