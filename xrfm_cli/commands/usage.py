"""Refuse options that contradict each other, before a command's libraries are imported."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from xrfm_cli.datasets.files.opening import ARROW_ENDINGS, PARQUET_ENDINGS
from xrfm_cli.errors import OptionError
from xrfm_cli.options.declarations import CommonOptions, ExplainOptions, PredictOptions
from xrfm_cli.options.devices import check_device_name
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import Setting

OUTPUT_ENDINGS = (".csv", PARQUET_ENDINGS[0], *ARROW_ENDINGS)


def check_usage(options: CommonOptions) -> None:
    """Refuse options that contradict each other or have no effect."""
    if isinstance(options, FitOptions):
        _check_fit(options)
    elif isinstance(options, PredictOptions):
        _check_predict(options)
    elif isinstance(options, ExplainOptions):
        _check_explain(options)
    check_device_name(getattr(options, "device", "auto"))


def _check_predict(options: PredictOptions) -> None:
    if options.as_json and options.output is None:
        raise OptionError("--json needs --output: both would write to standard output")
    _check_ending(options.output)


def _check_explain(options: ExplainOptions) -> None:
    if options.data is None and (options.output is not None or options.ids):
        raise OptionError("--output and --id need DATA, the rows to attribute")
    if options.as_json and options.data is not None and options.output is None:
        raise OptionError("--json with DATA needs --output: both would write to standard output")
    _check_ending(options.output)


def _check_ending(path: str | None) -> None:
    """Refuse an output file with an unknown ending."""
    if path is not None and Path(path).suffix not in OUTPUT_ENDINGS:
        raise OptionError(
            f"{path}: must end in .csv, .parquet or .arrow; the ending selects the format of --output"
        )


def _check_fit(options: FitOptions) -> None:
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
