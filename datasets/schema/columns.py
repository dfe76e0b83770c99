"""The schema of a table: the kind and role of each column with the reason; user options take precedence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.dates import DATE_FORMATS, DATE_ORDERS, DateFormat, moment_values
from xrfm_cli.datasets.cells.plain_types import is_date, is_number, plain_array
from xrfm_cli.datasets.cells.units import common_unit
from xrfm_cli.datasets.cells.values import level_values, number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.schema.date_guesses import guess_format
from xrfm_cli.datasets.schema.date_kinds import DATE_ORDER_HINT
from xrfm_cli.datasets.schema.kinds import (
    KINDS,
    Kind,
    boolean_pair,
    decide_kind,
    find_unreadable,
)
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError, did_you_mean

Role = Literal["feature", "target", "weight", "group", "time", "id", "dropped"]
ROLES: tuple[str, ...] = get_args(Role)
_SINGLE_ROLES: tuple[Role, ...] = ("target", "weight", "group", "time")
_UNUSED_KINDS = ("identifier", "constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSchema:
    """One column: its kind, its role and the reason."""

    name: str
    kind: Kind
    role: Role = "feature"
    reason: str = ""
    datetime_format: DateFormat | None = None
    levels_count: int = 0  # distinct values seen; 0 if not counted
    unit: str = ""  # the unit of numbers that are text

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.role not in ROLES:
            raise SchemaError(f"column '{self.name}': no kind '{self.kind}' or no role '{self.role}'")
        if self.datetime_format is not None and self.datetime_format not in DATE_FORMATS:
            raise SchemaError(f"column '{self.name}': no date format '{self.datetime_format}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """All columns of a table, in order."""

    columns: tuple[ColumnSchema, ...]

    @property
    def features(self) -> tuple[ColumnSchema, ...]:
        """Return the columns that a model uses.

        A ``time`` column with dates is one of them: its calendar parts are features, but its elapsed time is
        not, because future rows lie outside the training range.
        """
        return tuple(
            column
            for column in self.columns
            if (column.role == "feature" and column.kind not in _UNUSED_KINDS)
            or (column.role == "time" and column.kind == "datetime")
        )

    def column(self, name: str) -> ColumnSchema:
        """Return one column by its name."""
        for column in self.columns:
            if column.name == name:
                return column
        hint = did_you_mean(name, (column.name for column in self.columns))
        raise SchemaError(f"no column '{name}' in the schema.{hint}")

    def with_role(self, role: Role) -> tuple[ColumnSchema, ...]:
        """Return the columns with one role, in order."""
        return tuple(column for column in self.columns if column.role == role)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as plain values for a JSON document."""
        return {"columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> TableSchema:
        """Return the schema that `to_json` wrote."""
        return cls(columns=tuple(ColumnSchema(**column) for column in document["columns"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaOverrides:
    """The user's options for columns, which take precedence over inference."""

    target: str | None = None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    ids: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    datetime: tuple[str, ...] = ()

    def roles(self) -> Iterator[tuple[str, Role]]:
        """Yield each named column with the role given to it."""
        single: tuple[tuple[str | None, Role], ...] = (
            (self.target, "target"),
            (self.weight, "weight"),
            (self.group, "group"),
            (self.time, "time"),
        )
        yield from ((name, role) for name, role in single if name is not None)
        yield from ((name, "id") for name in self.ids)
        yield from ((name, "dropped") for name in self.drop)

    def kinds(self) -> Iterator[tuple[str, Kind]]:
        """Yield each named column with the kind given to it."""
        yield from ((name, "categorical") for name in self.categorical)
        yield from ((name, "numeric") for name in self.numeric)
        yield from ((name, "datetime") for name in self.datetime)


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
        raise SchemaError(f"{table.faults[name]}, or leave the column out with --drop")
    if kind is not None:
        schema = _declared(table, ColumnSchema(name=name, kind=kind, reason=f"--{kind}"))
    elif known is not None and role not in ("dropped", "id"):
        schema = _declared(table, known)
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
    if role is None and schema.kind in _UNUSED_KINDS:
        return replace(schema, role="dropped")
    return replace(schema, role=role or "feature")


def _declared(table: Table, told: ColumnSchema) -> ColumnSchema:
    """Build a column whose kind was given by an option or file, which is its reason; every cell must fit."""
    name, kind, column = told.name, told.kind, table.column(told.name)
    way_out = f"leave out {told.reason} {name}" if told.reason.startswith("--") else f"change {told.reason}"
    if kind in _UNUSED_KINDS and told.role == "feature":
        raise SchemaError(
            f"{told.reason}: column '{name}' is a feature, but a model cannot use kind \"{kind}\"; give "
            'it another kind, or the role "dropped"'
        )
    levels = pa.array([], pa.string())
    if kind in ("numeric", "boolean", "categorical"):
        keeps_words = table.is_typed and kind == "categorical"
        levels = word_levels(column, table.decimal, is_typed=keeps_words).values
    if kind == "boolean" and boolean_pair(levels) is None:
        raise SchemaError(
            f"{table.source}: column '{name}' does not have two values that mean no and yes; {way_out}"
        )
    date_format = told.datetime_format
    if kind == "datetime" and date_format is None:
        date_format = _declared_format(table, name)
    unit = told.unit or (common_unit(levels) if kind == "numeric" else "")
    row = find_unreadable(column, kind, table.decimal, date_format, unit)
    if row >= 0:
        what = "number" if kind == "numeric" else "date"
        raise SchemaError(
            f"{table.source}: row {row + 1}, column '{name}': '{column[row].as_py()}' is not a {what}; "
            f"fix or empty the cell, or {way_out}"
        )
    count = len(levels) if kind == "categorical" else 0
    return replace(told, datetime_format=date_format, levels_count=count, unit=unit)


def _declared_format(table: Table, name: str) -> DateFormat:
    """Return the date format of a column that the user declares as dates."""
    array = plain_array(table.column(name))
    if is_date(array.type):
        return "iso"
    numbers = number_values(array, table.decimal)
    finite = numbers.values[np.isfinite(numbers.values)]
    if len(finite) and not numbers.unreadable.any():
        return _numeric_format(finite)
    guess = None if is_number(array.type) else guess_format(level_values(array).values, table.date_order)
    if guess is not None and guess.doubt:
        raise SchemaError(f"{table.source}: column '{name}' {guess.doubt}{DATE_ORDER_HINT}")
    if guess is None:
        formats: tuple[DateFormat, ...] = ("iso", "day first", "month first", "month name", "time")
        if table.date_order is not None:
            formats = ("iso", DATE_ORDERS[table.date_order], "month name", "time")
        for known in formats:
            moments = moment_values(array, known)
            if moments.valid.sum() > 0.5 * len(array):
                return known
        return "iso"
    return guess.date_format


def _numeric_format(finite: np.ndarray) -> DateFormat:
    """Guess the unit of whole numbers that stand for dates, from their size."""
    size = float(np.abs(finite).max())
    if finite.min() >= 1e7 and size < 3e7 and (np.trunc(finite) == finite).all():
        return "digits"
    scales: tuple[tuple[float, DateFormat], ...] = (
        (1e11, "epoch s"),
        (1e14, "epoch ms"),
        (1e17, "epoch us"),
    )
    return next((name for limit, name in scales if size < limit), "epoch ns")


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
            "each row or have another role; --numeric or --categorical keeps a column"
        )
    return rescued


def check_columns(table: Table, schema: TableSchema, *, needed: Iterable[Role] = ("feature",)) -> None:
    """Raise `SchemaError` if the table lacks a column of the needed roles; extra columns are ignored.

    >>> import pyarrow as pa
    >>> schema = TableSchema(columns=(ColumnSchema(name="fee", kind="numeric"),))
    >>> check_columns(Table(pa.table({"fees": [1.0]}), "a.csv"), schema)
    Traceback (most recent call last):
    xrfm_cli.errors.SchemaError: a.csv: no column 'fee', which the model needs. Did you mean 'fees'?
    """
    wanted = set(needed)
    names = [column.name for column in schema.columns if column.role in wanted and column.role != "feature"]
    if "feature" in wanted:
        names += [column.name for column in schema.features]
    missing = [name for name in names if not table.has_column(name)]
    if missing:
        hint = did_you_mean(missing[0], table.column_names)
        others = f" ({len(missing) - 1} more are missing)" if len(missing) > 1 else ""
        raise SchemaError(f"{table.source}: no column '{missing[0]}', which the model needs{others}.{hint}")
