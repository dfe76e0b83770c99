"""A path becomes a table: readers, schema, target, encoders, splits and the sample tables.

    table = read_table("cars.csv")
    schema = infer_schema(table, SchemaOverrides(target="price"))
    target = infer_target(table, "price")

Built on numpy and pyarrow; nothing here imports torch, and scikit-learn is imported when rows are split.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xrfm_cli.datasets.encoders import (
        ColumnGroup,
        Encoder,
        EncodingConfig,
        fit_encoder,
    )
    from xrfm_cli.datasets.joining import concatenate_tables
    from xrfm_cli.datasets.kinds import Kind
    from xrfm_cli.datasets.leaks import find_copies
    from xrfm_cli.datasets.readers import ReadOptions, read_chunks, read_table
    from xrfm_cli.datasets.repairs import Repair, merge_repairs
    from xrfm_cli.datasets.sample_tables import sample_path
    from xrfm_cli.datasets.schema import (
        ColumnSchema,
        Role,
        SchemaOverrides,
        TableSchema,
        check_columns,
        infer_schema,
    )
    from xrfm_cli.datasets.splits import make_folds, make_holdout
    from xrfm_cli.datasets.table import Table
    from xrfm_cli.datasets.target import (
        TargetSchema,
        drop_rows_without_target,
        encode_target,
        infer_target,
    )
    from xrfm_cli.datasets.typing_columns import TypedRows, type_rows, typed_table
    from xrfm_cli.datasets.unread import UnreadColumns
    from xrfm_cli.datasets.weights import read_groups, read_time, read_weights

__all__ = [
    "ColumnGroup",
    "ColumnSchema",
    "Encoder",
    "EncodingConfig",
    "Kind",
    "ReadOptions",
    "Repair",
    "Role",
    "SchemaOverrides",
    "Table",
    "TableSchema",
    "TargetSchema",
    "TypedRows",
    "UnreadColumns",
    "check_columns",
    "concatenate_tables",
    "drop_rows_without_target",
    "encode_target",
    "find_copies",
    "fit_encoder",
    "infer_schema",
    "infer_target",
    "make_folds",
    "make_holdout",
    "merge_repairs",
    "read_chunks",
    "read_groups",
    "read_table",
    "read_time",
    "read_weights",
    "sample_path",
    "type_rows",
    "typed_table",
]

_PLACES = {
    "ColumnGroup": "encoders",
    "ColumnSchema": "schema",
    "Encoder": "encoders",
    "EncodingConfig": "encoders",
    "Kind": "kinds",
    "ReadOptions": "readers",
    "Repair": "repairs",
    "Role": "schema",
    "SchemaOverrides": "schema",
    "Table": "table",
    "TableSchema": "schema",
    "TargetSchema": "target",
    "UnreadColumns": "unread",
    "check_columns": "schema",
    "concatenate_tables": "joining",
    "drop_rows_without_target": "target",
    "encode_target": "target",
    "find_copies": "leaks",
    "fit_encoder": "encoders",
    "infer_schema": "schema",
    "infer_target": "target",
    "make_folds": "splits",
    "make_holdout": "splits",
    "merge_repairs": "repairs",
    "read_chunks": "readers",
    "read_groups": "weights",
    "read_table": "readers",
    "read_time": "weights",
    "read_weights": "weights",
    "sample_path": "sample_tables",
    "TypedRows": "typing_columns",
    "type_rows": "typing_columns",
    "typed_table": "typing_columns",
}


def __getattr__(name: str) -> object:
    """A name is imported when it is first used: `xrfm --help` needs the errors alone."""
    if name not in _PLACES:
        raise AttributeError(f"module 'xrfm_cli.datasets' has no attribute '{name}'")
    return getattr(import_module(f"xrfm_cli.datasets.{_PLACES[name]}"), name)
