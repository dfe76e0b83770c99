"""Load tabular data: readers, schema, target, encoders, splits and the sample tables.

    table = read_table("cars.csv")
    schema = infer_schema(table, SchemaOverrides(target="price"))
    target = infer_target(table, "price")

Built on numpy and pyarrow. Nothing here imports torch, and scikit-learn is imported only when rows are split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xrfm_cli.lazy import on_first_use

if TYPE_CHECKING:
    from xrfm_cli.datasets.encoders.fitting import fit_encoder
    from xrfm_cli.datasets.encoders.table_encoder import (
        ColumnGroup,
        Encoder,
        EncodingConfig,
    )
    from xrfm_cli.datasets.encoders.typed_rows import TypedRows, type_rows, typed_table
    from xrfm_cli.datasets.joining import concatenate_tables
    from xrfm_cli.datasets.readers import ReadOptions, read_chunks, read_table
    from xrfm_cli.datasets.sample_tables import sample_path
    from xrfm_cli.datasets.schema.columns import (
        ColumnSchema,
        Role,
        SchemaOverrides,
        TableSchema,
        check_columns,
    )
    from xrfm_cli.datasets.schema.inference import infer_schema
    from xrfm_cli.datasets.schema.kinds import Kind
    from xrfm_cli.datasets.schema.roles import read_groups, read_offset, read_time, read_weights
    from xrfm_cli.datasets.schema.splits import make_folds, make_holdout
    from xrfm_cli.datasets.schema.target import (
        TargetSchema,
        drop_rows_without_target,
        encode_target,
        infer_target,
    )
    from xrfm_cli.datasets.schema.target_leakage import find_copies
    from xrfm_cli.datasets.schema.unread_columns import UnreadColumns
    from xrfm_cli.datasets.table import Table
    from xrfm_cli.repairs import Repair, merge_repairs

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
    "read_offset",
    "read_table",
    "read_time",
    "read_weights",
    "sample_path",
    "type_rows",
    "typed_table",
]

_PLACES = {
    "ColumnGroup": "encoders.table_encoder",
    "ColumnSchema": "schema.columns",
    "Encoder": "encoders.table_encoder",
    "EncodingConfig": "encoders.table_encoder",
    "Kind": "schema.kinds",
    "ReadOptions": "readers",
    "Repair": ".repairs",
    "Role": "schema.columns",
    "SchemaOverrides": "schema.columns",
    "Table": "table",
    "TableSchema": "schema.columns",
    "TargetSchema": "schema.target",
    "UnreadColumns": "schema.unread_columns",
    "check_columns": "schema.columns",
    "concatenate_tables": "joining",
    "drop_rows_without_target": "schema.target",
    "encode_target": "schema.target",
    "find_copies": "schema.target_leakage",
    "fit_encoder": "encoders.fitting",
    "infer_schema": "schema.inference",
    "infer_target": "schema.target",
    "make_folds": "schema.splits",
    "make_holdout": "schema.splits",
    "merge_repairs": ".repairs",
    "read_chunks": "readers",
    "read_groups": "schema.roles",
    "read_offset": "schema.roles",
    "read_table": "readers",
    "read_time": "schema.roles",
    "read_weights": "schema.roles",
    "sample_path": "sample_tables",
    "TypedRows": "encoders.typed_rows",
    "type_rows": "encoders.typed_rows",
    "typed_table": "encoders.typed_rows",
}

__getattr__ = on_first_use(__name__, _PLACES)  # `xrfm --help` needs only the errors
