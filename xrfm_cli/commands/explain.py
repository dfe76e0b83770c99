"""``xrfm explain``: explain a model globally, and attribute the predictions of single rows."""

from __future__ import annotations

from xrfm_cli.commands.common.compute import prepare_device
from xrfm_cli.commands.common.models import open_model
from xrfm_cli.commands.common.places import explain_paths
from xrfm_cli.commands.common.session import Session
from xrfm_cli.options.explain_options import ExplainOptions


def run(options: ExplainOptions, session: Session) -> int:
    """Explain a model and, with DATA, single rows; return the exit status."""
    html, json = explain_paths(options.model)
    device = prepare_device(options.device, threads=options.threads)
    model = open_model(options.model, session, device=device, memory=options.memory)
    for column in model.schema.with_role("offset"):
        session.renderer.note(f"'{model.target.name}' is explained per unit of '{column.name}'")
    # One row is shown at once: it must not wait for the imports of pages and searches.
    if options.row is not None or options.where is not None:
        from xrfm_cli.commands.explain_row import explain_row

        explain_row(model, options, session)
        return 0
    from xrfm_cli.commands.explain_all import explain_all

    return explain_all(model, options, session, html=html, json=json, device=device)
