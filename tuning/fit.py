"""Fit a model: search, final fits and report within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.clock import Slowdown
from xrfm_cli.datasets import Table, TableSchema, TargetSchema
from xrfm_cli.errors import OptionError, SchemaError
from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.tuning.assembly import assemble_model
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.deadline import REPORT_RESERVE, Deadline, Reserve
from xrfm_cli.tuning.ensemble.affordable import afford_check
from xrfm_cli.tuning.ensemble.early_stopping import EarlyStopping
from xrfm_cli.tuning.ensemble.file_size import limit_size
from xrfm_cli.tuning.ensemble.final_fit import fit_final_ensemble
from xrfm_cli.tuning.explain.held_out import held_out_folds
from xrfm_cli.tuning.limits import LATE_SHARE
from xrfm_cli.tuning.listener import Listener
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.profile import profile_table
from xrfm_cli.tuning.model.trained_rows import TrainedRows, hash_rows
from xrfm_cli.tuning.problem.announcements import (
    announce_base,
    announce_rows,
    announce_slow_kernels,
    announce_valid,
    announce_validation,
)
from xrfm_cli.tuning.problem.baselines import score_baselines
from xrfm_cli.tuning.problem.fold_room import fold_in_time
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.rows import HeldOutRows
from xrfm_cli.tuning.search.pools.forks import worker_count
from xrfm_cli.tuning.search.pools.opening import tree_workers
from xrfm_cli.tuning.search.portfolio import encoded_first, first_candidates, quick_first
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.sampler import StudyPlace
from xrfm_cli.tuning.search.search import search
from xrfm_cli.tuning.search.space import SearchSpace
from xrfm_cli.tuning.search.storage.checkpoint import Checkpoint
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult
from xrfm_cli.tuning.transfer.base import Base


def fit_model(
    table: Table,
    schema: TableSchema,
    target: TargetSchema,
    config: FitConfig,
    *,
    valid: Table | None = None,
    on_event: OnEvent = ignore_event,
    clock: Callable[[], float] = time.monotonic,
    started: float | None = None,
    slowdown: Callable[[], float] | None = None,
    reserve: Reserve = REPORT_RESERVE,
    checkpoint: Checkpoint | None = None,
    place: StudyPlace | None = None,
    base: Base | None = None,
) -> FittedModel:
    """Find the best model within the budget, fit it on all rows and report how it was found.

    Args:
        table: training rows, as read.
        schema: kinds and roles of its columns.
        target: the task and its classes.
        config: budget, metric, seed and pinned hyperparameters.
        valid: validation rows that are never trained on; without them, folds or a hold-out are used.
        on_event: receives stages, progress, decisions, fallbacks and repairs.
        clock: monotonic clock, in seconds.
        started: the time on that clock from which the time limit counts.
        slowdown: how many times as long the work takes as on a quiet machine; by default it is measured.
        reserve: seconds of the time limit for the caller's work with the model.
        checkpoint: keeps every step result and final leaf, so that a killed fit can be resumed.
        place: where the study is shared with other processes.
        base: the base model of transfer learning.

    An interrupt during the search ends it: the best models so far are fitted and returned, with
    ``report.stopped_by == "interrupt"``. Raises InputError for data or options that cannot be used.
    """
    listener = Listener(on_event, clock)
    if slowdown is None:
        slowdown = Slowdown() if clock is time.monotonic else lambda: 1.0
    # Counted before few rows reduce the threads of this process. Workers cannot read a simulated clock.
    workers = worker_count(config.workers, threads=torch.get_num_threads(), device=config.device)
    workers = workers if clock is time.monotonic else 1
    with compute_threads(rows=table.n_rows):
        return _fit_model(
            table,
            schema,
            target,
            config,
            valid=valid,
            listener=listener,
            started=clock() if started is None else started,
            slowdown=slowdown,
            reserve=reserve,
            checkpoint=checkpoint,
            place=place,
            workers=workers,
            base=base,
        )


def _fit_model(
    table: Table,
    schema: TableSchema,
    target: TargetSchema,
    config: FitConfig,
    *,
    valid: Table | None,
    listener: Listener,
    started: float,
    slowdown: Callable[[], float],
    reserve: Reserve,
    checkpoint: Checkpoint | None,
    place: StudyPlace | None,
    workers: int,
    base: Base | None,
) -> FittedModel:
    """Run the stages of a fit in order."""
    clock, limit = listener.clock, config.effective_time_limit_s
    end = float("inf") if limit is None else started + limit
    deadline = Deadline(
        end=end,
        reserve=reserve if limit is None else reserve.within(limit),
        columns=len(schema.features),
        classes=len(target.classes),
        slowdown=slowdown,
    )
    with listener.stage("prepare", "preparing rows and folds"):
        if not schema.features:
            raise SchemaError(
                f"{table.source}: has no column to learn '{target.name}' from. Keep at least one."
            )
        setup = set_up_problem(table, schema, target, config, valid, base)
        problem = setup.problem
        if base is not None:
            announce_base(base, listener)
        announce_rows(setup, config, listener)
        announce_slow_kernels(config.device, listener)
        problem = limit_size(problem, config)
        space = make_space(problem)
        if valid is not None:
            announce_valid(problem, valid, listener)
        announce_validation(problem, listener)
        problem = fold_in_time(problem, deadline, on_event=listener, clock=clock)
        baselines = score_baselines(problem)
        for name in baselines.left_out:
            message = f"{name} would take too long to be one of the baselines"
            listener(Event(kind="fallback", message=message, count=1))
        profile = profile_table(problem.final.table, problem.data.schema)
        trained = TrainedRows.of(hash_training_rows(problem))
    with listener.stage("search", "searching"):
        early_stopping = EarlyStopping(problem=problem, max_members=config.ensemble_size)
        budget = _search_budget(problem, config, deadline, early_stopping, clock)
        result = search(
            problem,
            space,
            _first_candidates(problem, space, budget),
            budget,
            on_event=listener,
            checkpoint=checkpoint,
            place=place,
            workers=workers if config.trials not in (0, 1) else 1,
            scheduler=config.scheduler,
        )
        if result.stopped_by == "converged":
            listener(Event(kind="note", message=early_stopping.reason))
    if not result.validation_results:
        if result.stopped_by == "interrupt":
            raise KeyboardInterrupt
        raise OptionError(result.why_no_model())
    with (
        listener.stage("refit", "fitting the chosen models on all rows"),
        tree_workers(workers, config.scheduler, listener) as final_workers,
    ):
        final = fit_final_ensemble(
            problem,
            result,
            max_members=config.ensemble_size,
            seconds_left=lambda: budget.left_for_models(result),
            on_event=listener,
            records=checkpoint,
            workers=final_workers,
        )
    model = assemble_model(
        problem,
        config,
        (setup.dropped, setup.left_out),
        setup.source_rows,
        baselines.scored,
        profile,
        result,
        final,
        listener,
    )
    held_out = None
    if not final.interrupted and budget.left_for_models(result, listener.ended) > 0:
        with listener.stage("refit", "measuring the columns on held-out rows"):
            held_out = _measure_held_out(model, problem, result, budget, listener)
    listener.seconds["total"] = clock() - started
    seconds = {name: round(value, 3) for name, value in listener.seconds.items()}
    return replace(model, report=replace(model.report, seconds=seconds, held_out=held_out), trained=trained)


def _search_budget(
    problem: Problem,
    config: FitConfig,
    deadline: Deadline,
    early_stopping: EarlyStopping,
    clock: Callable[[], float],
) -> Budget:
    """Return the trials and the time of the search, and when it may end early."""
    return Budget(
        trials=1 if config.trials == 0 else config.trials,
        deadline=deadline,
        length_s=max(deadline.left(clock()), 0.0),
        limit_s=config.effective_time_limit_s,
        clock=clock,
        affords=afford_check(problem, config),
        has_converged=early_stopping.has_converged if config.may_stop_early else lambda result: False,
    )


def _first_candidates(problem: Problem, space: SearchSpace, budget: Budget) -> list[dict[str, Any]]:
    """Return the first configurations, as sampler parameters, in an order that suits the time left."""
    first = first_candidates(space)
    if problem.limits.slow_kernels_last:
        first = quick_first(first)
    if budget.limit_s is not None and budget.length_s < (1 - LATE_SHARE) * budget.limit_s:
        first = encoded_first(first)
    return first


def _measure_held_out(
    model: FittedModel, problem: Problem, result: SearchResult, budget: Budget, listener: Listener
) -> HeldOutRows | None:
    """Measure the columns on held-out rows within a small share of the time limit.

    The cost of predictions was measured on a quiet machine, so the seconds are divided by the slowdown.
    The first fold may take a larger share: without any fold, no effect can be told from chance.
    """
    start = listener.clock()

    def seconds_left(is_alone: bool) -> float:
        now = listener.clock()
        share = problem.limits.most_held_out_s if is_alone else problem.limits.held_out_s
        left = min(budget.left_for_models(result, now), start + share - now)
        return left / budget.deadline.slowdown()

    found = held_out_folds(model, problem, result, seconds_left=seconds_left, on_event=listener)
    if found is None:
        message = "the time limit left no room to measure the columns on held-out rows"
        listener(Event(kind="fallback", message=message, count=1))
        return None
    return found.to_json()


def hash_training_rows(problem: Problem) -> NDArray[np.uint64]:
    """Return the hashes of the training rows of the final models."""
    rows, data = problem.final.rows, problem.final.data
    table = data.table if len(rows) == data.table.n_rows else data.table.take(rows)
    return hash_rows(table, data.schema, data.y_true[rows])
