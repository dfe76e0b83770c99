"""Compare losses by the metric that they are for: counts with and without exposure, medians and quantiles.

    python -m benchmarks.losses ../shared/bench --seeds 0 1

Each line is one search of a few trials with the loss pinned, on the rows that ``run.py`` of the benchmark
folder trains on, and scored on its test rows. Lines that the file has already are not measured again.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.measurements import Recorder, read
from benchmarks.suite import read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.scoring.metrics import compute_metric, metric_named

EXPOSURE = "Exposure"
# By table: the metric, the loss, and the column of exposure or None.
VARIANTS: dict[str, tuple[tuple[str, str, str | None], ...]] = {
    "freMTPL2_freq": tuple(
        ("poisson_deviance", loss, offset) for offset in (None, EXPOSURE) for loss in ("squared", "poisson")
    ),
    "abalone": (),
    "medical_insurance": (),
}
OF_ORDER = tuple(
    (metric, loss, None)
    for metric, own in (("mae", "absolute"), ("pinball@0.9", "quantile"))
    for loss in ("squared", own)
)


def main() -> None:
    """Measure table by table and loss by loss."""
    parser = suite_parser(__doc__, "losses", tuple(VARIANTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--losses", nargs="*", help="the default is all that suit the table")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    recorder = Recorder("losses", args.results)
    known = read("losses", args.results.parent)
    done = {(row.table, row.seed, row.metric, row.setting) for row in known}
    for name in args.tables:
        for seed in args.seeds:
            split = read_split(args.suite, name, seed=seed)
            for metric, loss, offset in VARIANTS.get(name) or OF_ORDER:
                setting = loss + ("" if offset is None else ", offset")
                if (name, seed, metric, setting) in done or loss not in (args.losses or [loss]):
                    continue
                since = time.process_time()
                roles = SchemaOverrides(target=split.target, offset=offset)
                schema = infer_schema(split.train, roles)
                target = infer_target(split.train, split.target, task=split.task)
                pinned: dict[str, Any] = {"loss": loss, "agop_rows": 1_000}
                config = FitConfig(metric=metric, trials=args.trials, seed=seed, pinned=pinned)
                model = fit_model(split.train, schema, target, config)
                seconds = round(time.process_time() - since, 1)
                found = np.asarray(model.predict(split.test).values)
                truth = encode_target(split.test, model.target)
                value = compute_metric(metric_named(metric), truth, found)
                facts: dict[str, Any] = {"setting": setting, "seed": seed, "seconds": seconds}
                facts["extra"] = {item["name"]: item["score"] for item in model.report.baselines}
                recorder.add(name, metric, round(value, 6), **facts)
                print(f"| {name} | {seed} | {metric} | {setting} | {value:.5f} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
