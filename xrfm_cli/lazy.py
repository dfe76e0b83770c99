"""Names that a package imports on first use, so that cheap commands load no numerical library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def on_first_use(package: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package whose names are in other modules, given relative to it.

    It raises ImportError, with the reason, if such a module needs something that a library does not have.

    >>> on_first_use("xrfm_cli.datasets", {"Table": "table"})("Table").__name__
    'Table'
    """

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        try:
            return getattr(import_module(f".{places[name]}", package), name)
        except AttributeError as fault:  # Python would say that this package lacks the name
            raise ImportError(f"cannot import {package}.{places[name]}: {fault}") from fault

    return find
