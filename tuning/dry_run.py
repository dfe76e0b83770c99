"""Dry run: describe a fit without doing it."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from xrfm_cli.datasets import Table, TableSchema, TargetSchema, find_copies
from xrfm_cli.datasets.encoders.numeric import MAX_KNOTS
from xrfm_cli.events import ignore_event
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.file_size import encoder_bytes, facts_bytes, limit_size
from xrfm_cli.tuning.ensemble.softness import is_much_larger
from xrfm_cli.tuning.environment import resident_bytes
from xrfm_cli.tuning.limits import leaf_count
from xrfm_cli.tuning.problem.baselines import baseline_seconds
from xrfm_cli.tuning.problem.fold_cache import CACHE_SHARE, FoldMatrices
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import CostModel, product_rate
from xrfm_cli.tuning.search.pools.forks import worker_count
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS
from xrfm_cli.tuning.search.portfolio import first_candidates
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.run_step import estimate_refit, run_and_collect, rung_size, size_of
from xrfm_cli.tuning.search.sampler import open_study
from xrfm_cli.tuning.search.trial import Trial, next_step, rung_sizes, usual_solves
from xrfm_cli.tuning.search.trial_records import quiet_optuna
from xrfm_cli.tuning.transfer.base import Base

PRUNED_SHARE = 0.45  # mean work of a trial, pruned ones included, as a share of a complete trial's
FEWEST_PRUNED = 5  # fewer trials are all completed
# Seconds of a fit besides baselines, trials and final fits: importing libraries, explanations and the report.
FIXED_S, REPORT_BYTES = 3.0, 60 << 20
# Most vectors with one number per row at a time: targets, row numbers, and those for sorting a column or a
# projection. They are in memory even if the table is not.
ROW_BYTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """Rows, columns, validation and estimated cost of a fit."""

    rows: int  # of the final fits
    dropped_rows: int
    left_out_rows: int
    search_rows: int
    features: int  # encoded columns
    validation: str
    leaf_size: int
    leaves: int
    trials: int | None
    time_limit_s: float | None
    estimate_s: float  # the time limit, or the expected seconds of the given number of trials
    memory_bytes: int  # peak size of the process
    disk_bytes: int  # of the files of a table that does not fit into memory
    models: int  # most members of the ensemble
    model_bytes: int  # of the model file, if all members are kernel machines
    copies: tuple[str, ...]  # columns that determine the target of every row
    transfer: str | None = None  # what a base model shares with the table

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return asdict(self)


def dry_run_fit(
    table: Table,
    schema: TableSchema,
    target: TargetSchema,
    config: FitConfig,
    *,
    valid: Table | None = None,
    base: Base | None = None,
) -> DryRun:
    """Describe a fit without running it; only the first step of its first trial is run, to time it."""
    problem, dropped, left_out, _ = set_up_problem(table, schema, target, config, valid, base)
    problem = limit_size(problem, config)
    space = make_space(problem)
    with quiet_optuna():
        first = first_candidates(space)
        study = open_study(space, first, seed=config.seed, place=None, setting="", on_event=ignore_event)
        candidate = study.ask()[1]
    leaf_size = space.complete({"leaf_size": space.leaf_size}).tree.leaf_size
    fold = problem.folds.matrices(0, candidate.encoding, candidate.transform)
    rows, features = len(problem.final.rows), fold.x_train.shape[1]
    leaves = leaf_count(rows, leaf_size)
    limit = config.effective_time_limit_s
    trials = 1 if config.trials == 0 else config.trials
    models = config.ensemble_size if trials is None else max(1, min(trials, config.ensemble_size))
    seconds = (
        _seconds(problem, candidate, config, trials=trials or 1, models=models) if limit is None else limit
    )
    keeps_rows = candidate.family not in LINEAR_FAMILIES
    of_model = 4 * rows * (features + fold.y_train.shape[1]) * keeps_rows
    of_metric = 4 * features ** (2 if candidate.tree.leaf.metric_shape == "full" else 1)
    of_model += leaves * of_metric
    written = models * of_model + facts_bytes(problem, rows, features) + _encoders(fold, rows, models)
    written += of_metric * (not problem.data.n_classes)  # of the error scale
    return DryRun(
        rows=rows,
        dropped_rows=dropped,
        left_out_rows=left_out,
        search_rows=len(problem.plan.refit_rows),
        features=features,
        validation=f"{problem.plan.scheme}: {problem.plan.reason}",
        leaf_size=leaf_size,
        leaves=leaves,
        trials=trials,
        time_limit_s=limit,
        estimate_s=round(seconds, 1),
        memory_bytes=_memory(problem, fold, rows, largest=-(-rows // leaves), of_models=models * of_model),
        disk_bytes=_disk(problem, candidate, fold, rows, of_models=models * of_model),
        models=models,
        model_bytes=min(written, config.max_model_bytes or sys.maxsize),
        copies=find_copies(
            problem.data.typed.table, problem.data.schema, problem.data.y_true, classes=problem.data.n_classes
        ),
        transfer=None if base is None else f"{base.name} {base.found.words}",
    )


def _encoders(fold: FoldMatrices, rows: int, models: int) -> int:
    """Estimate the bytes of the encoders in the model file, from that of a fold of fewer rows.

    Members with the same encoding share one; most ensembles have two.
    """
    kept, here = min(rows, MAX_KNOTS), min(len(fold.x_train), MAX_KNOTS)
    return int(min(models, 2) * encoder_bytes(fold.encoder) * kept / here)


def _seconds(problem: Problem, candidate: Candidate, config: FitConfig, *, trials: int, models: int) -> float:
    """Estimate the seconds of a number of trials and of the final fits by running one step."""
    device = problem.data.device
    costs = CostModel(product_rate=product_rate(device), directly=device != "cpu")
    step = next_step(problem, Trial.start(0, candidate))
    assert step is not None  # only refinements may have none
    taken = run_and_collect(problem, step, on_event=ignore_event, clock=time.monotonic)
    solves = step.solves if taken.fitted is None else taken.fitted.solves
    costs.record(size_of(problem, step), seconds=taken.seconds, solves=solves)
    sizes = rung_sizes(problem)
    rungs = [
        costs.estimate(rung_size(problem, candidate, n), solves=usual_solves(candidate, n)) for n in sizes
    ]
    folds = len(problem.plan.folds)
    trial_s = 2 * taken.seconds * (len(sizes) > 1) + folds * sum(rungs)  # the first rung, and its refinement
    share = 1.0 if trials < FEWEST_PRUNED else PRUNED_SHARE
    final_s = estimate_refit(
        problem, costs, candidate, last_iterations=usual_solves(candidate, sizes[-1]) - 1
    )
    final_s /= _side_by_side(problem, candidate, config)
    before_s = folds * problem.folds.encoding_s + baseline_seconds(problem)
    return FIXED_S + before_s + trials * share * trial_s + models * final_s


def _side_by_side(problem: Problem, candidate: Candidate, config: FitConfig) -> int:
    """Return how many leaves of a final model are fitted at a time."""
    rows = len(problem.final.rows)
    leaves = leaf_count(rows, candidate.tree.leaf_size)
    if rows > leaves * MOST_ROWS:
        return 1
    count = worker_count(config.workers, threads=torch.get_num_threads(), device=problem.data.device)
    return min(count, leaves)


def _memory(problem: Problem, fold: FoldMatrices, rows: int, *, largest: int, of_models: int) -> int:
    """Estimate the peak size of the process from its size now, with one encoded fold."""
    encoded = 4 * rows * fold.x_train.shape[1] * (1 if fold.routed_train is None else 2)
    own = sum(tensor.nbytes for tensor in fold.tensors)
    folds = min((len(problem.plan.folds) - 1) * own, int(CACHE_SHARE * problem.memory_bytes))
    kernel = min(direct_bytes(min(largest, rows)), problem.memory_bytes)
    scratch = problem.final.data.scratch
    held = encoded + of_models if scratch is None else min(encoded, scratch.held_bytes)
    return resident_bytes() + folds + kernel + held + ROW_BYTES * rows + REPORT_BYTES


def _disk(problem: Problem, candidate: Candidate, fold: FoldMatrices, rows: int, *, of_models: int) -> int:
    """Estimate the most bytes of the files of a fit; 0 for a table in memory."""
    scratch = problem.final.data.scratch
    if scratch is None:
        return 0
    encoded = 4 * rows * fold.x_train.shape[1] * (1 if fold.routed_train is None else 2)
    copies = 3 if is_much_larger(problem, candidate, candidate) else 2  # one without the rows held back
    return scratch.used_bytes + copies * encoded + of_models
