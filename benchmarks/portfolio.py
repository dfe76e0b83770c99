"""Choose the first configurations of every search (tuning/search/portfolio.py).

    python -m benchmarks.portfolio ../shared/bench --out portfolio.jsonl

Random configurations are validated on held-out rows of each table's *training* part: 1,000 rows to train on,
up to 1,500 others to validate. Then configurations are chosen greedily: each time the one that lowers most
the mean over tables of the smallest regret, (loss - best loss) / (median loss - best loss). Test rows are
never looked at.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.suite import read_entries
from xrfm_cli.datasets import SchemaOverrides, Table, infer_schema, infer_target
from xrfm_cli.events import ignore_event
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.problem.validation_plan import Fold, ValidationPlan
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.run_step import run_step
from xrfm_cli.tuning.search.trial import evaluate

TRAIN_ROWS, ALL_ROWS = 1_000, 2_500
WIDE = 300  # encoded columns from which a full metric is left out
RANGES = {  # low and high of q and of the bandwidth, by family
    "l1": ((0.6, 1.0), (0.5, 20.0)),
    "l2": ((0.7, 1.6), (0.5, 20.0)),
    "sum_power": ((0.5, 1.6), (0.5, 20.0)),
}


def main() -> None:
    """Validate, then choose and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", type=Path, help="the folder with suite.json and data/")
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON lines; tables found there are not validated again"
    )
    parser.add_argument("--tables", nargs="*", help="names of tables; those of the core group otherwise")
    parser.add_argument("--configurations", type=int, default=60)
    parser.add_argument("--size", type=int, default=8, help="of the portfolio")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    configurations = draw_configurations(args.configurations)
    done = {row["table"] for row in read(args.out)}
    for entry in read_entries(args.suite).values():
        wanted = entry["name"] in args.tables if args.tables else "core" in entry["groups"]
        if wanted and entry["name"] not in done:
            with args.out.open("a") as file:
                for row in validate(args.suite, entry, configurations):
                    file.write(json.dumps(row) + "\n")
            print(entry["name"], flush=True)
    for number, regret in choose(read(args.out), args.size):
        print(f"{regret:.3f}", json.dumps(configurations[number]))


def draw_configurations(count: int) -> list[dict[str, Any]]:
    """Random configurations, the families in turn."""
    rng = np.random.default_rng(0)

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    drawn = []
    for number in range(count):
        family = list(RANGES)[number % len(RANGES)]
        exponents, bandwidths = RANGES[family]
        params: dict[str, Any] = {
            "family": family,
            "ridge": log_uniform(1e-4, 30.0),
            "metric_shape": "full" if rng.random() < 0.35 else "diagonal",
            "numeric_transform": "quantile" if rng.random() < 0.6 else "standard",
            "category_encoding": "target" if rng.random() < 0.3 else "one_hot",
            f"{family}_q": float(rng.uniform(*exponents)),
            f"{family}_bandwidth": log_uniform(*bandwidths),
        }
        if family == "sum_power":
            params["power"] = int(rng.integers(2, 9))
        drawn.append(params)
    return drawn


def validate(
    suite: Path, entry: dict[str, Any], configurations: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Losses of all configurations on one table."""
    data = pq.read_table(suite / "data" / f"{entry['name']}.parquet")
    order = np.random.default_rng(0).permutation(data.num_rows)
    order = order[min(round(0.2 * data.num_rows), 20_000) :][
        :ALL_ROWS
    ]  # without the rows that others test on
    table = Table(data.take(pa.array(order)), source=entry["name"])
    schema = infer_schema(table, SchemaOverrides(target=entry["target"]))
    target = infer_target(table, entry["target"], task=entry["task"])
    problem = set_up_problem(table, schema, target, FitConfig()).problem
    n = problem.data.table.n_rows
    rows, cut = np.arange(n), min(TRAIN_ROWS, round(0.7 * n))
    fold = Fold(train=rows[:cut], valid=rows[cut:])
    plan = ValidationPlan(scheme="hold-out", folds=(fold,), rung_sizes=(cut,), refit_rows=rows, reason="")
    problem = problem.with_plan(plan)
    space = replace(
        make_space(problem),
        sum_power=True,
        log_target=False,
        max_iterations=3,
        agop_rows=TRAIN_ROWS,
    )
    for number, params in enumerate(configurations):
        if params["metric_shape"] == "full" and not space.full_feature_matrix:
            continue
        candidate = space.suggest(optuna.trial.FixedTrial(params))
        run = partial(run_step, problem, on_event=ignore_event)
        result = evaluate(problem, candidate, trial=number, run=run)
        yield {"table": entry["name"], "configuration": number, "loss": result.loss}


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def choose(rows: list[dict[str, Any]], size: int) -> Iterator[tuple[int, float]]:
    """Configurations with the mean regret of the best of all chosen up to each."""
    losses: dict[str, dict[int, float]] = {}
    for row in rows:
        losses.setdefault(row["table"], {})[row["configuration"]] = row["loss"]
    regret = {}
    for table, by_number in losses.items():
        best = min(by_number.values())
        scale = max(float(np.median(list(by_number.values()))) - best, 1e-9)
        regret[table] = {number: (loss - best) / scale for number, loss in by_number.items()}
    common = set.intersection(*(set(by_number) for by_number in regret.values()))
    chosen: list[int] = []
    for _ in range(min(size, len(common))):
        means = {
            number: float(np.mean([min(r[k] for k in (*chosen, number)) for r in regret.values()]))
            for number in sorted(common - set(chosen))
        }
        chosen.append(min(means, key=lambda number: means[number]))
        yield chosen[-1], means[chosen[-1]]


if __name__ == "__main__":
    main()
