"""The parts of the page of a fit, ready for its template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xrfm_cli.printable import counted
from xrfm_cli.reports.fit.charts import Figure
from xrfm_cli.reports.fit.class_figures import (
    LARGE_MATRIX,
    SMALL_MATRIX,
    calibration_figure,
    confusion_picture,
    curve_figures,
    threshold_words,
)
from xrfm_cli.reports.fit.class_results import (
    class_results,
    confused_pairs,
    confusion_counts,
    threshold_table,
)
from xrfm_cli.reports.fit.glossary import glossary
from xrfm_cli.reports.fit.overview import column_rows, data_words, leaderboard
from xrfm_cli.reports.fit.search_figures import history_figure, score_figure
from xrfm_cli.reports.fit.value_figures import decile_figure, residual_figure, time_figure
from xrfm_cli.reports.formats import number, percent
from xrfm_cli.reports.labels import short_label
from xrfm_cli.reports.story import baseline_words, best_baseline, cost_words, selection_words, verdict_words
from xrfm_cli.tuning.model.fitted_model import FittedModel

TASK_WORDS = {
    "regression": "Regression",
    "binary": "Classification into two classes",
    "multiclass": "Classification into {} classes",
}
STOPPED_WORDS = {
    "time": "stopped by the time limit",
    "trials": "all trials done",
    "converged": "ended when it had converged",
    "interrupt": "interrupted",
}
CONTENTS = (
    ("summary", "Summary"),
    ("notes", "Notes"),
    ("quality", "How good it is"),
    ("classes", "Classes"),
    ("errors", "Errors"),
    ("importances", "What matters"),
    ("data", "Data"),
    ("search", "The search"),
    ("glossary", "Words"),
    ("privacy", "Privacy"),
)


def page_parts(model: FittedModel, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of the template."""
    report, summary = model.report, model.report.oof_summary or {}
    shares = {item["column"]: item["share"] for item in document["importances"]}
    stages = {name: value or 0.0 for name, value in document["seconds"].items() if name != "total"}
    notes = _notes(document)
    rows = column_rows(model, shares)
    parts: dict[str, Any] = {
        "doc": document,
        "task_words": TASK_WORDS[model.target.task].format(len(model.target.classes)),
        "features": model.schema.features,
        "best_baseline": best_baseline(document),
        "verdicts": verdict_words(document),
        "better": "lower" if document["lower_is_better"] else "higher",
        "test_score": document["test"]["metrics"].get(document["metric"]) if document["test"] else None,
        "complete": sum(trial["state"] == "complete" for trial in document["trials"]),
        "stopped": STOPPED_WORDS.get(document["stopped_by"], f"stopped by {document['stopped_by']}"),
        "selection": selection_words(document),
        "cost": cost_words(document),
        "stages": stages,
        "total_seconds": document["seconds"].get("total", sum(stages.values())),
        "longest_stage": max(stages.values(), default=0.0) or 1.0,
        "notes": notes,
        "leaderboard": leaderboard(document),
        "classes": _classes(model, summary) if summary.get("confusion") else None,
        "errors": _errors(model, summary) if summary.get("bands") else None,
        "figures": {
            "scores": score_figure(document, baseline_words(document)),
            "history": history_figure(
                document["trials"],
                document["metric"],
                document["score"] if len(document["ensemble"]) > 1 else None,
                lower_is_better=report.lower_is_better,
            ),
        },
        "importance_words": _importance_words(document),
        "columns": rows,
        "hidden_columns": len(document["columns"]) - len(rows),
        "data_words": data_words(document, rows),
        "repairs": [
            (short_label(item["column"] or "whole rows", 60), item["what"], f"{item['count']:,}")
            for item in document["repairs"]
            if item["what"] != "missing"
        ],
        "glossary": glossary(has_classes=bool(model.target.classes)),
    }
    absent = {"notes": not (notes or document["fallbacks"])}
    absent |= {name: not parts[name] for name in ("classes", "errors")}
    return parts | {"contents": [item for item in CONTENTS if not absent.get(item[0], False)]}


def _notes(document: Mapping[str, Any]) -> list[str]:
    """Return the notes of the fit that other parts of the page do not repeat."""
    reason = document["validation"].get("reason") or "validated by"
    shown_elsewhere = (reason, "missing cells in ", "rows without a target or of weight 0")
    return [note for note in document["notes"] if not any(words in note for words in shown_elsewhere)]


def _classes(model: FittedModel, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables and figures of class predictions."""
    names = [str(label) for label in model.target.classes]
    results, pairs = class_results(summary, names), confused_pairs(summary, names)
    counts = confusion_counts(summary, len(names))
    totals, right = int(counts.sum()), int(np.trace(counts))
    common = int(counts.sum(1).argmax())
    finding = (
        f"{percent(right / totals)} of the rows are predicted correctly; always predicting "
        f"{short_label(names[common])} would reach {percent(float(counts[common].sum() / totals))}."
    )
    if pairs and len(names) > 2:
        worst = pairs[0]
        finding += (
            f" Most often {short_label(worst.true)} is taken for {short_label(worst.predicted)}: "
            f"{counted(worst.rows, 'row')}, {percent(worst.share)} of the class."
        )
    own = 0.5 if model.decision.threshold is None else model.decision.threshold
    has_auc = any(result.auc is not None for result in results)
    is_binary = summary.get("curve") is not None
    table = [] if not is_binary else threshold_table(summary, own)
    label = short_label(names[-1]) if len(names) == 2 else "the predicted class"
    small = len(names) <= SMALL_MATRIX
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return {
        "finding": finding,
        "rows": totals,
        "names": names,
        "matrix": counts.tolist() if small else None,
        "shares": shares.tolist(),
        "picture": confusion_picture(summary, names) if not small and len(names) <= LARGE_MATRIX else None,
        "pairs": [(p.true, p.predicted, f"{p.rows:,}", percent(p.share)) for p in pairs],
        "has_auc": has_auc,
        "table": [
            (
                result.name,
                f"{result.rows:,}",
                percent(result.share),
                f"{result.predicted:,}",
                *(percent(value) for value in (result.precision, result.recall, result.f1)),
                *((number(result.auc),) if has_auc else ()),
            )
            for result in results
        ],
        "threshold": threshold_words(own),
        "is_chosen": model.decision.threshold is not None,
        "curves": curve_figures(summary, names[-1], own, model.report.metrics.get("auc"))
        if is_binary
        else [],
        "thresholds": [
            (
                threshold_words(row.threshold),
                *(percent(v) for v in (row.flagged, row.precision, row.recall, row.specificity, row.f1)),
                percent(row.accuracy),
            )
            for row in table
        ],
        "own": [place for place, row in enumerate(table) if row.is_own],
        "calibration": calibration_figure(summary, label),
    }


def _errors(model: FittedModel, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures and the worst rows of predictions of numbers."""
    oof, typical = model.report.oof, summary.get("typical_error") or 0.0
    y_true, predicted = (np.asarray(oof.get(name, []), dtype=float) for name in ("target", "prediction"))
    found: list[Figure | None] = [
        residual_figure(model.target.name, y_true, predicted, summary["bands"], typical),
        decile_figure(model.target.name, summary.get("deciles") or []),
    ]
    if summary.get("over_time"):
        found.append(time_figure(summary["over_time"], typical))
    given = model.report.validation.get("scheme") == "given rows"
    return {
        "figures": [figure for figure in found if figure is not None],
        "worst": [
            (f"{item['row']:,}", f"{item['times_typical']:.1f}") for item in summary.get("worst") or []
        ],
        "table": "the file of --valid" if given else "the table",
    }


def _importance_words(document: Mapping[str, Any]) -> str:
    if not any(item["share"] for item in document["importances"]):
        return "The model is constant: it depends on no column."
    return "How much each column contributes to the differences between predictions; not its causal effect."
