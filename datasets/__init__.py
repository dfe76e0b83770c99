"""A path becomes a table: readers, schema, target, encoders, splits and the sample tables.

    table = read_table("cars.csv")
    schema = infer_schema(table, SchemaOverrides(target="price"))
    target = infer_target(table, "price")

Built on numpy and pyarrow; nothing here imports torch, and scikit-learn is imported when rows are split.
"""

from __future__ import annotations

from xrfm_cli.datasets.encoders import (
    ColumnGroup,
    Encoder,
    EncodingConfig,
    fit_encoder,
)
from xrfm_cli.datasets.joining import concatenate_tables
from xrfm_cli.datasets.kinds import Kind
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
from xrfm_cli.datasets.typing_columns import typed_table
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
    "check_columns",
    "concatenate_tables",
    "drop_rows_without_target",
    "encode_target",
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
    "typed_table",
]
