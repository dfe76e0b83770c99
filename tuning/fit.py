"""Fit a model: search, final fits and report within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import EncodingConfig, Table, TableSchema, TargetSchema, UnreadColumns, find_copies
from xrfm_cli.errors import OptionError, SchemaError
from xrfm_cli.events import Event, OnEvent, ignore_event, repair_events
from xrfm_cli.leaf_models.compiled import is_compiled
from xrfm_cli.leaf_models.coordinates import triton_module
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.affordable import afford_check
from xrfm_cli.tuning.ensemble.final_fit import FinalEnsemble, fit_final_ensemble
from xrfm_cli.tuning.ensemble.plateau import Plateau
from xrfm_cli.tuning.environment import library_versions, peak_memory_bytes
from xrfm_cli.tuning.explain.held_out import held_out_folds
from xrfm_cli.tuning.limits import LATE_SHARE, REPORT_RESERVE, Deadline, Reserve
from xrfm_cli.tuning.listener import Listener
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.oof_summary import summarise_oof
from xrfm_cli.tuning.model.profile import ColumnProfile, profile_table
from xrfm_cli.tuning.model.report import (
    FitReport,
    baselines_to_json,
    metrics_by_fold,
    plotted_oof,
    repairs_to_json,
    score_spread,
)
from xrfm_cli.tuning.model.trained_rows import TrainedRows, hash_rows
from xrfm_cli.tuning.problem.baselines import Baseline, score_baselines
from xrfm_cli.tuning.problem.fold_room import fold_in_time
from xrfm_cli.tuning.problem.hints import copy_message, validation_hints
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.scoring.metrics import evaluate_metrics
from xrfm_cli.tuning.search.checkpoint import Checkpoint
from xrfm_cli.tuning.search.hyperparameter_importances import tell_importances
from xrfm_cli.tuning.search.portfolio import encoded_first, first_candidates
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.sampler import StudyPlace
from xrfm_cli.tuning.search.search import search
from xrfm_cli.tuning.search.trial_records import Budget, SearchResult


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
    reserve: Reserve = REPORT_RESERVE,
    checkpoint: Checkpoint | None = None,
    place: StudyPlace | None = None,
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
        reserve: seconds of the time limit for what the caller does with the model.
        checkpoint: keeps every step result, so that a killed fit can be resumed.
        place: where the study is shared with other processes.

    An interrupt during the search ends it: the best models so far are fitted and returned, with
    ``report.stopped_by == "interrupt"``. Raises InputError for data or options that cannot be used.
    """
    listener = Listener(on_event, clock)
    with compute_threads(rows=table.n_rows):
        return _fit_model(
            table,
            schema,
            target,
            config,
            valid=valid,
            listener=listener,
            started=clock() if started is None else started,
            reserve=reserve,
            checkpoint=checkpoint,
            place=place,
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
    reserve: Reserve,
    checkpoint: Checkpoint | None,
    place: StudyPlace | None,
) -> FittedModel:
    """Run the stages of a fit in order."""
    clock, limit = listener.clock, config.effective_time_limit_s
    end = float("inf") if limit is None else started + limit
    deadline = Deadline(end=end, reserve=reserve, columns=len(schema.features), classes=len(target.classes))
    with listener.stage("prepare", "preparing rows and folds"):
        if not schema.features:
            raise SchemaError(
                f"{table.source}: has no column to learn '{target.name}' from. Keep at least one."
            )
        problem, dropped, left_out, source_rows = set_up_problem(table, schema, target, config, valid)
        if dropped:
            listener(
                Event(kind="note", message=f"{dropped:,} rows without a target or of weight 0 were left out")
            )
        if left_out:
            kept = len(problem.final.rows)
            told = f"{kept:,} of {kept + left_out:,} rows, drawn at random"
            if config.fit_rows is None:
                message = f"the time limit leaves room for {told}"
                listener(Event(kind="fallback", message=message, count=1))
            else:
                listener(Event(kind="note", message=f"the final fits use {told}, as asked for"))
        if problem.final.places is not None:
            searched = f"{len(problem.plan.refit_rows):,} of the {len(problem.final.rows):,}"
            message = f"the search uses {searched} training rows, drawn at random from the whole table"
            listener(Event(kind="note", message=message))
        rows, y_true = problem.data.typed.table, problem.data.y_true
        for name in find_copies(rows, problem.data.schema, y_true, classes=problem.data.n_classes):
            listener(Event(kind="note", message=copy_message(name, target.name)))
        if not is_compiled():
            message = "this installation has no compiled loops, so kernels are slower: see xrfm doctor"
            listener(Event(kind="fallback", message=message, count=1))
        if config.device.startswith("cuda") and triton_module() is None:
            message = "Triton is not installed or does not run on this GPU, so kernels are slower"
            listener(Event(kind="fallback", message=message, count=1))
        space = make_space(problem)
        if valid is not None:
            unread = UnreadColumns(schema)
            unread.look(valid, problem.folds.matrices(0, EncodingConfig()).encoder.encode(valid)[1])
            for line in unread.lines():
                listener(Event(kind="warning", message=f"{valid.source}: {line}"))
        for line in validation_hints(problem):
            listener(Event(kind="warning", message=line))
        validated = f"validated by {problem.plan.scheme}: {problem.plan.reason}"
        if problem.scorer.compared_by != problem.scorer.metric.name:
            validated += f"; trials are compared by {problem.scorer.compared_by}"
        listener(Event(kind="note", message=validated))
        problem = fold_in_time(problem, deadline, on_event=listener, clock=clock)
        baselines = score_baselines(problem)
        for name in baselines.left_out:
            message = f"{name} would take too long to be one of the baselines"
            listener(Event(kind="fallback", message=message, count=1))
        profile = profile_table(problem.final.table, problem.data.schema)
        trained = TrainedRows.of(hash_training_rows(problem))
    with listener.stage("search", "searching"):
        left = max(deadline.left(clock()), 0.0)
        first = first_candidates(space)
        if limit is not None and left < (1 - LATE_SHARE) * limit:
            first = encoded_first(first)
        plateau = Plateau(problem=problem, max_members=config.ensemble_size)
        budget = Budget(
            trials=1 if config.trials == 0 else config.trials,
            deadline=deadline,
            length_s=left,
            clock=clock,
            affords=afford_check(problem, config),
            has_converged=plateau.has_converged if config.may_stop_early else lambda result: False,
        )
        result = search(problem, space, first, budget, on_event=listener, checkpoint=checkpoint, place=place)
        if result.stopped_by == "converged":
            listener(Event(kind="note", message=plateau.reason))
    if not result.validation_results:
        if result.stopped_by == "interrupt":
            raise KeyboardInterrupt
        raise OptionError(listener.why_no_model())
    with listener.stage("refit", "fitting the chosen models on all rows"):
        final = fit_final_ensemble(
            problem,
            result,
            max_members=config.ensemble_size,
            seconds_left=lambda: budget.left_for_models(result),
            on_event=listener,
        )
    model = _assemble(
        problem, config, (dropped, left_out), source_rows, baselines.scored, profile, result, final, listener
    )
    held_out = None
    if not final.interrupted and budget.left_for_models(result, listener.ended) > 0:
        with listener.stage("refit", "measuring the columns on held-out rows"):
            held_out = _measure_held_out(model, problem, result, budget, listener)
    listener.seconds["total"] = clock() - started
    seconds = {name: round(value, 3) for name, value in listener.seconds.items()}
    return replace(model, report=replace(model.report, seconds=seconds, held_out=held_out), trained=trained)


def _measure_held_out(
    model: FittedModel, problem: Problem, result: SearchResult, budget: Budget, listener: Listener
) -> dict[str, Any] | None:
    """Measure the columns on held-out rows within a small share of the time limit."""
    end = listener.clock() + problem.limits.held_out_s

    def seconds_left() -> float:
        now = listener.clock()
        return min(budget.left_for_models(result, now), end - now)

    found = held_out_folds(model, problem, result, seconds_left=seconds_left, on_event=listener)
    return None if found is None else found.to_json()


def hash_training_rows(problem: Problem) -> NDArray[np.uint64]:
    """Return the hashes of the training rows of the final models."""
    rows, data = problem.final.rows, problem.final.data
    table = data.table if len(rows) == data.table.n_rows else data.table.take(rows)
    return hash_rows(table, data.schema, data.y_true[rows])


def _assemble(
    problem: Problem,
    config: FitConfig,
    unused: tuple[int, int],
    source_rows: NDArray[np.int64],
    baselines: tuple[Baseline, ...],
    profile: tuple[ColumnProfile, ...],
    result: SearchResult,
    final: FinalEnsemble,
    listener: Listener,
) -> FittedModel:
    """Return the model with its report; ``unused`` counts rows without a target, and rows left out."""
    data, scorer, plan = problem.data, problem.scorer, problem.plan
    low, high = score_spread(problem, final.predictions, final.decision)
    for event in repair_events(final.repairs):
        listener(event)
    members = final.members
    trials = [record.to_json() for record in result.records]
    importances = tell_importances(
        trials,
        lower_is_better=scorer.metric.lower_is_better,
        seed=data.seed,
        on_event=listener,
    )
    report = FitReport(
        rows=len(problem.final.rows),
        dropped_rows=unused[0],
        left_out_rows=unused[1],
        search_rows=len(plan.refit_rows),
        metric=scorer.metric.name,
        score=scorer.score_of_predictions(final.predictions, final.decision),
        score_low=low,
        score_high=high,
        lower_is_better=scorer.metric.lower_is_better,
        stopped_by="interrupt" if final.interrupted else result.stopped_by,
        validation={
            "scheme": plan.scheme,
            "folds": len(plan.folds),
            "judged_rows": len(plan.validation_rows),
            "reason": plan.reason,
        },
        metrics=evaluate_metrics(
            data.target,
            scorer.y_valid,
            final.predictions,
            scorer.valid_weights,
            final.decision,
        ),
        baselines=baselines_to_json(baselines),
        seconds={},
        trials=trials,
        ensemble=[
            {"trial": m.trial, "weight": m.weight, "score": m.score, "params": m.params} for m in members
        ],
        leaves=[
            {"member": number, "leaf": place, "rows": leaf.n_rows}
            for number, member in enumerate(members)
            for place, leaf in enumerate(member.tree.leaves)
        ],
        fallbacks=[{"message": message, "count": count} for message, count in listener.fallbacks.items()],
        repairs=repairs_to_json((*data.table.repairs, *final.repairs)),
        notes=listener.notes,
        oof=plotted_oof(problem, final.predictions),
        peak_memory_bytes=peak_memory_bytes(),
        options=config.to_dict(),
        fold_metrics=metrics_by_fold(problem, final.predictions, final.decision),
        hyperparameter_importances=importances,
        oof_summary=summarise_oof(problem, final.predictions, final.decision, source_rows),
    )
    return FittedModel(
        schema=data.schema,
        target=data.target,
        members=members,
        calibration=final.calibration,
        decision=final.decision,
        intervals=final.intervals,
        report=report,
        versions=library_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        device=config.device,
        profile=profile,
    )
