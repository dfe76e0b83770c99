"""Read a schema file that ``xrfm fit --schema`` wrote and the user may have edited."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xrfm_cli.datasets.cells.dates import DATE_FORMATS
from xrfm_cli.datasets.schema.columns import ROLES, ColumnSchema, TableSchema
from xrfm_cli.datasets.schema.kinds import KINDS
from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.mentions import option

CHOICES = {"kind": KINDS, "role": ROLES, "datetime_format": tuple(DATE_FORMATS)}
NEEDED, OPTIONAL = ("kind", "role"), ("datetime_format", "unit")


def read_schema_file(path: Path) -> TableSchema | None:
    """Return the columns of a schema file, each with the file as its reason; None if the file does not exist.

    Raises OptionError, naming the column, for anything that the command would not write.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise OptionError(f"{option('schema', path)}: cannot be read ({fault.strerror})") from fault
    except UnicodeDecodeError as fault:
        raise OptionError(
            f"{option('schema', path)}: is not UTF-8; give a TOML file as {option('schema')} writes it"
        ) from fault
    except tomllib.TOMLDecodeError as fault:
        raise OptionError(f"{option('schema', path)}: is not TOML: {fault}") from fault
    columns = document.pop("columns", None)
    if document or not isinstance(columns, dict):
        named = f"'{next(iter(document))}'" if document else "no table 'columns'"
        raise OptionError(
            f"{option('schema', path)}: has {named}; describe each column as "
            '[columns."name"] with a kind and a role'
        )
    return TableSchema(columns=tuple(_column(path, name, facts) for name, facts in columns.items()))


def _column(path: Path, name: str, facts: Any) -> ColumnSchema:
    """Parse one column of the file."""
    where = f"{option('schema', path)}: column '{name}'"
    if not isinstance(facts, Mapping):
        raise OptionError(f"{where} has no kind and role")
    for key in NEEDED:
        if key not in facts:
            raise OptionError(f"{where} has no {key}; it is one of {', '.join(CHOICES[key])}")
    for key, value in facts.items():
        if key not in NEEDED + OPTIONAL:
            raise OptionError(f"{where}: no '{key}'.{did_you_mean(key, NEEDED + OPTIONAL)}")
        if not isinstance(value, str) or value not in CHOICES.get(key, (value,)):
            hint = did_you_mean(str(value), CHOICES.get(key, ()))
            raise OptionError(f"{where}: {key} is one of {', '.join(CHOICES.get(key, ('a text',)))}.{hint}")
    return ColumnSchema(name=name, reason=str(path), **facts)
