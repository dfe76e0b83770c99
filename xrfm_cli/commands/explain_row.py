"""``xrfm explain DATA --row N``: one prediction, as a chart in the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import RenderableType

from xrfm_cli.commands.common.reading import read_blocks, read_options
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table, read_table
from xrfm_cli.datasets.schema.word_kinds import BOOLEAN_WORDS
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.explain_options import ExplainOptions
from xrfm_cli.printable import counted, printable
from xrfm_cli.reports.attributions import Baseline, attribute_rows
from xrfm_cli.reports.formats import decimals, minus, rounded
from xrfm_cli.terminal.tables import Grid, bar, grid, heading, number, shortened
from xrfm_cli.tuning.explain.columns import feature_columns
from xrfm_cli.tuning.explain.contributing_rows import ContributingRows, contributing_rows
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.profile import ColumnProfile

LEVEL = 0.9  # of the interval that is shown
TOP = 10  # columns that are shown
MOST_ROWS, MOST_CELLS = 5, 3  # training rows that are shown, and their columns
DIGITS = 6  # share of a column's largest value: encodings are float32
HALF_BAR = 6  # characters on either side of the chart; with the widest cells, 80 columns are just enough
PRIVACY = (
    "These are cells of training rows, which the model file holds: show them only to those who may see "
    "that table."
)


def explain_row(model: FittedModel, options: ExplainOptions, session: Session) -> None:
    """Explain the row that ``--row`` or ``--where`` names."""
    assert options.data is not None
    place, row = find_row(options.data, options, session)
    baseline = read_baseline(model, options)
    leaves = [leaf.n_rows for member in model.members for leaf in member.tree.leaves]
    with compute_threads(rows=max(leaves)):
        document = row_document(model, row, baseline=baseline, label=options.label, top=options.top or TOP)
    document = {"row": place, **document}
    session.renderer.close()
    for renderable in row_tables(document, model.target.name):
        session.renderer.result(renderable)
    session.renderer.document("explain", document)


def read_baseline(model: FittedModel, options: ExplainOptions) -> Baseline:
    """Return the reference rows of ``--baseline``, or typical training rows."""
    if options.baseline is None:
        return Baseline.of_training_rows(model)
    return Baseline.of_table(model, read_table(options.baseline, read_options(options)))


def find_row(data: str, options: ExplainOptions, session: Session) -> tuple[int, Table]:
    """Return the number of the wanted row, from 1, and a table of it alone."""
    seen = 0
    name, _, value = (options.where or "").partition("=")
    for block in read_blocks(data, options, session, chunk_rows=options.chunk_rows, on_repair=lambda _: None):
        place = _place_of(block, name, value) if options.row is None else options.row - 1 - seen
        if 0 <= place < block.n_rows:
            return seen + place + 1, block.slice(place, place + 1)
        seen += block.n_rows
    if options.row is not None:
        raise OptionError(f"--row {options.row}: {data} has {counted(seen, 'row')}")
    raise OptionError(f"--where {options.where}: no row of {data} has '{value}' in the column '{name}'")


def row_document(
    model: FittedModel, row: Table, *, baseline: Baseline, label: str | None, top: int
) -> dict[str, Any]:
    """Return the explanation of one row, ready for JSON."""
    found = attribute_rows(model, row, baseline=baseline, label=label)
    columns = feature_columns(model.schema)
    values = {name: float(found.column(name)[0].as_py()) for name in columns}
    ours = found.column_names[len(columns) :]
    classes = [str(name) for name in model.target.classes]
    explained = found.column(ours[2])[0].as_py() if classes else None
    profiles = {profile.column: profile for profile in model.profile or ()}
    order = sorted(columns, key=lambda name: -abs(values[name]))
    code = 0 if explained is None else classes.index(explained)
    rows = contributing_rows(baseline.model, row, baseline.references, code, most=MOST_ROWS)
    return {
        "target": model.target.name,
        "class": explained,
        "prediction": float(found.column(ours[1])[0].as_py()),
        "baseline": float(found.column(ours[0])[0].as_py()),
        "interval": _interval(model, row),
        "contributions": [
            {
                "column": name,
                "value": _cell(row, name),
                "typical": typical(profiles.get(name), _cell(row, name)),
                "contribution": values[name],
            }
            for name in order[:top]
        ],
        "others": {
            "columns": len(order[top:]),
            "contribution": float(sum(values[name] for name in order[top:])),
        },
        "training_rows": _rows_document(rows, order, profiles),
    }


def row_tables(document: Mapping[str, Any], target: str) -> Iterator[RenderableType]:
    """Yield the chart of the columns and the training rows that contribute most."""
    name = f"P({target} = {document['class']})" if document["class"] is not None else target
    said = f"Row {document['row']:,}: {name} is predicted as {number(document['prediction'])}"
    if document["interval"] is not None:
        low, high = (number(document["interval"][side]) for side in ("lower", "upper"))
        said += f" ({LEVEL:.0%} interval {low} to {high})"
    yield heading(said)
    yield printable(
        f"The prediction for typical rows is {number(document['baseline'])}; the columns add the difference:"
    )
    yield _chart(document)
    rows = document["training_rows"]
    if rows["loudest"]:
        yield heading("Training rows that contribute most")
        yield _rows_table(rows)
        yield printable(
            f"{rows['centers']:,} training rows add {_signed(number(rows['contributions']))} to the "
            f"{number(document['baseline'])} of typical rows. {PRIVACY}"
        )


def _cell(row: Table, name: str) -> str | None:
    return _text(row.stored(name)[0].as_py()) if row.has_column(name) else None


def typical(profile: ColumnProfile | None, cell: str | None = None) -> str | None:
    """Return the range of the middle 80 % of a column's training values, or its most frequent level.

    A level of a boolean column is written in the words of ``cell``, such as yes for true.

    >>> from xrfm_cli.datasets import ColumnSchema
    >>> bins = {"edges": (1.0, 2.0, 5.0), "levels": (), "counts": (1, 1, 1, 1, 0), "low": 0.0, "high": 9.0}
    >>> typical(ColumnProfile(schema=ColumnSchema(name="age", kind="numeric"), **bins))
    '1 to 5'
    >>> bins = {"edges": (), "levels": ("false", "true"), "counts": (1, 3, 0), "low": None, "high": None}
    >>> typical(ColumnProfile(schema=ColumnSchema(name="owner", kind="boolean"), **bins), "no")
    '75% yes'
    """
    if profile is None or not sum(profile.counts):
        return None
    if profile.has_levels:
        best = int(np.argmax(profile.counts))
        level = profile.bin_names[best]
        if profile.schema.kind == "boolean" and cell is not None:
            words = next((words for words in BOOLEAN_WORDS if cell.lower() in words), BOOLEAN_WORDS[0])
            level = dict(zip(BOOLEAN_WORDS[0], words, strict=True)).get(level, level)
        return f"{profile.counts[best] / sum(profile.counts):.0%} {level}"
    if not profile.edges:
        return None if profile.low is None else profile.spell(profile.low)
    return f"{profile.spell(profile.edges[0])} to {profile.spell(profile.edges[-1])}"


def _chart(document: Mapping[str, Any]) -> Grid:
    table = grid("column", "value", "typical", "adds", "")
    table.columns[3].justify = "right"
    items = document["contributions"]
    others = document["others"]
    largest = max((abs(item["contribution"]) for item in items), default=0.0) or 1.0
    places = decimals([largest if items else others["contribution"]])
    for item in items:
        added = item["contribution"]
        length = bar(abs(added) / largest, width=HALF_BAR)
        shown = length.rjust(HALF_BAR) + "│" if added < 0 else " " * HALF_BAR + "│" + length
        table.add_row(
            shortened(item["column"], 18),
            shortened("missing" if item["value"] is None else item["value"], 12),
            shortened(item["typical"] or "-", 16),
            _signed(rounded(added, places)),
            shown,
            style="red" if added < 0 else "green",
        )
    if others["columns"]:
        cells = (f"{others['columns']} more", "", "", _signed(rounded(others["contribution"], places)), "")
        table.add_row(*cells, style="dim")
    return table


def _rows_table(rows: Mapping[str, Any]) -> Grid:
    table = grid("adds", "the row")
    table.columns[0].justify = "right"
    places = decimals(item["contribution"] for item in rows["loudest"])
    for item in rows["loudest"]:
        cells = list(item["cells"].items())
        shown = ", ".join(
            f"{shortened(name, 14)} {shortened('missing' if cell is None else cell, 12)}"
            for name, cell in cells[:MOST_CELLS]
        )
        rest = f", {len(cells) - MOST_CELLS} more" if len(cells) > MOST_CELLS else ""
        table.add_row(_signed(rounded(item["contribution"], places)), shown + rest)
    return table


def _rows_document(
    rows: ContributingRows, order: Sequence[str], profiles: Mapping[str, ColumnProfile]
) -> dict[str, Any]:
    """Return the training rows, with their cells in the order of the columns' contributions."""
    return {
        "centers": rows.centers,
        "contributions": rows.contributions,
        "others": rows.others,
        "loudest": [
            {
                "contribution": item.contribution,
                "cells": {
                    name: _text(_near(item.cells[name], profiles.get(name)))
                    for name in order
                    if name in item.cells
                },
            }
            for item in rows.largest
        ],
    }


def _near(cell: Any, profile: ColumnProfile | None) -> Any:
    """Return a decoded number without the rounding error of its encoding."""
    if not isinstance(cell, float) or profile is None or profile.low is None or profile.high is None:
        return cell
    largest = max(abs(profile.low), abs(profile.high))
    if largest == 0:
        return cell
    return round(cell, DIGITS - 1 - math.floor(math.log10(largest)))


def _interval(model: FittedModel, row: Table) -> dict[str, float] | None:
    """Return the prediction interval, if the model has one."""
    if model.intervals is None or not model.intervals.allows(LEVEL):
        return None
    found = model.predict(row, interval=LEVEL, per_unit=True)
    assert found.lower is not None
    assert found.upper is not None
    return {"level": LEVEL, "lower": float(found.lower[0]), "upper": float(found.upper[0])}


def _place_of(block: Table, name: str, value: str) -> int:
    """Return the first row of a block with the text ``value`` in a column; -1 if there is none."""
    if not block.has_column(name):
        hint = did_you_mean(name, block.data.column_names)
        raise OptionError(f"--where {name}={value}: {block.source} has no column '{name}'.{hint}")
    texts = pc.cast(block.stored(name), pa.string())
    return int(pc.index(texts, value).as_py())


def _signed(words: str) -> str:
    """Write a plus before a number that is not negative.

    >>> _signed("0.25"), _signed("−0.25")
    ('+0.25', '−0.25')
    """
    return minus(words) if words.startswith(("-", "−")) else f"+{words}"


def _text(cell: Any) -> str | None:
    """Return a cell as text; None if missing.

    >>> _text(0.1 + 0.2), _text("Graz"), _text(None)
    ('0.3', 'Graz', None)
    """
    if cell is None or cell == "":
        return None
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
