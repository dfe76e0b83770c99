"""Infer the schema of a table from its cells; the user's options take precedence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.schema.columns import UNUSED_KINDS, ColumnSchema, Role, SchemaOverrides, TableSchema
from xrfm_cli.datasets.schema.declared import declared_column
from xrfm_cli.datasets.schema.kinds import (
    Kind,
    decide_kind,
)
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError, did_you_mean
from xrfm_cli.mentions import as_flag, option

_SINGLE_ROLES: tuple[Role, ...] = ("target", "weight", "offset", "group", "time")


def infer_schema(
    table: Table, overrides: SchemaOverrides | None = None, described: TableSchema | None = None
) -> TableSchema:
    """Infer the kind and role of every column.

    Args:
        table: the rows to infer from.
        overrides: the user's options, which take precedence over everything else.
        described: the columns of a schema file, each with the file's name as its reason. They are taken as
            given if every cell fits.

    Raises `SchemaError` for a name that is not in the table, for a column with two roles or two kinds, for a
    cell that does not fit the kind given by the user, and if no feature is left beside the target.

    >>> import pyarrow as pa
    >>> table = Table(pa.table({"age": ["41", "29", "?"], "y": ["1", "0", "1"]}))
    >>> schema = infer_schema(table, SchemaOverrides(target="y"))
    >>> [(column.name, column.kind, column.role) for column in schema.columns]
    [('age', 'numeric', 'feature'), ('y', 'numeric', 'target')]
    """
    overrides = overrides or SchemaOverrides()
    roles = _assign(table, overrides.roles(), "roles")
    kinds = _assign(table, overrides.kinds(), "kinds")
    known = {} if described is None else _described_columns(table, described)
    columns = tuple(
        _column_schema(table, name, roles.get(name), kinds.get(name), known.get(name))
        for name in table.column_names
    )
    schema = TableSchema(columns=columns)
    for role in _SINGLE_ROLES:
        holders = [column.name for column in schema.with_role(role)]
        if len(holders) > 1:
            raise SchemaError(
                f"{table.source}: the columns '{holders[0]}' and '{holders[1]}' are both the {role}; keep one"
            )
    if overrides.target is not None and described is None and not schema.features:
        schema = _rescue_a_feature(table, schema)
    return schema


def _assign(table: Table, pairs: Iterable[tuple[str, Any]], what: str) -> dict[str, Any]:
    """Map names to the given values; each name must exist and have one value."""
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name not in table.column_names:  # exact spelling: outputs and the model use it
            raise SchemaError(f"{table.source}: no column '{name}'.{did_you_mean(name, table.column_names)}")
        if given.get(name, value) != value:
            raise SchemaError(
                f"{table.source}: column '{name}' was given two {what}, {given[name]} and {value}; keep one"
            )
        given[name] = value
    return given


def _described_columns(table: Table, described: TableSchema) -> dict[str, ColumnSchema]:
    """Return the columns of a schema file, which must match those of the table."""
    known = {column.name: column for column in described.columns}
    for name, column in known.items():
        if not table.has_column(name):
            hint = did_you_mean(name, table.column_names)
            raise SchemaError(f"{table.source}: no column '{name}', which {column.reason} has.{hint}")
    for name in table.column_names:
        if name not in known:
            file = next(iter(known.values())).reason if known else "the schema file"
            raise SchemaError(
                f"{table.source}: column '{name}' is not in {file}; add it there, with the role \"dropped\" "
                "if it should not be read"
            )
    return known


def _column_schema(
    table: Table, name: str, role: Role | None, kind: Kind | None, known: ColumnSchema | None
) -> ColumnSchema:
    """Build one column, inferred unless the user or a schema file describes it."""
    if known is not None:
        role = role or known.role
    if name in table.faults and role == "dropped":
        return ColumnSchema(name=name, kind="constant", role="dropped", reason="dropped as asked")
    if name in table.faults and role == "id":
        return ColumnSchema(name=name, kind="identifier", role="id", reason=table.faults[name])
    if name in table.faults:
        raise SchemaError(f"{table.faults[name]}, or leave the column out with {option('drop')}")
    if kind is not None:
        schema = declared_column(table, ColumnSchema(name=name, kind=kind, reason=as_flag(kind)))
    elif known is not None and role not in ("dropped", "id"):
        schema = declared_column(table, known)
    elif known is not None:
        schema = known
    elif role == "dropped":
        schema = ColumnSchema(name=name, kind="constant", reason="")
    else:
        decision = decide_kind(
            name, table.stored(name), table.decimal, table.date_order, is_typed=table.is_typed
        )
        if decision.doubt and role not in ("id", "group", "target"):  # these roles are read as words
            raise SchemaError(f"{table.source}: column '{name}' {decision.doubt}")
        schema = ColumnSchema(
            name=name,
            kind=decision.kind,
            reason=decision.reason,
            datetime_format=decision.datetime_format,
            levels_count=decision.levels_count,
            unit=decision.unit,
        )
    if role == "dropped":
        return replace(schema, role="dropped", reason="dropped as asked")
    if role is None and schema.kind in UNUSED_KINDS:
        return replace(schema, role="dropped")
    return replace(schema, role=role or "feature")


def _rescue_a_feature(table: Table, schema: TableSchema) -> TableSchema:
    """If no feature is left, use whole numbers that count the rows as a feature."""
    columns = tuple(
        replace(
            column, kind="numeric", role="feature", reason=f"the only column to learn from; {column.reason}"
        )
        if column.role == "dropped"
        and column.kind == "identifier"
        and not number_values(table.column(column.name), table.decimal).unreadable.any()
        else column
        for column in schema.columns
    )
    rescued = TableSchema(columns=columns)
    if not rescued.features:
        raise SchemaError(
            f"{table.source}: no column is left to learn from: the others are constant, identify "
            f"each row or have another role; {option('numeric')} or {option('categorical')} keeps a column"
        )
    return rescued
