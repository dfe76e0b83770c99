"""The versioned JSON documents of ``fit`` and ``explain`` for other programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from xrfm_cli.reports.directions import Direction
from xrfm_cli.reports.explanation import Explanation
from xrfm_cli.reports.rules import regions_document
from xrfm_cli.reports.search import best_trial, improvements, trial_seconds
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.report import FitReport

SCHEMA_VERSION = 1


def fit_document(model: FittedModel, explanation: Explanation) -> dict[str, Any]:
    """Return the document of ``fit --json`` and ``model.report.json``; its names are stable.

    Every value is plain JSON; numbers that are not finite become null.
    """
    report = model.report
    return plain(
        {
            **_head("fit"),
            "task": model.target.task,
            "target": model.target.name,
            "target_reason": model.target.reason,
            "classes": list(model.target.classes),
            "positive": model.target.positive,
            "rows": report.rows,
            "dropped_rows": report.dropped_rows,
            "left_out_rows": report.left_out_rows,
            "search_rows": report.search_rows,
            "columns": [
                {"name": c.name, "kind": c.kind, "role": c.role, "reason": c.reason}
                for c in model.schema.columns
            ],
            "metric": report.metric,
            "score": report.score,
            "score_low": report.score_low,
            "score_high": report.score_high,
            "lower_is_better": report.lower_is_better,
            "stopped_by": report.stopped_by,
            "metrics": report.metrics,
            "fold_metrics": report.fold_metrics,
            "validation": report.validation,
            "baselines": report.baselines,
            "test": report.test,
            "oof_summary": report.oof_summary,
            "seconds": report.seconds,
            "trials": report.trials,
            **_search(report),
            "ensemble": report.ensemble,
            "leaves": report.leaves,
            "importances": _importances(explanation),
            "intervals": _intervals(model),
            "fallbacks": report.fallbacks,
            "repairs": report.repairs,
            "notes": report.notes,
            "peak_memory_bytes": report.peak_memory_bytes,
            "options": report.options,
            "created": model.created,
            "versions": model.versions,
        }
    )


def explain_document(model: FittedModel, explanation: Explanation) -> dict[str, Any]:
    """Return the document of ``explain --json`` and ``model.explain.json``; its names are stable.

    ``importances`` are shares of the prediction's variance, largest first, which sum to one. ``permutation``
    and ``by_chance`` are in the same order, and empty for models that were fitted without them.
    ``directions``, ``leaves`` and ``splits`` describe the member with the largest weight, whose index in the
    ensemble is ``member``.
    """
    return plain(
        {
            **_head("explain"),
            "task": model.target.task,
            "target": model.target.name,
            "positive": model.target.positive,
            "sampled_rows": explanation.rows,
            "rows_from": explanation.source,
            "seed": explanation.seed,
            "quality": asdict(explanation.quality),
            "notes": list(explanation.notes),
            "importances": _importances(explanation),
            **_held_out(explanation),
            "agop": [asdict(item) for item in explanation.agop],
            "matrix": {"columns": explanation.matrix_columns, "values": explanation.matrix.tolist()},
            "directions": [_direction(item) for item in explanation.directions.found],
            "effective_rank": explanation.directions.effective_rank,
            "regions": regions_document(explanation.regions),
            "pairs": [asdict(pair) for pair in explanation.pairs],
            "pairs_compared": explanation.pairs_compared,
            "triples": [asdict(triple) for triple in explanation.triples],
            "triples_compared": explanation.triples_compared,
            "effects": [asdict(item) for item in explanation.effects],
            "effect_maps": [asdict(item) for item in explanation.maps],
            "member": explanation.member,
            "leaves": [
                {
                    "leaf": leaf.leaf,
                    "rows": leaf.rows,
                    "sampled_rows": leaf.sampled,
                    "path": leaf.path,
                    "class": leaf.summary.output if leaf.summary else None,
                    "mean_prediction": leaf.summary.mean_prediction if leaf.summary else None,
                    "mean_target": leaf.summary.mean_target if leaf.summary else None,
                    "score": leaf.summary.score if leaf.summary else None,
                    "importances": [asdict(item) for item in leaf.columns],
                }
                for leaf in explanation.leaves
            ],
            "splits": [asdict(split) for split in explanation.splits],
            "trials": model.report.trials,
        }
    )


def plain(value: Any) -> Any:
    """Convert a value to plain JSON: mappings, lists, and null for numbers that are not finite.

    >>> plain({"a": (1.0, float("nan")), 2: np.float64(0.5)})
    {'a': [1.0, None], '2': 0.5}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _direction(direction: Direction) -> dict[str, Any]:
    facts = asdict(direction)
    if facts["along"] is not None:
        facts["along"]["class"] = facts["along"].pop("output")
    return facts


def _head(command: str) -> dict[str, Any]:
    from xrfm_cli import __version__

    return {"schema_version": SCHEMA_VERSION, "command": command, "xrfm_version": __version__}


def _search(report: FitReport) -> dict[str, Any]:
    """Summarise the trials: the best one, the improvements, importances and costs."""
    lower = report.lower_is_better
    return {
        "best_trial": best_trial(report.trials, lower_is_better=lower),
        "improvements": improvements(report.trials, lower_is_better=lower),
        "trial_seconds": trial_seconds(report.trials),
        "hyperparameter_importances": report.hyperparameter_importances,
    }


def _intervals(model: FittedModel) -> dict[str, Any] | None:
    """Return the mean width of 90 % intervals and whether widths adapt to the row; None for classes.

    The mean is over the validation rows; fewer than nine rows do not allow a 90 % interval, and give None.
    """
    if model.intervals is None:
        return None
    return {
        "mean_width_90": 2 * model.intervals.half_width(0.9) if model.intervals.allows(0.9) else None,
        "adapts": model.intervals.error_scale is not None,
    }


def _held_out(explanation: Explanation) -> dict[str, Any]:
    """Return the permutation drops and what chance gives, in the order of the importances."""
    held_out, above = explanation.held_out, explanation.above_chance
    if held_out is None:
        return {"permutation": [], "by_chance": []}
    known = {item.column: item for item in held_out.columns}
    columns = [known[item.column] for item in explanation.importances if item.column in known]
    return {
        "permutation": [
            {"column": item.column, "drop": item.drop, "low": item.low, "high": item.high} for item in columns
        ],
        "by_chance": [
            {
                "column": item.column,
                "share": item.by_chance,
                "confirmed": item.confirmed,
                "above": item.column in above,
            }
            for item in columns
        ],
    }


def _importances(explanation: Explanation) -> list[dict[str, Any]]:
    return [asdict(item) for item in explanation.importances]
