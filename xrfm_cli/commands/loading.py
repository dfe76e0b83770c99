"""Import a command's module, and with it the numerical libraries that it needs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def load_command(name: str) -> Any:
    """Import the module of a command; it has a function ``run``."""
    with without_collection():
        return import_module(f"xrfm_cli.commands.{name}")


@contextmanager
def without_collection() -> Iterator[None]:
    """Pause garbage collection, then keep the objects that exist by then out of it.

    Importing torch and scikit-learn creates some 300,000 objects that live as long as the process.
    Collections took a quarter of the time of the import, and each full one after it another 0.2 s.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
