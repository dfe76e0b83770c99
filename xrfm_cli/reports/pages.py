"""Write the reports: self-contained HTML for people, and JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xrfm_cli.files import utf8, write_whole
from xrfm_cli.printable import printable, printable_json
from xrfm_cli.reports.documents import explain_document, fit_document
from xrfm_cli.reports.effect_plots import effect_figure, map_figure
from xrfm_cli.reports.explanation import Explanation
from xrfm_cli.reports.fit_plots import baseline_figure, history_figure, reliability_figure, residual_figure
from xrfm_cli.reports.formats import FILTERS, percent
from xrfm_cli.reports.plots import direction_figure, importance_figure, matrix_figure
from xrfm_cli.reports.quality import quality_sentence
from xrfm_cli.reports.search import tried_choices
from xrfm_cli.reports.story import cost_words, selection_words
from xrfm_cli.reports.svg import short_label
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.search.hyperparameter_importances import LEAST_COMPLETE

LISTED_COLUMNS = 40  # columns in the table of columns
LISTED_LEAVES = 24
TASK_WORDS = {
    "regression": "Regression",
    "binary": "Classification into two classes",
    "multiclass": "Classification into {} classes",
}
STOPPED_WORDS = {
    "time": "stopped by the time limit",
    "trials": "all trials done",
    "interrupt": "interrupted",
}


def write_fit_report(model: FittedModel, explanation: Explanation, html: Path, json_path: Path) -> None:
    """Write the report of a fit as HTML and as JSON; each file is written atomically."""
    document = fit_document(model, explanation)
    write_whole(json_path, _json(document))
    write_whole(html, utf8(render_fit(model, explanation, document)))


def write_explain_report(model: FittedModel, explanation: Explanation, html: Path, json_path: Path) -> None:
    """Write an explanation as HTML and as JSON; each file is written atomically."""
    document = explain_document(model, explanation)
    write_whole(json_path, _json(document))
    write_whole(html, utf8(render_explain(model, explanation, document)))


def render_fit(model: FittedModel, explanation: Explanation, document: Mapping[str, Any]) -> str:
    """Render the page of a fit."""
    shares = {item.column: item.share for item in explanation.importances}
    columns = _listed_columns(document["columns"], shares)
    outcome, caption = _outcome(model)
    stages = {name: value or 0.0 for name, value in document["seconds"].items() if name != "total"}
    better = "lower" if document["lower_is_better"] else "higher"
    figures = _figures(model, explanation) | {
        "baselines": _baselines(document, better),
        "outcome": outcome,
    }
    return (
        _environment()
        .get_template("fit.html.jinja")
        .render(
            **_frame(model, f"{model.target.name}: xrfm fit"),
            doc=document,
            explain=explain_document(model, explanation),
            figures=figures,
            task_words=TASK_WORDS[model.target.task].format(len(model.target.classes)),
            features=model.schema.features,
            best_baseline=_best_baseline(document),
            better=better,
            baseline_words=_baseline_words(document["baselines"]),
            complete=sum(trial["state"] == "complete" for trial in document["trials"]),
            stopped=STOPPED_WORDS.get(document["stopped_by"], f"stopped by {document['stopped_by']}"),
            outcome_caption=caption,
            selection=selection_words(document),
            cost=cost_words(document),
            stages=stages,
            total_seconds=document["seconds"].get("total", sum(stages.values())),
            longest_stage=max(stages.values(), default=0.0) or 1.0,
            notes=[
                note for note in document["notes"] if document["validation"].get("reason", note) not in note
            ],
            columns=columns,
            hidden_columns=len(document["columns"]) - len(columns),
            shares=shares,
        )
    )


def render_explain(model: FittedModel, explanation: Explanation, document: Mapping[str, Any]) -> str:
    """Render the page of an explanation."""
    return (
        _environment()
        .get_template("explain.html.jinja")
        .render(
            **_frame(model, f"{model.target.name}: xrfm explain"),
            doc=document,
            report=fit_document(model, explanation),
            figures=_figures(model, explanation),
            summary=_summary(explanation),
            quality=quality_sentence(document["quality"]),
            chance={item["column"]: item for item in document["by_chance"]},
            drops={item["column"]: item for item in document["permutation"]},
            effects=[(item, effect_figure(item, model.target.name)) for item in explanation.effects],
            maps=[map_figure(item, model.target.name) for item in explanation.maps],
            leaf_limit=LISTED_LEAVES,
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("xrfm_cli", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(FILTERS)
    return environment


def _shown(value: Any) -> Any:
    """Replace control characters in text; return other values and markup unchanged."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value, keep="\n")


def _frame(model: FittedModel, title: str) -> dict[str, Any]:
    from xrfm_cli import __version__

    return {
        "title": title,
        "version": __version__,
        "created": model.created,
        "centers": model.n_centers,
        "tried": tried_choices(model.report.trials, lower_is_better=model.report.lower_is_better),
        "least_complete": LEAST_COMPLETE,
        "versions": {name: text for name, text in model.versions.items() if name not in ("xrfm", "xrfm-cli")},
    }


def _figures(model: FittedModel, explanation: Explanation) -> dict[str, Markup]:
    """Draw the figures of both pages; a page omits empty ones."""
    report = model.report
    matters = any(item.share > 0 for item in explanation.importances)
    columns = {item.column for item in explanation.importances} if explanation.held_out else set()
    chance = columns - explanation.above_chance
    return {
        "importances": importance_figure(explanation.importances, chance=chance) if matters else Markup(""),
        "agop": importance_figure(explanation.agop, of="the sensitivity") if matters else Markup(""),
        "matrix": matrix_figure(explanation.matrix_columns, explanation.matrix) if matters else Markup(""),
        "directions": direction_figure(explanation.directions) if explanation.directions else Markup(""),
        "history": history_figure(
            report.trials,
            report.metric,
            report.score if len(report.ensemble) > 1 else None,
            lower_is_better=report.lower_is_better,
        ),
    }


def _baselines(document: Mapping[str, Any], better: str) -> Markup:
    if document["score"] is None:
        return Markup("")
    return baseline_figure(document["metric"], document["score"], document["baselines"], better)


def _outcome(model: FittedModel) -> tuple[Markup, str]:
    """Return the figure of residuals or reliability of the out-of-fold predictions, and its caption."""
    target, oof = model.target, model.report.oof
    y_true = np.asarray(oof.get("target", []), dtype=float)
    predicted = np.asarray(oof.get("prediction", []), dtype=float)
    if len(y_true) < 2 or not np.isfinite(predicted).all():
        return Markup(""), ""
    shown = (
        f"A sample of {len(y_true):,} rows"
        if len(y_true) < model.report.rows
        else f"All {len(y_true):,} rows"
    )
    if target.task == "regression":
        caption = f"{shown}, with out-of-fold predictions. The lines are running quartiles."
        return residual_figure(target.name, y_true, predicted), caption
    if predicted.ndim == 1:
        label, hit = short_label(target.classes[-1]), y_true == 1
    else:
        chosen = predicted.argmax(1)
        label, hit = "the predicted class", chosen == y_true
        predicted = predicted[np.arange(len(predicted)), chosen]
    caption = (
        f"{shown}. On the diagonal, predicted probabilities equal the observed frequencies. Bars are 90 % "
        "confidence intervals; the histogram shows how often each probability was predicted."
    )
    return reliability_figure(predicted, hit.astype(float), label), caption


def _best_baseline(document: Mapping[str, Any]) -> dict[str, Any] | None:
    scored = [b for b in document["baselines"] if b["score"] is not None]
    if not scored:
        return None
    best = (min if document["lower_is_better"] else max)(scored, key=lambda b: b["score"])
    return dict(best)


def _baseline_words(baselines: Sequence[Mapping[str, Any]]) -> str:
    """Describe the baselines, such as "mean, one value for all rows; ridge, linear in the columns"."""
    return "; ".join(
        f"{b['name']}, {b['description']}" if b.get("description") else b["name"] for b in baselines
    )


def _listed_columns(
    columns: Sequence[Mapping[str, Any]], shares: Mapping[str, float]
) -> list[Mapping[str, Any]]:
    """Return all columns of a narrow table; in a wide table, non-features and the strongest features."""
    if len(columns) <= LISTED_COLUMNS:
        return list(columns)
    others = [c for c in columns if c["name"] not in shares][: LISTED_COLUMNS // 4]
    features = sorted((c for c in columns if c["name"] in shares), key=lambda c: -shares[c["name"]])
    return others + features[: LISTED_COLUMNS - len(others)]


def _summary(explanation: Explanation) -> str:
    """Summarise the explanation in two sentences."""
    strongest = [item for item in explanation.importances if item.share > 0]
    if not strongest:
        return "The model is constant: it depends on no column."
    shown = strongest[:3]
    names = _listed([f"{short_label(item.column)} ({percent(item.share)})" for item in shown])
    if len(strongest) <= len(shown):
        text = f"The prediction varies with {names}."
    else:
        total = percent(min(1.0, sum(item.share for item in shown)))
        count = len(explanation.importances)
        text = f"Of {count} columns, {names} matter most: together {total} of the prediction’s variance."
    together = explanation.pairs
    if together:
        a, b = (short_label(column) for column in together[0].columns)
        text += f" The strongest interaction is between {a} and {b} ({percent(together[0].interaction)})."
    return text


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _json(document: Mapping[str, Any]) -> bytes:
    return utf8(printable_json(document) + "\n")
