"""Compare least squares with log odds: the same kernels, fitted on half of the rows, scored on the rest.

    python -m benchmarks.log_odds ../shared/bench --threads 2

Rows are those that ``run.py`` of the benchmark folder trains on; its test rows are not looked at. Bandwidth,
exponent and ridge are the same for both losses, and so are calibration and everything else.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.calibration import probabilities_of
from benchmarks.measurements import Recorder
from benchmarks.suite import read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric

TABLES = (
    "adult",
    "bank_marketing",
    "credit_default_taiwan",
    "credit_g",
    "madelon",
    "magic_telescope",
    "online_shoppers",
    "sick",
    "spambase",
    "telco_churn",
    "vehicle_coupon",
)
SHARED = {"bandwidth_mode": "adaptive", "iterations": 3, "agop_rows": 600, "category_encoding": "one_hot"}
KERNELS = {
    "p = 1": {
        "kernel_p": 1.0,
        "kernel_q": 0.75,
        "bandwidth": 4.5,
        "ridge": 1.0,
        "numeric_transform": "quantile",
    },
    "p = 2": {
        "kernel_p": 2.0,
        "kernel_q": 1.0,
        "bandwidth": 8.0,
        "ridge": 0.3,
        "numeric_transform": "standard",
    },
    "pieces": {
        "kernel_p": 1.48,
        "kernel_q": 1.2,
        "bandwidth": 8.0,
        "ridge": 0.1,
        "numeric_transform": "piecewise",
    },
}


def main() -> None:
    """Measure table by table and kernel by kernel."""
    parser = suite_parser(__doc__, "log_odds", TABLES)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recorder = Recorder("log_odds", args.results)
    print("| table | kernel | 1 - AUC: squares | log odds | log loss: squares | log odds | s | s |")
    print("|---|---|---|---|---|---|---|---|")
    for name in args.tables:
        split = read_split(args.suite, name, seed=args.seed)
        half = split.train.n_rows // 2
        train, validate = split.train.slice(0, half), split.train.slice(half, split.train.n_rows)
        schema = infer_schema(train, SchemaOverrides(target=split.target))
        target = infer_target(train, split.target, task=split.task)
        codes = encode_target(validate, target).astype(np.int64)
        for kernel, params in KERNELS.items():
            errors, losses, seconds = [], [], []
            for loss in ("squared", "logistic"):
                began = time.monotonic()
                pinned = SHARED | params | {"loss": loss}
                model = fit_model(train, schema, target, FitConfig(trials=0, folds=2, pinned=pinned))
                seconds.append(time.monotonic() - began)
                p = probabilities_of(model, validate)
                errors.append(1 - compute_metric(METRICS["auc"], codes, p))
                losses.append(compute_metric(METRICS["log_loss"], codes, p))
                facts = {"setting": f"{kernel}, {loss}", "seed": args.seed, "seconds": round(seconds[-1], 2)}
                recorder.add(name, "error", errors[-1], **facts)
                recorder.add(name, "log_loss", losses[-1], **facts)
            figures = [f"{value:.4f}" for value in (*errors, *losses)] + [f"{value:.1f}" for value in seconds]
            print(f"| {name} | {kernel} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
