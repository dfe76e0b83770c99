"""Explain a model: importances, attributions, and reports as HTML and JSON.

explanation = explain_model(model)
write_explain_report(model, explanation, Path("model.explain.html"), Path("model.explain.json"))
attributions = attribute_rows(model, read_table("new.csv"))
"""

from __future__ import annotations

from xrfm_cli.reports.attributions import attribute_rows
from xrfm_cli.reports.directions import Direction
from xrfm_cli.reports.documents import explain_document, fit_document
from xrfm_cli.reports.explanation import Explanation, explain_model
from xrfm_cli.reports.importances import Importance
from xrfm_cli.reports.pages import render_explain, write_explain_report, write_fit_report
from xrfm_cli.reports.pairs import Pair

__all__ = [
    "Direction",
    "Explanation",
    "Importance",
    "Pair",
    "attribute_rows",
    "explain_document",
    "explain_model",
    "fit_document",
    "render_explain",
    "write_explain_report",
    "write_fit_report",
]
