"""Refuse options of ``xrfm fit`` that contradict each other, before its libraries are imported."""

from __future__ import annotations

from dataclasses import fields

from xrfm_cli.errors import OptionError
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import Setting


def check_options(options: FitOptions) -> None:
    """Refuse options that contradict each other or have no effect."""
    if options.data == options.valid == "-":
        raise OptionError("--valid -: DATA already uses standard input; give the path of a file")
    if options.from_model is None:
        if options.target is None and options.schema is None:
            raise OptionError("--target is missing: name the column to predict, such as --target price")
        if options.resume and options.storage is not None:
            raise OptionError("--resume: a study in --storage can always be continued; leave out one of them")
        return
    for item in fields(options):
        setting: Setting = item.metadata["setting"]
        fresh = setting.section in ("Columns", "Search") or item.name in ("task", "positive", "dry_run")
        if fresh and getattr(options, item.name) != item.default:
            raise OptionError(f"{setting.flags[0]}: --from refits the model as it is; leave out one of them")
