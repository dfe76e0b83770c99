"""Ensembles chosen by a metric alone, by log loss alone and by both, scored by the metric on test rows.

    python -m benchmarks.comparison ../shared/bench

Each table of classes is split as ``run.py`` of the benchmark folder does. The first configurations of a
search are validated to their end by log loss and fitted again on all training rows. From their predictions
for the validation rows, and for draws of as many (2,000 at most) of them with replacement, ensembles are
chosen by each criterion. Figures are 1 - metric on the test rows, means over the draws; the last line of
a metric holds the geometric means over the tables of what the criteria have over what the metric alone has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.calibration import log_loss
from benchmarks.measurements import Recorder
from benchmarks.suite import Split, read_split, suite_parser
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target
from xrfm_cli.errors import NumericalError
from xrfm_cli.events import ignore_event
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.final_fit import fit_final_ensemble
from xrfm_cli.tuning.ensemble.selection import greedy_weights
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.scoring.metrics import METRICS, Metric, compute_metric, decide_by
from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.portfolio import first_candidates
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.run_step import run_step
from xrfm_cli.tuning.search.sampler import open_study
from xrfm_cli.tuning.search.trial import ValidationResult, evaluate
from xrfm_cli.tuning.search.trial_records import SearchResult, quiet_optuna

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
TABLES = (
    "hepatitis",
    "credit_g",
    "madelon",
    "sick",
    "spambase",
    "telco_churn",
    "bank_churn",
    "online_shoppers",
    "vehicle_coupon",
    "magic_telescope",
    "credit_default_taiwan",
    "bank_marketing",
    "adult",
    "pendigits",
)
CRITERIA = ("metric alone", "log loss", "both")
MOST_ROWS, MOST_MEMBERS = 2_000, 6


class CandidatePool(NamedTuple):
    """Calibrated probabilities ``(n, classes)`` of every model, and the true class numbers."""

    validated: list[Array]
    y_true: Codes
    test: list[Array]
    y_test: Codes


def main() -> None:
    """Measure table by table."""
    parser = suite_parser(__doc__, "comparison", TABLES)
    parser.add_argument("--metrics", nargs="*", default=["accuracy", "balanced_accuracy", "f1", "auc"])
    parser.add_argument("--draws", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(2)
    print("| metric | table | " + " | ".join(CRITERIA) + " |\n|---|---|" + "---|" * len(CRITERIA))
    recorder = Recorder("comparison", args.results)
    found: dict[str, list[Array]] = {name: [] for name in args.metrics}
    for table in args.tables:
        pool = validate_all(read_split(args.suite, table, seed=args.seed), seed=args.seed)
        for name in args.metrics:
            if name == "auc" and pool.validated[0].shape[1] > 2:
                continue
            found[name].append(np.mean(list(test_losses(pool, METRICS[name], args.draws, args.seed)), axis=0))
            for criterion, loss in zip(CRITERIA, found[name][-1], strict=True):
                recorder.add(table, f"1 - {name}", float(loss), setting=criterion, seed=args.seed)
            show(name, table, found[name][-1])
    for name, rows in found.items():
        show(name, "mean ratio", np.exp(np.log(np.array(rows) / np.array(rows)[:, :1]).mean(axis=0)))


def validate_all(split: Split, *, seed: int) -> CandidatePool:
    """Validate every first configuration and fit it on all rows."""
    target = infer_target(split.train, split.target, task=split.task)
    config = FitConfig(metric="log_loss", time_limit_s=60.0, seed=seed)
    schema = infer_schema(split.train, SchemaOverrides(target=split.target))
    problem = set_up_problem(split.train, schema, target, config).problem
    pool = CandidatePool(
        [], problem.scorer.y_valid.astype(np.int64), [], encode_target(split.test, target).astype(int)
    )
    for number, validation_result in validation_results(problem, config):
        result = SearchResult(
            validation_results=[(number, validation_result)], costs=CostModel(product_rate=float("inf"))
        )
        final = fit_final_ensemble(
            problem, result, max_members=1, seconds_left=lambda: float("inf"), on_event=ignore_event
        )
        member = final.members[0]
        x = torch.from_numpy(member.encoder.encode(split.test)[0])
        pool.validated.append(final.predictions)
        pool.test.append(np.concatenate([member.prediction(part) for part in x.split(4096)]))
    return pool


def validation_results(problem: Problem, config: FitConfig) -> Iterator[tuple[int, ValidationResult]]:
    """The first configurations at the end of their evaluation; those that fail are left out."""
    space = make_space(problem)
    first = first_candidates(space)
    with quiet_optuna():
        study = open_study(
            space, first, seed=problem.data.seed, place=None, setting="", on_event=ignore_event
        )
        for _ in first:
            number, candidate = study.ask()
            try:
                result = evaluate(
                    problem,
                    candidate,
                    trial=number,
                    run=lambda step: run_step(problem, step, ignore_event),
                )
            except NumericalError:
                continue
            if candidate.family != "constant":
                yield number, result


def test_losses(pool: CandidatePool, metric: Metric, draws: int, seed: int) -> Iterator[list[float]]:
    """Return 1 - metric on test rows of the ensembles that each criterion chooses, for each draw."""
    generator = np.random.default_rng(seed)
    for draw in range(draws + 1):
        rows = np.arange(len(pool.y_true))
        if draw:
            rows = generator.choice(rows, min(len(rows), MOST_ROWS))
        validated, y_true = [p[rows] for p in pool.validated], pool.y_true[rows]

        def own(p: Array, y_true: Codes = y_true) -> float:
            return metric.loss(compute_metric(metric, y_true, p, None, decide_by(metric, y_true, p)))

        losses: tuple[Callable[[Array], float], ...] = (
            own,
            lambda p, y_true=y_true: log_loss(p, y_true),
            lambda p, y_true=y_true: own(p) + log_loss(p, y_true),
        )
        found = []
        for loss in losses:
            weights = greedy_weights(validated, loss, max_members=MOST_MEMBERS)
            seen, unseen = (
                np.tensordot(weights, np.array(predictions), axes=1) for predictions in (validated, pool.test)
            )
            decision = decide_by(metric, y_true, seen)
            found.append(metric.loss(compute_metric(metric, pool.y_test, unseen, None, decision)))
        yield found


def show(metric: str, table: str, figures: Array) -> None:
    """A line of the table."""
    print(f"| {metric} | {table} | " + " | ".join(f"{value:.4f}" for value in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
