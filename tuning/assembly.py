"""Assemble the fitted model from its parts and the report of the search."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.events import Event, repair_events
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.final_fit import FinalEnsemble
from xrfm_cli.tuning.environment import library_versions, peak_memory_bytes
from xrfm_cli.tuning.listener import Listener
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.oof_summary import summarise_oof
from xrfm_cli.tuning.model.profile import ColumnProfile
from xrfm_cli.tuning.model.report import (
    FitReport,
    baselines_to_json,
    metrics_by_fold,
    plotted_oof,
    repairs_to_json,
    score_spread,
)
from xrfm_cli.tuning.problem.baselines import Baseline
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.metrics import evaluate_metrics
from xrfm_cli.tuning.search.hyperparameter_importances import tell_importances
from xrfm_cli.tuning.search.trial_records import SearchResult
from xrfm_cli.tuning.transfer.words import transfer_words, uses_base


def assemble_model(
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
    """Return the model with its report, without the seconds of its stages.

    ``unused`` are the numbers of rows without a target, and of usable rows that were left out.
    """
    data, scorer, plan = problem.data, problem.scorer, problem.plan
    base = data.base
    if base is not None:
        listener(Event(kind="note", message=transfer_words(base, final.members)))
        if not any(uses_base(member) for member in final.members):
            base = None  # the model does not need it
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
            asked=[scorer.metric.name],
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
        base=base,
    )
