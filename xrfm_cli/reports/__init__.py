"""Explain a model: importances, attributions, and reports as HTML and JSON.

explanation = explain_model(model)
write_explain_report(model, explanation, Path("model.explain.html"), Path("model.explain.json"))
attributions = attribute_rows(model, read_table("new.csv"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrfm_cli.lazy import on_first_use

if TYPE_CHECKING:
    from xrfm_cli.reports.attributions import attribute_rows
    from xrfm_cli.reports.directions import Direction
    from xrfm_cli.reports.documents import explain_document, fit_document
    from xrfm_cli.reports.explanation import Explanation, explain_model
    from xrfm_cli.reports.pages import render_explain, write_explain_report, write_fit_report
    from xrfm_cli.reports.pairs import Pair
    from xrfm_cli.tuning.explain.shares import ColumnShare

__all__ = [
    "ColumnShare",
    "Direction",
    "Explanation",
    "Pair",
    "attribute_rows",
    "explain_document",
    "explain_model",
    "fit_document",
    "render_explain",
    "write_explain_report",
    "write_fit_report",
]

# An explanation of one row waits for no page, and an importance for no search.
__getattr__ = on_first_use(
    __name__,
    {
        "ColumnShare": "importances",
        "Direction": "directions",
        "Explanation": "explanation",
        "Pair": "pairs",
        "attribute_rows": "attributions",
        "explain_document": "documents",
        "explain_model": "explanation",
        "fit_document": "documents",
        "render_explain": "pages",
        "write_explain_report": "pages",
        "write_fit_report": "pages",
    },
)
