"""Text columns parsed once, for a caller that encodes the same rows many times."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from xrfm_cli.datasets.dates import moment_values
from xrfm_cli.datasets.plain_types import is_text, plain_array
from xrfm_cli.datasets.schema import ColumnSchema, TableSchema
from xrfm_cli.datasets.table import Table
from xrfm_cli.datasets.values import number_values
from xrfm_cli.datasets.words import word_levels


def typed_table(table: Table, schema: TableSchema) -> Table:
    """The table with its features in the Arrow types that their kinds ask for.

    Numbers become float64, dates timestamps, categories dictionaries of canonical text. Encoding the result
    gives the same matrix, bit for bit, but text that was unreadable now counts as missing.

    >>> from xrfm_cli.datasets.schema import infer_schema
    >>> table = Table(pa.table({"age": ["41", "29"]}))
    >>> typed_table(table, infer_schema(table)).column("age").type
    DataType(double)
    """
    typed = {
        column.name: _typed(table, column)
        for column in schema.features
        if table.has_column(column.name) and is_text(plain_array(table.column(column.name).slice(0, 1)).type)
    }
    names = table.column_names
    cells = [typed.get(name, old) for name, old in zip(names, table.data.columns, strict=True)]
    return replace(table, data=pa.table(cells, names=names))


def _typed(table: Table, column: ColumnSchema) -> pa.Array:
    """One text column in the type of its kind."""
    cells = table.column(column.name)
    if column.kind == "numeric":
        return pa.array(number_values(cells, table.decimal, column.unit).values, from_pandas=True)
    if column.kind == "datetime":
        moments = moment_values(cells, column.datetime_format or "iso")
        kind = pa.time64("us") if column.datetime_format == "time" else pa.timestamp("us")
        return pa.array(moments.values, mask=~moments.valid).cast(kind)
    if column.kind in ("categorical", "boolean"):
        levels = word_levels(cells, table.decimal, is_typed=table.is_typed)
        codes = pa.array(levels.codes, mask=levels.codes < 0).cast(pa.int32())
        return pa.DictionaryArray.from_arrays(codes, levels.values)
    return plain_array(cells)
