"""``xrfm info``: the content of a model file."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from rich.text import Text

from xrfm_cli.commands.session import Session
from xrfm_cli.errors import OptionError
from xrfm_cli.options.declarations import InfoOptions
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.tables import columns_table, facts_table, heading, number
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.storage import load_model

KEEPS_ROWS = (
    "A kernel machine keeps training rows as its centers, in encoded form: "
    "share this file only with people who may see the data."
)


KEEPS_NO_ROWS = (
    "Linear and constant leaves keep no training rows. The file still contains category levels, quantiles "
    "of numbers, the targets and predictions of a sample of rows, and hashes of training rows."
)


def run(options: InfoOptions, session: Session) -> int:
    """Print the facts of a model file."""
    if options.card and options.as_json:
        raise OptionError("--card is Markdown; leave out --json")
    model = load_model(Path(options.model))
    if options.card:
        from xrfm_cli.reports import explain_model, fit_document
        from xrfm_cli.reports.card import render_card

        card = render_card(model, fit_document(model, explain_model(model)), file=Path(options.model).name)
        session.renderer.close()
        results = streams.documents()
        results.write(card)
        results.flush()
        return 0
    document = info_document(model, size_bytes=Path(options.model).stat().st_size)
    session.renderer.result(
        facts_table(options.model, _shown(document)),
        heading("Columns"),
        columns_table(model.schema),
        Text("\n" + (KEEPS_ROWS if document["keeps_training_rows"] else KEEPS_NO_ROWS), style="dim"),
    )
    session.renderer.document("info", document)
    return 0


def info_document(model: FittedModel, *, size_bytes: int) -> dict[str, Any]:
    """Return the facts of a model for the JSON document."""
    leaves = [leaf for member in model.members for leaf in member.tree.leaves]
    return {
        "task": model.target.task,
        "target": model.target.name,
        "classes": list(model.target.classes),
        "positive": model.target.positive,
        "threshold": model.decision.threshold,
        "class_weights": dict(zip(model.target.classes, model.decision.class_weights, strict=False)),
        "columns": [
            {"name": item.name, "kind": item.kind, "role": item.role, "reason": item.reason}
            for item in model.schema.columns
        ],
        "rows": model.report.rows,
        "members": len(model.members),
        "leaves": len(leaves),
        "centers": model.n_centers,
        "size_bytes": size_bytes,
        "metric": model.report.metric,
        "score": model.report.score if isfinite(model.report.score) else None,
        "lower_is_better": model.report.lower_is_better,
        "created": model.created,
        "versions": dict(model.versions),
        "keeps_training_rows": model.n_centers > 0,
    }


def _shown(document: dict[str, Any]) -> dict[str, str]:
    """Format the facts for the terminal."""
    facts = {"task": f"{document['task']} of '{document['target']}'"}
    if document["classes"]:
        facts["classes"] = ", ".join(map(str, document["classes"]))
    if document["positive"] is not None:
        facts["positive"] = str(document["positive"])
    if document["threshold"] is not None:
        facts["threshold"] = f"{document['threshold']:.3f} for {document['positive']}"
    if document["class_weights"]:
        favoured = document["class_weights"].items()
        facts["class weights"] = ", ".join(f"{name} {weight:.3g}" for name, weight in favoured)
    return facts | {
        "score": f"{document['metric']} {number(document['score'])}",
        "rows": f"{document['rows']:,}",
        "models": f"{document['members']}, {document['leaves']} leaves, {document['centers']:,} centers",
        "size": f"{document['size_bytes'] / 2**20:.1f} MiB",
        "created": str(document["created"]),
        "versions": ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
    }
