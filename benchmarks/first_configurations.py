"""Measure the error of each first configuration of a search alone, fully validated.

    python -m benchmarks.first_configurations ../shared/bench --tables adult king_county_houses

As in a fit of a minute, at most 10,000 training rows of each table are validated by folds or a hold-out, the
kernel refined on the way; test rows are never looked at. Each line is a configuration: its loss by the
default metric (1 - AUC, log loss or RMSE) on rows not trained on, and the seconds that validating it took.
"""

from __future__ import annotations

import time

import torch

from benchmarks.comparison import validation_results
from benchmarks.measurements import Recorder
from benchmarks.suite import read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, infer_schema, infer_target
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.problem.setup import set_up_problem

TABLES = (
    "adult",
    "bank_marketing",
    "credit_g",
    "telco_churn",
    "vehicle_coupon",
    "online_shoppers",
    "diabetes130us",
    "king_county_houses",
    "metro_traffic",
    "bike_sharing_hour",
)


def main() -> None:
    """Measure table by table."""
    args = suite_parser(__doc__, "first_configurations", TABLES).parse_args()
    torch.set_num_threads(2)
    recorder = Recorder("first_configurations", args.results)
    print("| table | configuration | loss | s |\n|---|---|---|---|")
    for name in args.tables:
        table, _, target, task = read_split(args.suite, name, seed=args.seed)
        schema = infer_schema(table, SchemaOverrides(target=target))
        config = FitConfig(time_limit_s=60.0, seed=args.seed)
        described = infer_target(table, target, task=task)
        problem = set_up_problem(table, schema, described, config).problem
        began = time.monotonic()
        for number, validation_result in validation_results(problem, config):
            candidate, seconds = validation_result.candidate, time.monotonic() - began
            shown = (
                f"{number}: {candidate.family}, {candidate.encoding.numeric}, {candidate.encoding.category}"
            )
            facts = {"setting": shown, "seed": args.seed, "seconds": round(seconds, 2)}
            recorder.add(name, "loss", validation_result.loss, **facts)
            print(f"| {name} | {shown} | {validation_result.loss:.6g} | {seconds:.1f} |", flush=True)
            began = time.monotonic()


if __name__ == "__main__":
    main()
