"""``xrfm fit --schema FILE``: the column schema in a file to edit and reuse."""

from __future__ import annotations

from pathlib import Path

from xrfm_cli.datasets import TableSchema
from xrfm_cli.datasets.schema.columns import ROLES
from xrfm_cli.datasets.schema.kinds import KINDS
from xrfm_cli.datasets.schema.schema_file import NEEDED, OPTIONAL
from xrfm_cli.files import utf8, write_whole
from xrfm_cli.options.config_page import quoted_toml


def write_schema_file(path: Path, schema: TableSchema, *, source: str) -> None:
    """Write the columns of a table as TOML, with the inference reasons as comments."""
    lines = [
        f"# The columns of {' '.join(source.split())}, for xrfm fit --schema.",
        f"# kind: {', '.join(KINDS)}",
        f"# role: {', '.join(ROLES)}",
    ]
    for column in schema.columns:
        lines += ["", f"[columns.{quoted_toml(column.name)}]  # {' '.join(column.reason.split())}"]
        lines += [f"{key} = {quoted_toml(getattr(column, key))}" for key in NEEDED]
        lines += [f"{key} = {quoted_toml(value)}" for key in OPTIONAL if (value := getattr(column, key))]
    write_whole(path, utf8("\n".join(lines) + "\n"))
