"""Partition columns from folder names: ``sales/year=2024/month=3/part-0.parquet``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

_MISSING = "__HIVE_DEFAULT_PARTITION__"


def folder_values(file: Path, root: Path | None) -> dict[str, str | None]:
    """Return names and values of the folders between ``root`` and a file, as text.

    >>> folder_values(Path("sales/year=2024/town=St.%20P%C3%B6lten/0.parquet"), Path("sales"))
    {'year': '2024', 'town': 'St. Pölten'}
    """
    if root is None:
        return {}
    pairs = (part.partition("=") for part in file.relative_to(root).parts[:-1])
    return {
        unquote(name): None if value == _MISSING else unquote(value) for name, sign, value in pairs if sign
    }
