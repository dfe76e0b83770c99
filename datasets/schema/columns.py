"""The schema of a table: the kind and role of each column, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from xrfm_cli.datasets.cells.dates import DATE_FORMATS, DateFormat
from xrfm_cli.datasets.schema.kinds import (
    KINDS,
    Kind,
)
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError, did_you_mean

Role = Literal["feature", "target", "weight", "offset", "group", "time", "id", "dropped"]
ROLES: tuple[str, ...] = get_args(Role)
UNUSED_KINDS = ("identifier", "constant")


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
            if (column.role == "feature" and column.kind not in UNUSED_KINDS)
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
    offset: str | None = None
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
            (self.offset, "offset"),
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
