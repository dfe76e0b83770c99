"""URLs among the options of a command: paths of copies replace them before the first check."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from xrfm_cli.commands.common.places import find_writes
from xrfm_cli.errors import OptionError
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import flag_of
from xrfm_cli.options.shared import CommonOptions, ModelOptions
from xrfm_cli.remote import check_written, exists, fetch, local_path
from xrfm_cli.terminal.rendering import Renderer
from xrfm_cli.urls import is_copy, is_url

# Options that may be URLs; the model is written by fit and read by the other commands.
READ = ("data", "valid", "from_model", "transfer_from", "compare")
FIELDS = (*READ, "model", "output")

Options = TypeVar("Options", bound=CommonOptions)


def with_copies(options: Options) -> Options:
    """Return the options with the paths of local copies in place of URLs; nothing is downloaded."""
    copies: dict[str, Any] = {}
    for name in FIELDS if isinstance(options, ModelOptions) else ():
        given = getattr(options, name, None)
        if given is not None and is_url(given):
            try:
                copies[name] = str(local_path(given))
            except OptionError as fault:
                raise OptionError(f"{flag_of(type(options), name)} {fault}".lstrip()) from None
    return replace(options, **copies) if copies else options


def fetch_inputs(options: CommonOptions, renderer: Renderer) -> None:
    """Download what a command reads from URLs, and try those that it writes to.

    Raises InputError for a URL that cannot be read or written, before any work is done.
    """
    names = READ if isinstance(options, FitOptions) else (*READ, "model")
    for name in names:
        given = getattr(options, name, None)
        if given is not None and is_copy(Path(given)):
            renderer.stage(f"downloading {given}")
            fetch(Path(given), again=True)
    for written in find_writes(options):
        if not is_copy(written.path):
            continue
        check_written(written.path)
        if getattr(options, "open_report", False) and written.name == "model":
            raise OptionError(f"--open: cannot open a report at {written.path}; leave out one of them")
        if isinstance(options, FitOptions):
            if options.resume:
                raise OptionError(
                    f"--resume: keeps its steps beside the model, so --model {options.model} must be a file "
                    "of this machine; copy it afterwards"
                )
            if not written.part and exists(written.path):
                _told_replaced(options, written.path, renderer)


def _told_replaced(options: FitOptions, path: Path, renderer: Renderer) -> None:
    if options.no_clobber:
        raise OptionError(f"--model {path}: exists already, and --no-clobber keeps it; give another name")
    renderer.note(f"{path} will be replaced; --no-clobber keeps it")


def folder_beside(model: str) -> Path:
    """Return the folder of a model, or that of temporary files if the model is at a URL."""
    return Path(tempfile.gettempdir()) if is_copy(Path(model)) else Path(model).parent
