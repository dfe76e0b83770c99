"""The model card in Markdown: purpose, training data and quality of a model.

Mitchell et al.: Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xrfm_cli.printable import printable
from xrfm_cli.reports.fit.class_results import class_results, confused_pairs
from xrfm_cli.reports.fit.overview import column_rows, data_words
from xrfm_cli.reports.formats import FILTERS
from xrfm_cli.reports.pages import page_environment
from xrfm_cli.reports.story import baseline_words, verdict_words
from xrfm_cli.tuning.model.fitted_model import FittedModel

MOST_CLASSES, MOST_PAIRS = 50, 10


def render_card(model: FittedModel, document: Mapping[str, Any], *, file: str) -> str:
    """Return the card of a model file as Markdown; ``document`` is that of its fit."""
    summary, names = model.report.oof_summary or {}, [str(label) for label in model.target.classes]
    shares = {item["column"]: item["share"] for item in document["importances"]}
    rows = column_rows(model, shares)
    has_counts = bool(summary.get("confusion"))
    text = (
        page_environment()
        .get_template("card.md.jinja")
        .render(
            doc=document,
            file=file,
            columns=rows,
            data_words=data_words(document, rows),
            verdicts=verdict_words(document),
            baselines=baseline_words(document),
            classes=class_results(summary, names)[:MOST_CLASSES] if has_counts else [],
            pairs=confused_pairs(summary, names)[:MOST_PAIRS] if has_counts and len(names) > 2 else [],
            deciles=summary.get("deciles") or [],
            threshold=model.decision.threshold,
            centers=model.n_centers,
            cell=_cell,
        )
    )
    return text.rstrip() + "\n"


def _cell(value: object) -> str:
    r"""Return a text that stays in its cell of a Markdown table and is no markup.

    >>> _cell("a|b <i>")
    'a\\|b &lt;i&gt;'
    """
    text = " ".join(printable(FILTERS["label"](value)).split())
    for mark in "\\`*_{}[]|#":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
