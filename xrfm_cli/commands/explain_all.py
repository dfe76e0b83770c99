"""``xrfm explain`` without ``--row``: explain a model globally and, with DATA, attribute its rows."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from xrfm_cli.commands.common.comparing import (
    compare_effects,
    compare_importances,
    effects_view,
    importances_view,
    load_other,
)
from xrfm_cli.commands.common.outputs import open_output
from xrfm_cli.commands.common.reading import known_rows, pass_through, read_blocks
from xrfm_cli.commands.common.session import Session
from xrfm_cli.commands.explain_row import read_baseline
from xrfm_cli.commands.explain_view import explanation_tables
from xrfm_cli.datasets import Repair
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.options.explain_options import ExplainOptions
from xrfm_cli.printable import counted
from xrfm_cli.reports import attribute_rows, explain_document, explain_model, write_explain_report
from xrfm_cli.reports.documents import plain
from xrfm_cli.reports.explanation import ALL_COLUMNS
from xrfm_cli.tuning.explain.row_sampler import RowSampler
from xrfm_cli.tuning.model.fitted_model import FittedModel


def explain_all(
    model: FittedModel, options: ExplainOptions, session: Session, *, html: Path, json: Path, device: str
) -> int:
    """Write the explanation of a model and show it; return the exit status."""
    check_effects(options.effects, model)
    attributed: dict[str, Any] = {}
    sampler = RowSampler(rows=options.rows, seed=options.seed)
    if options.data is not None:
        attributed = _attribute(model, options.data, options, session, sampler)
    session.renderer.stage(f"explaining {options.model}")
    explanation = explain_model(
        model,
        rows=options.rows,
        seed=options.seed,
        table=sampler.table(),
        effects=options.effects,
        curves=options.curves,
        regions=True,
    )
    other = None if options.compare is None else load_other(options.compare, model, device=device)
    before = None
    if other is not None:
        shown = dict.fromkeys(item.column for item in explanation.effects)
        before = explain_model(other, rows=options.rows, seed=options.seed, effects=tuple(shown) or None)
    name = Path(options.model).name
    written = write_explain_report(model, explanation, html, json, source=name, other=before)
    document = {**written, **attributed}
    tables = list(explanation_tables(document, more=options.verbose))
    if other is not None and before is not None and options.compare is not None:
        theirs = explain_document(other, before)
        ours, old = document["importances"], theirs["importances"]
        document["compared"] = plain(compare_importances(options.compare, model, other, ours, old))
        document["compared"]["effects"] = compare_effects(document["effects"], theirs["effects"])
        tables += importances_view(document["compared"])
        tables += effects_view(document["compared"]["effects"])
    session.renderer.close()
    # If attributions go to standard output, the tables go to standard error.
    show = session.renderer.message if _streams_out(options) else session.renderer.result
    for renderable in tables:
        show(renderable)
    session.renderer.note(f"full report: {html} and {json}", files=(html, json))
    if options.open_report:
        webbrowser.open(html.resolve().as_uri())
    session.renderer.document("explain", document)
    return 0


def _attribute(
    model: FittedModel, data: str, options: ExplainOptions, session: Session, sampler: RowSampler
) -> dict[str, Any]:
    """Write the attributions of a table and sample its rows; return the numbers of rows and skipped rows."""
    session.renderer.stage(f"attributing {data}")
    rows, left_out = 0, list[Repair]()
    baseline = read_baseline(model, options)
    total = known_rows(data)
    with open_output(options.output) as writer:
        for block in read_blocks(
            data, options, session, chunk_rows=options.chunk_rows, on_repair=left_out.append
        ):
            copied = {name: block.stored(name) for name in options.ids}
            attributions = attribute_rows(model, block, baseline=baseline, label=options.label)
            if rows == 0:
                pass_through(options.ids, attributions.column_names)
            computed = {name: attributions.column(name) for name in attributions.column_names}
            writer.write(pa.table(copied | computed))
            sampler.add(block)
            rows += block.n_rows
            session.renderer.advance_rows(rows, total=total)
    session.renderer.close()
    session.renderer.note(
        f"{counted(rows, 'row')} attributed" + (f", in {options.output}" if options.output else "")
    )
    return {"rows": rows, "repairs": [asdict(item) for item in left_out]}


def check_effects(effects: Sequence[str], model: FittedModel) -> None:
    """Refuse columns that the model does not use."""
    known = [column.name for column in model.schema.features]
    for name in effects:
        if name not in known and name != ALL_COLUMNS:
            raise OptionError(f"--effects {name}: the model has no such column.{did_you_mean(name, known)}")


def _streams_out(options: ExplainOptions) -> bool:
    return options.data is not None and options.output is None
