"""Import a command's module, and with it the numerical libraries that it needs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder


def load_command(name: str, *, owns_process: bool) -> None:
    """Import the module of a command; faster in a process that runs nothing else."""
    if not owns_process:
        import_module(f"xrfm_cli.commands.{name}")
        return
    with _without_collection(), _without_pandas():
        import_module(f"xrfm_cli.commands.{name}")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Pause garbage collection, then keep the objects that exist by then out of it.

    Importing torch and scikit-learn creates some 300,000 objects that live as long as the process.
    Collections took a quarter of the time of the import, and each later full collection another 0.2 s.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _NoPandas(MetaPathFinder):
    """An import finder that says that pandas is not installed."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse pandas, and leave other packages to other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError("no command needs pandas", name=fullname)


@contextmanager
def _without_pandas() -> Iterator[None]:
    """Let Arrow and scikit-learn find no pandas, which takes half a second to import.

    Both import it if it is installed, in case they are given a data frame. No command makes one. A later
    ``import pandas`` works as usual.
    """
    if "pandas" in sys.modules:
        yield
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
        arrow = sys.modules.get("pyarrow")
        if arrow is not None:
            arrow.array([0])  # Arrow looks for pandas once, for its first array
    finally:
        sys.meta_path.remove(finder)
