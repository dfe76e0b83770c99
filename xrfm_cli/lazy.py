"""Names that a package imports on first use, so that cheap commands wait for no numerical library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def on_first_use(package: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package whose names stand in other modules, given relative to it.

    >>> on_first_use("xrfm_cli.datasets", {"Table": "table"})("Table").__name__
    'Table'
    """

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(f".{places[name]}", package), name)

    return find
