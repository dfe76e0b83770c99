"""Match a base model with the table of a new fit: find shared columns, and refuse a useless base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xrfm_cli.datasets import ColumnSchema, Table, TableSchema, TargetSchema, encode_target
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.mentions import option
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.trained_rows import hash_rows
from xrfm_cli.tuning.transfer.base import Base, SharedColumns

ASKED = "dropped as asked"  # the reason of a column that the user leaves out
SAME_SHARE = 0.5  # share of rows that the base was fitted on: with more, its predictions are of no use


def match_base(
    model: FittedModel, *, name: str, table: Table, schema: TableSchema, target: TargetSchema
) -> Base:
    """Return the base of a fit; raise a one-line OptionError if it cannot help.

    A column is shared if both have it with the same kind of cells. With few rows, a column may seem to have
    another kind, such as numbers with few values. So numbers and categories of the base are shared if the
    cells can be read as such. A column that is constant here is still useful to the base.
    """
    place = option("transfer_from", name)
    read = {column.name: column for column in model.schema.features if column.name in model.columns_read}
    if target.name in read:
        raise OptionError(
            f"{place}: it reads '{target.name}', the target of {table.source}, which is unknown when this "
            f"model predicts. Fit the base with {option('drop', target.name)}."
        )
    own = {column.name: column for column in schema.columns if _is_readable(column)}
    shared: list[str] = []
    other: list[str] = []
    for column in read.values():
        if column.name in own:
            fits = _fits(column, own[column.name], table)
            (shared if fits else other).append(column.name)
    features = {column.name for column in schema.features}
    if not features & set(shared):
        kinds = f", and {len(other)} of its columns have other kinds of cells here" if other else ""
        raise OptionError(
            f"{place}: shares no column with {table.source}{kinds}. It reads {', '.join(list(read)[:6])}."
        )
    found = SharedColumns(
        shared=tuple(shared),
        absent=tuple(column for column in read if column not in own),
        of_other_kind=tuple(other),
        extra=tuple(column.name for column in schema.features if column.name not in read),
    )
    is_rate = bool(model.schema.with_role("offset"))  # its predictions are no values of the target
    same = model.target.name == target.name and model.target.task == target.task and not is_rate
    base = Base.of(
        model,
        name=name,
        found=found,
        taken=[column.name for column in schema.columns],
        predicts_target=same and tuple(model.target.classes) == tuple(target.classes),
    )
    return replace(base, known_rows=_known_rows(place, base, table))


def _is_readable(column: ColumnSchema) -> bool:
    """Return whether the base may read a column; only columns that the user left out are excluded.

    Few rows may have one value in a column, or no value twice.
    """
    is_left_out = column.role == "dropped" and column.kind in ("constant", "identifier")
    return column.role in ("feature", "time") or (is_left_out and column.reason != ASKED)


def _fits(ours: ColumnSchema, column: ColumnSchema, table: Table) -> bool:
    """Return whether cells of a table's column can be read as the kind of the base's column."""
    if ours.kind == column.kind or column.kind == "constant":
        return True
    if ours.kind == "numeric":
        numbers = number_values(table.column(column.name), table.decimal, ours.unit)
        return not numbers.unreadable.any() and bool(np.isfinite(numbers.values).any())
    return ours.kind == "categorical" and column.kind in ("boolean", "numeric")


def _known_rows(place: str, base: Base, table: Table) -> int:
    """Return how many rows the base was fitted on; refuse a table of such rows, whose targets it knows."""
    trained, target = base.model.trained, base.model.target
    if trained is None or not table.has_column(target.name):
        return 0
    try:
        y_true = encode_target(table, target)
    except InputError:  # a column of that name has other contents, so the rows differ
        return 0
    known = np.flatnonzero(y_true >= 0 if target.classes else np.isfinite(y_true))
    if not len(known):
        return 0
    own = table.take(known)
    overlap = trained.overlap(hash_rows(own, base.model.schema, y_true[known]))
    if overlap.is_leak and overlap.trained >= SAME_SHARE * overlap.rows:
        about = "about " if overlap.is_estimate else ""
        raise OptionError(
            f"{place}: was fitted on {about}{overlap.trained:,} of the {overlap.rows:,} rows of "
            f"{table.source}, so its predictions of them are no help. Give a model of another table."
        )
    return overlap.trained if overlap.is_leak else 0
