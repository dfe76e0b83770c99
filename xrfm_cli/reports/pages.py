"""Write the reports: self-contained HTML for people, and JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from xrfm_cli.files import utf8, write_whole
from xrfm_cli.printable import printable, printable_json
from xrfm_cli.reports.documents import explain_document, fit_document
from xrfm_cli.reports.effect_plots import effect_figure, map_figure
from xrfm_cli.reports.explanation import Explanation
from xrfm_cli.reports.fit.charts import Figure
from xrfm_cli.reports.fit.page import page_parts
from xrfm_cli.reports.fit.search_figures import history_figure, importance_figure
from xrfm_cli.reports.formats import FILTERS, decimals, percent
from xrfm_cli.reports.labels import short_label
from xrfm_cli.reports.plots import direction_figures, matrix_figure
from xrfm_cli.reports.quality import quality_sentence
from xrfm_cli.reports.search import tried_choices
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.search.hyperparameter_importances import LEAST_COMPLETE

TIGHT = re.compile(r"(?<=\w) (%|= (?=\d))")
LISTED_LEAVES = 24
BARS = 20  # columns in the figures of shares
LEAST_NAMED = 0.01  # share of a column that the summary names
EXPLAIN_CONTENTS = (
    ("matters", "What matters"),
    ("effects", "Effects"),
    ("steepest", "Steepness"),
    ("together", "Interactions"),
    ("regions", "Regions"),
    ("directions", "Directions"),
    ("tuning", "The search"),
    ("privacy", "Privacy"),
)


def write_fit_report(
    model: FittedModel, explanation: Explanation, paths: Sequence[Path], *, source: str = ""
) -> dict[str, Any]:
    """Write the report of a fit, each file atomically; return its document.

    The ending of each path selects its format: ``.html``, ``.json``, ``.md`` or ``.png``. ``source`` is the
    name of the table.
    """
    from xrfm_cli.reports.card import render_card  # imports this module

    document = fit_document(model, explanation)
    for path in paths:
        if path.suffix == ".json":
            write_whole(path, _json(document))
        elif path.suffix == ".md":
            write_whole(path, utf8(render_card(model, document, file=source or model.target.name)))
        elif path.suffix == ".png":
            from xrfm_cli.reports.fit.picture import draw_picture

            write_whole(path, draw_picture(document))
        else:
            write_whole(path, utf8(render_fit(model, explanation, document, source=source)))
    return document


def write_explain_report(
    model: FittedModel,
    explanation: Explanation,
    html: Path,
    json_path: Path,
    *,
    source: str = "",
    other: Explanation | None = None,
) -> dict[str, Any]:
    """Write an explanation as HTML and as JSON, each file atomically; return its document.

    ``source`` is the name of the model file; ``other`` explains an older model, whose effects are drawn too.
    """
    document = explain_document(model, explanation)
    write_whole(json_path, _json(document))
    write_whole(html, utf8(render_explain(model, explanation, document, source=source, other=other)))
    return document


def render_fit(
    model: FittedModel, explanation: Explanation, document: Mapping[str, Any], *, source: str = ""
) -> str:
    """Render the page of a fit; ``source`` is the name of the table, for the title."""
    named = f" from {source}" if source else ""
    parts = page_parts(model, document)
    parts["figures"]["importances"] = importance_figure(
        document["importances"], chance=_unconfirmed(explanation)
    )
    return (
        page_environment()
        .get_template("fit.html.jinja")
        .render(
            **(_frame(model, f"{model.target.name}{named}: xrfm fit") | parts),
            source=source,
            explain=explain_document(model, explanation),
        )
    )


def render_explain(
    model: FittedModel,
    explanation: Explanation,
    document: Mapping[str, Any],
    *,
    source: str = "",
    other: Explanation | None = None,
) -> str:
    """Render the page of an explanation; ``source`` is the name of the model file, for the title.

    ``other`` explains an older model, whose effects are drawn too.
    """
    before = {(item.column, item.part, item.output): item for item in (other.effects if other else ())}
    named, held_out = f" by {source}" if source else "", explanation.held_out
    absent = {"effects": not explanation.effects, "directions": not document["directions"]}
    contents = [item for item in EXPLAIN_CONTENTS if not absent.get(item[0], False)]
    return (
        page_environment()
        .get_template("explain.html.jinja")
        .render(
            **(_frame(model, f"{model.target.name}{named}: xrfm explain") | {"contents": contents}),
            source=source,
            doc=document,
            report=fit_document(model, explanation),
            figures=_figures(model, explanation, document),
            summary=_summary(explanation),
            quality=quality_sentence(document["quality"]),
            chance={item["column"]: item for item in document["by_chance"]},
            drops={item["column"]: item for item in document["permutation"]},
            effects=[
                effect_figure(item, model.target.name, before.get((item.column, item.part, item.output)))
                for item in explanation.effects
            ],
            is_compared=bool(before),
            has_spread=any(item.deviation is not None for item in held_out.columns) if held_out else False,
            has_curves=any(item.curves for item in explanation.effects),
            maps=[map_figure(item, model.target.name) for item in explanation.maps],
            drop_places=decimals(item["drop"] for item in document["permutation"]),
            leaf_limit=LISTED_LEAVES,
        )
    )


@lru_cache(maxsize=1)
def page_environment() -> Environment:
    """Return the environment of the templates; its filters format values."""
    environment = Environment(
        loader=PackageLoader("xrfm_cli", "reports/templates"),
        autoescape=lambda name: name is None or not name.endswith(".md.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(FILTERS)
    return environment


@pass_eval_context
def _shown(context: EvalContext, value: Any) -> Any:
    """Replace control characters in text, and keep ``%`` and ``= 2`` on one line; not in markup."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = printable(value, keep="\n")
    return TIGHT.sub("\N{NO-BREAK SPACE}\\1", text) if context.autoescape else text


def _frame(model: FittedModel, title: str) -> dict[str, Any]:
    from xrfm_cli import __version__

    return {
        "title": title,
        "version": __version__,
        "created": model.created,
        "centers": model.n_centers,
        "tried": tried_choices(model.report.trials, lower_is_better=model.report.lower_is_better),
        "least_complete": LEAST_COMPLETE,
        "contents": (),
        "versions": {name: text for name, text in model.versions.items() if name not in ("xrfm", "xrfm-cli")},
    }


def _figures(model: FittedModel, explanation: Explanation, document: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the figures of the page of an explanation; it omits empty ones."""
    report = model.report
    matters = any(item.share > 0 for item in explanation.importances)
    agop: Figure | None = None
    if matters:
        agop = importance_figure(
            document["agop"], title="Steepness", label="share of the sensitivity, %", most=BARS
        )
    return {
        "importances": importance_figure(
            document["importances"],
            title="Shares of the prediction’s variance",
            label="share of the prediction’s variance, %",
            most=BARS,
            chance=_unconfirmed(explanation),
        ),
        "agop": agop,
        "matrix": matrix_figure(explanation.matrix_columns, explanation.matrix) if matters else None,
        "directions": direction_figures(explanation.directions.found, model.target.name),
        "history": history_figure(
            report.trials,
            report.metric,
            report.score if len(report.ensemble) > 1 else None,
            lower_is_better=report.lower_is_better,
        ),
    }


def _unconfirmed(explanation: Explanation) -> set[str]:
    """Return the columns that held-out rows do not confirm; none if no such rows were measured."""
    columns = {item.column for item in explanation.importances} if explanation.held_out else set()
    return columns - explanation.above_chance


def _summary(explanation: Explanation) -> str:
    """Summarise the explanation in two sentences."""
    strongest = [item for item in explanation.importances if item.share > 0]
    if not strongest:
        return "The model is constant: it depends on no column."
    shown = [item for item in strongest[:3] if item.share >= LEAST_NAMED] or strongest[:1]
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
