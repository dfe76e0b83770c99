"""Parse text columns once, for callers that encode the same rows many times."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.plain_types import is_text, plain_array
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.encoders.free_text import measure_texts
from xrfm_cli.datasets.schema.columns import ColumnSchema, TableSchema
from xrfm_cli.datasets.table import Table
from xrfm_cli.repairs import Repair, RepairKind, merge_repairs

_UNREADABLE: dict[str, RepairKind] = {"numeric": "unreadable number", "datetime": "unreadable date"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TypedRows:
    """Rows whose text was parsed once, and which of their cells were unreadable."""

    table: Table
    unreadable: dict[str, NDArray[np.bool_]] = field(default_factory=dict)  # (n,), of columns that have any
    kinds: dict[str, str] = field(default_factory=dict)  # of these columns

    def take(self, rows: NDArray[np.int64]) -> TypedRows:
        """Return some of the rows, in this order."""
        kept = {name: cells[rows] for name, cells in self.unreadable.items()}
        return replace(self, table=self.table.take(rows), unreadable=kept)

    def with_unreadable(self, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
        """Return repairs of these rows as encoding the original text would count them.

        In the typed columns, an unreadable cell is a missing one.
        """
        counts = {name: int(cells.sum()) for name, cells in self.unreadable.items() if cells.any()}
        if not counts:
            return repairs
        counted, unreadable = list[Repair](), list[Repair]()
        for repair in repairs:
            hidden = counts.get(repair.column, 0) if repair.what == "missing" else 0
            counted.append(replace(repair, count=repair.count - hidden))
            if hidden:
                unreadable.append(Repair(repair.column, _UNREADABLE[self.kinds[repair.column]], hidden))
        order = {repair.column: place for place, repair in enumerate(repairs)}
        counted = sorted([*counted, *unreadable], key=lambda repair: order[repair.column])
        return merge_repairs(counted)


def typed_table(table: Table, schema: TableSchema) -> Table:
    """Convert the features of a table to the Arrow types of their kinds.

    Numbers become float64, dates timestamps, categories dictionaries of canonical text, and free text its
    length and hashed words. Encoding the result gives the same matrix, bit for bit, but text that was
    unreadable now counts as missing.

    >>> from xrfm_cli.datasets import infer_schema
    >>> table = Table(pa.table({"age": ["41", "29"]}))
    >>> typed_table(table, infer_schema(table)).column("age").type
    DataType(double)
    """
    return type_rows(table, schema).table


def type_rows(table: Table, schema: TableSchema, *, only: Container[str] | None = None) -> TypedRows:
    """Return the rows of `typed_table` and the unreadable cells; ``only`` names the columns to parse."""
    typed: dict[str, pa.Array | pa.ChunkedArray] = {}
    unreadable: dict[str, NDArray[np.bool_]] = {}
    kinds: dict[str, str] = {}
    for column in schema.features:
        name = column.name
        if only is not None and name not in only:
            continue
        if table.has_column(name) and is_text(plain_array(table.column(name).slice(0, 1)).type):
            typed[name], bad = _typed(table, column)
            if table.scratch is not None:
                typed[name] = table.scratch.column(typed[name])
            if bad is not None and bad.any():
                unreadable[name], kinds[name] = bad, column.kind
    names = table.column_names
    cells = [typed.get(name, old) for name, old in zip(names, table.data.columns, strict=True)]
    return TypedRows(
        table=replace(table, data=pa.table(cells, names=names)), unreadable=unreadable, kinds=kinds
    )


def _typed(table: Table, column: ColumnSchema) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """Convert one text column to the type of its kind; also return its unreadable cells, if possible."""
    cells = table.column(column.name)
    if column.kind == "numeric":
        numbers = number_values(cells, table.decimal, column.unit)
        return pa.array(numbers.values, from_pandas=True), numbers.unreadable
    if column.kind == "datetime":
        moments = moment_values(cells, column.datetime_format or "iso")
        kind = pa.time64("us") if column.datetime_format == "time" else pa.timestamp("us")
        return pa.array(moments.values, mask=~moments.valid).cast(kind), moments.unreadable
    if column.kind in ("categorical", "boolean"):
        levels = word_levels(cells, table.decimal, is_typed=table.is_typed)
        codes = pa.array(levels.codes.astype(np.int32), mask=levels.codes < 0)
        return pa.DictionaryArray.from_arrays(codes, levels.values), None
    return (measure_texts(cells) if column.kind == "text" else plain_array(cells)), None
