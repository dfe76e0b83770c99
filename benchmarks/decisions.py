"""Measure the gain of tuned decision thresholds on new rows over the most probable class.

    python -m benchmarks.decisions ../shared/bench --time-limit 10

Each table is split as ``run.py`` of the benchmark folder does, and fitted for each metric. Both figures are
of the same model and the same test rows.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.calibration import probabilities_of
from benchmarks.measurements import Recorder
from benchmarks.suite import fit_split, read_split, suite_parser
from xrfm_cli.datasets import encode_target
from xrfm_cli.tuning.scoring.metrics import METRICS, compute_metric

TABLES = (
    "sick",
    "online_shoppers",
    "credit_default_taiwan",
    "bank_marketing",
    "telco_churn",
    "caravan_coil2000",
    "soybean",
    "arrhythmia",
    "dry_bean",
    "obesity_levels",
    "diabetes130us",
    "nursery",
)
SETTINGS = ("most probable class", "tuned decision", "out of fold")


def main() -> None:
    """Measure table by table and metric by metric."""
    parser = suite_parser(__doc__, "decisions", TABLES)
    parser.add_argument("--metrics", nargs="*", default=["f1", "balanced_accuracy"])
    parser.add_argument("--time-limit", type=float, default=10.0)
    args = parser.parse_args()
    torch.set_num_threads(2)
    recorder = Recorder("decisions", args.results)
    print("| table | classes | metric | most probable | decided | out of fold | decision |")
    print("|---|---|---|---|---|---|---|")
    for name in args.tables:
        split = read_split(args.suite, name, seed=args.seed)
        for metric in args.metrics:
            began = time.monotonic()
            model = fit_split(split, metric=metric, time_limit_s=args.time_limit, seed=args.seed)
            seconds = round(time.monotonic() - began, 2)
            p = probabilities_of(model, split.test)
            codes = encode_target(split.test, model.target).astype(np.int64)
            plain = compute_metric(METRICS[metric], codes, p)
            decided = compute_metric(METRICS[metric], codes, p, decision=model.decision)
            how = model.decision.threshold or ", ".join(f"{w:.2g}" for w in model.decision.class_weights)
            values = (plain, decided, model.report.score)
            for setting, value in zip(SETTINGS, values, strict=True):
                facts = {"seed": args.seed, "time_limit_s": args.time_limit, "extra": {"classes": p.shape[1]}}
                recorder.add(name, metric, value, setting=setting, seconds=seconds, **facts)
            figures = " | ".join(f"{value:.4f}" for value in values)
            print(f"| {name} | {p.shape[1]} | {metric} | {figures} | {how} |", flush=True)


if __name__ == "__main__":
    main()
