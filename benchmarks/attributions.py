"""Path attributions of single rows: CPU milliseconds a row, and how near they are to the path integral.

    python -m benchmarks.attributions [--rows 64]

A leaf of 2,000 training rows in 20 columns by kernel, and a tree of four leaves, on one thread, against eight
reference rows. ``share_error`` is the largest difference of a column's part from that on 256 segments of
each path, over the sum of the row's absolute parts, averaged over rows; ``sum_error`` is the largest
difference of a row's sum from its change of the prediction, over the deviation of the predictions. Last
comes a fitted ensemble, with all that ``xrfm explain`` does for a row.
"""

from __future__ import annotations

import time

import pyarrow as pa
import torch
from torch import Tensor

from benchmarks.measurements import Recorder, benchmark_parser
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.reports.attributions import Baseline, attribute_rows
from xrfm_cli.trees import TreeConfig, fit_tree
from xrfm_cli.trees.path_attributions import path_attributions
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model

TRAINING_ROWS, COLUMNS, REFERENCES, REPEATS, FINE = 2_000, 20, 8, 3, 256
ENSEMBLE_TRIALS = 6
TREES = {
    "p = 2": TreeConfig(leaf=LeafConfig()),
    "p = 2, full": TreeConfig(leaf=LeafConfig(metric_shape="full")),
    "p = 1": TreeConfig(leaf=LeafConfig(kernel_p=1.0)),
    "p = 1.5": TreeConfig(leaf=LeafConfig(kernel_p=1.5)),
    "sum_power, q = 1": TreeConfig(leaf=LeafConfig(kernel="sum_power", power=2, constant=0.0)),
    "sum_power, q = 1.2": TreeConfig(
        leaf=LeafConfig(kernel="sum_power", power=2, constant=0.0, kernel_q=1.2)
    ),
    "p = 2, four leaves, hard": TreeConfig(leaf=LeafConfig(), leaf_size=500),
    "p = 2, four leaves, soft": TreeConfig(leaf=LeafConfig(), leaf_size=500, temperature=0.1),
}


def sample() -> tuple[Tensor, Tensor]:
    """Return rows and a target of a wave, a product and a step."""
    x = torch.randn(TRAINING_ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))
    return x, torch.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3]) + 0.5 * (x[:, 3:4] > 0)


def measure(config: TreeConfig, rows: int) -> dict[str, float]:
    """Return the figures of one kernel."""
    x, y = sample()
    tree = fit_tree(x, y, config, generator=torch.Generator().manual_seed(0))
    some, references = x[100 : 100 + rows], x[:REFERENCES]
    change = (tree.predict(some)[:, None] - tree.predict(references)).double()
    rates = torch.ones_like(change)

    def attribute(**options: tuple[int, ...]) -> Tensor:
        return path_attributions(tree, some, references, rates, change[..., 0], **options)

    seconds = []
    for _ in range(REPEATS):
        begun = time.process_time()
        found = attribute()
        seconds.append(time.process_time() - begun)
    exact = attribute(steps=(FINE,))
    errors = (found - exact).abs().amax(1) / exact.abs().sum(1)
    sums = (found.sum(1) - change[..., 0].mean(1)).abs().max() / tree.predict(x).std()
    return {
        "ms_a_row": 1e3 * min(seconds) / rows,
        "share_error": float(errors.mean()),
        "sum_error": float(sums),
    }


def measure_ensemble(rows: int) -> tuple[str, float]:
    """Return the number of models of a fitted ensemble in words, and its CPU milliseconds a row."""
    x, y = sample()
    columns = {f"v{j:02d}": x[:, j].numpy() for j in range(COLUMNS)}
    table = Table(pa.table(columns | {"y": y[:, 0].numpy()}), source="made rows")
    schema = infer_schema(table, SchemaOverrides(target="y"))
    model = fit_model(table, schema, infer_target(table, "y"), FitConfig(trials=ENSEMBLE_TRIALS))
    baseline = Baseline.of_training_rows(model, REFERENCES)
    begun = time.process_time()
    attribute_rows(model, table.slice(0, rows), baseline=baseline)
    return f"ensemble of {len(model.members)}", 1e3 * (time.process_time() - begun) / rows


def main() -> None:
    """Measure each kernel and print a line for it."""
    parser = benchmark_parser(__doc__, "attributions")
    parser.add_argument("--rows", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recorder = Recorder("attributions", args.results)
    for setting, config in TREES.items():
        found = measure(config, args.rows)
        for metric, value in found.items():
            recorder.add(f"{TRAINING_ROWS:,} x {COLUMNS}", metric, float(f"{value:.4g}"), setting=setting)
        print(f"{setting:26}" + "  ".join(f"{name} {value:.3g}" for name, value in found.items()), flush=True)
    setting, value = measure_ensemble(args.rows)
    recorder.add(f"{TRAINING_ROWS:,} x {COLUMNS}", "ms_a_row", float(f"{value:.4g}"), setting=setting)
    print(f"{setting:26}ms_a_row {value:.3g}")


if __name__ == "__main__":
    main()
