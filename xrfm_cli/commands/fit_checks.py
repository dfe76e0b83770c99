"""Refuse options of ``xrfm fit`` that contradict each other, before its libraries are imported."""

from __future__ import annotations

from xrfm_cli.errors import OptionError
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import declared, first_flag


def check_options(options: FitOptions) -> None:
    """Refuse options that contradict each other or have no effect."""
    if options.open_report and "html" not in options.formats.split(","):
        raise OptionError(f"--open: --format {options.formats} has no html to open in a browser")
    if options.data == options.valid == "-":
        raise OptionError("--valid -: DATA already uses standard input; give the path of a file")
    if options.from_model is None:
        if options.target is None and options.schema is None:
            raise OptionError("--target is missing: name the column to predict, such as --target price")
        if options.resume and options.storage is not None:
            raise OptionError("--resume: a study in --storage can always be continued; leave out one of them")
        return
    plain = FitOptions(data=options.data)
    for name, declaration in declared(FitOptions).items():
        is_fixed = declaration.rich_help_panel in ("Columns", "Search") or name in (
            "task",
            "positive",
            "dry_run",
        )
        if is_fixed and getattr(options, name) != getattr(plain, name):
            flag = first_flag(declaration)
            raise OptionError(f"{flag}: --from refits the model as it is; leave out one of them")
