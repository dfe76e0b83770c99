"""``xrfm info``: the content of a model file."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from rich.text import Text

from xrfm_cli.commands.common.session import Session
from xrfm_cli.options.declarations import InfoOptions
from xrfm_cli.printable import counted
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.tables import columns_table, facts_table, heading, number
from xrfm_cli.tuning.model.model_facts import ModelFacts, read_model_facts

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
    path = Path(options.model)
    if options.card:
        return _print_card(path, session)
    model = read_model_facts(path)
    document = info_document(model, size_bytes=path.stat().st_size)
    session.renderer.result(
        facts_table(options.model, _shown(document)),
        heading("Columns"),
        columns_table(model.schema),
        Text("\n" + (KEEPS_ROWS if document["keeps_training_rows"] else KEEPS_NO_ROWS), style="dim"),
    )
    session.renderer.document("info", document)
    return 0


def _print_card(path: Path, session: Session) -> int:
    from xrfm_cli.reports import explain_model, fit_document  # a card explains the model, which needs torch
    from xrfm_cli.reports.card import render_card
    from xrfm_cli.tuning.model.storage import load_model

    model = load_model(path)
    card = render_card(model, fit_document(model, explain_model(model)), file=path.name)
    session.renderer.close()
    results = streams.documents()
    results.write(card)
    results.flush()
    return 0


def info_document(model: ModelFacts, *, size_bytes: int) -> dict[str, Any]:
    """Return the facts of a model for the JSON document."""
    target: Mapping[str, Any] = model.manifest["target"]
    report: Mapping[str, Any] = model.manifest["report"]
    weights = model.manifest.get("class_weights", [])
    score = report["score"]
    return {
        "task": target["task"],
        "target": target["name"],
        "classes": list(target["classes"]),
        "positive": target.get("positive"),
        "threshold": model.manifest["threshold"],
        "class_weights": dict(zip(target["classes"], weights, strict=False)),
        "columns": [
            {"name": item.name, "kind": item.kind, "role": item.role, "reason": item.reason}
            for item in model.schema.columns
        ],
        "rows": report["rows"],
        "members": len(model.manifest["members"]),
        "leaves": sum(len(member["tree"]["leaves"]) for member in model.manifest["members"]),
        "centers": model.n_centers,
        "size_bytes": size_bytes,
        "metric": report["metric"],
        "score": score if score is not None and isfinite(score) else None,
        "lower_is_better": report["lower_is_better"],
        "created": model.created,
        "versions": dict(model.manifest["versions"]),
        "keeps_training_rows": model.n_centers > 0,
        "base": _base_document(model.manifest.get("base")),
        "compression": model.manifest.get("compression"),
    }


def _base_document(base: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the facts of the base model of transfer learning."""
    if base is None:
        return None
    return {
        "name": base["name"],
        "target": base["model"]["target"]["name"],
        "rows": base["model"]["report"]["rows"],
        "shared": list(base["found"]["shared"]),
        "absent": list(base["found"]["absent"]),
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
    if document["base"] is not None:
        base = document["base"]
        facts["base"] = (
            f"{base['name']}: {base['target']} of {base['rows']:,} rows, {len(base['shared'])} shared columns"
        )
    if document["compression"] is not None:
        found = document["compression"]
        facts["16 bits"] = (
            f"{' and '.join(found['parts'])}; predictions of {found['rows']:,} rows changed by "
            f"{found['difference']:.2g} standard deviations (at most {found['largest']:.2g})"
        )
    leaves = counted(document["leaves"], "leaf", "leaves")
    return facts | {
        "score": f"{document['metric']} {number(document['score'])}",
        "rows": f"{document['rows']:,}",
        "models": f"{document['members']}, {leaves}, {counted(document['centers'], 'center')}",
        "size": f"{document['size_bytes'] / 2**20:.1f} MiB",
        "created": str(document["created"]),
        "versions": ", ".join(f"{name} {version}" for name, version in document["versions"].items()),
    }
