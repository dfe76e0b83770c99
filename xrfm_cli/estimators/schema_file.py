"""The parameter ``schema``: the columns that a TOML file describes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xrfm_cli.datasets import TableSchema, TargetSchema
from xrfm_cli.datasets.schema.columns import ColumnSchema
from xrfm_cli.datasets.schema.kinds import Kind
from xrfm_cli.datasets.schema.schema_file import read_schema_file
from xrfm_cli.errors import OptionError


def described_columns(path: str | Path | None) -> tuple[ColumnSchema, ...]:
    """Return the columns in the file; none without a file."""
    if path is None:
        return ()
    found = read_schema_file(Path(path))
    if found is None:
        raise OptionError(f"--schema {path}: there is no such file; xrfm fit --schema writes one")
    return found.columns


def described_schema(
    described: Sequence[ColumnSchema], target: TargetSchema, weight: str | None, path: str | Path
) -> TableSchema:
    """Return the schema of the file, with the target and the weight that ``fit`` was given."""
    kept = [column for column in described if column.role not in ("target", "weight")]
    kind: Kind = "categorical" if target.classes else "numeric"
    kept.append(ColumnSchema(name=target.name, kind=kind, role="target", reason=str(path)))
    if weight is not None:
        kept.append(ColumnSchema(name=weight, kind="numeric", role="weight", reason=str(path)))
    return TableSchema(columns=tuple(kept))
