"""Refuse options that contradict each other, before a command's libraries are imported."""

from __future__ import annotations

from pathlib import Path

from xrfm_cli.datasets.files.opening import ARROW_ENDINGS, PARQUET_ENDINGS
from xrfm_cli.errors import OptionError
from xrfm_cli.options.declarations import EvaluateOptions, InfoOptions, PredictOptions
from xrfm_cli.options.devices import check_device_name
from xrfm_cli.options.explain_options import ExplainOptions
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import declared, first_flag
from xrfm_cli.options.shared import CommonOptions

OF_TABLES = (  # options of predict that do not work with --each-line
    "output", "check_drift", "workers", "scheduler", "skip_rows", "header_rows", "skip_footer", "comment",
    "quote", "escape",
)  # fmt: skip
OUTPUT_ENDINGS = (".csv", PARQUET_ENDINGS[0], *ARROW_ENDINGS)


def check_usage(options: CommonOptions) -> None:
    """Refuse options that contradict each other or have no effect."""
    if isinstance(options, FitOptions):
        _check_fit(options)
    elif isinstance(options, PredictOptions):
        _check_predict(options)
    elif isinstance(options, ExplainOptions):
        _check_explain(options)
    elif isinstance(options, EvaluateOptions) and options.fail_worse and options.compare is None:
        raise OptionError("--fail-worse: needs --compare, the model to be compared with")
    elif isinstance(options, InfoOptions) and options.card and options.as_json:
        raise OptionError("--card is Markdown; leave out --json")
    check_device_name(getattr(options, "device", "auto"))


def _check_predict(options: PredictOptions) -> None:
    if options.keep_columns and options.ids:
        raise OptionError("--id: --keep-columns copies every column; leave out one of them")
    _check_engine(options)
    if options.each_line:
        _check_each_line(options)
    elif options.as_json and options.output is None:
        raise OptionError("--json needs --output: both would write to standard output")
    _check_ending(options.output)


def _check_each_line(options: PredictOptions) -> None:
    """Refuse options of whole tables with ``--each-line``."""
    if options.data != "-":
        raise OptionError(f"--each-line: reads standard input; write - in place of {options.data}")
    for name in OF_TABLES:
        if getattr(options, name) is not None:
            raise OptionError(f"--each-line: --{name.replace('_', '-')} is for whole tables; leave it out")
    if options.as_json:
        raise OptionError("--each-line: a line that is a JSON object gets one; leave out --json")


def _check_explain(options: ExplainOptions) -> None:
    if options.data is None and (options.output is not None or options.ids):
        raise OptionError("--output and --id need DATA, the rows to attribute")
    _check_row(options)
    is_of_one_row = options.row is not None or options.where is not None
    if options.as_json and options.data is not None and options.output is None and not is_of_one_row:
        raise OptionError("--json with DATA needs --output: both would write to standard output")
    _check_ending(options.output)


def _check_row(options: ExplainOptions) -> None:
    """Refuse options for rows without DATA, and options that contradict each other."""
    wanted = {
        "--row": options.row,
        "--where": options.where,
        "--baseline": options.baseline,
        "--class": options.label,
    }
    given = [name for name, value in wanted.items() if value is not None]
    if given and options.data is None:
        raise OptionError(f"{given[0]} needs DATA, the rows to explain: xrfm explain DATA {given[0]} ...")
    if options.row is not None and options.where is not None:
        raise OptionError("--row and --where name one row each: give one of them")
    if options.row is None and options.where is None:
        if options.top is not None:
            raise OptionError("--top is for --row and --where, which show one row")
        return
    if options.where is not None and "=" not in options.where:
        raise OptionError(f"--where {options.where}: write COLUMN=VALUE, such as --where id=42")
    if options.open_report:
        raise OptionError("--open: --row and --where write no page; leave out one of them")
    if options.output is not None or options.ids:
        raise OptionError(
            "--output and --id are for the attributions of all rows: leave out --row and --where"
        )


def _check_ending(path: str | None) -> None:
    """Refuse an output file with an unknown ending."""
    if path is not None and Path(path).suffix not in OUTPUT_ENDINGS:
        raise OptionError(
            f"{path}: must end in .csv, .parquet or .arrow; the ending selects the format of --output"
        )


def _check_engine(options: FitOptions | PredictOptions) -> None:
    """Refuse a cluster without an address, or with workers of this machine."""
    if (options.engine == "dask") != (options.scheduler is not None):
        raise OptionError("--engine dask and --scheduler ADDRESS need each other; give both or none")
    if options.engine == "dask" and options.workers is not None:
        raise OptionError("--workers: --engine dask has the workers of its cluster; leave out one of them")


def _check_fit(options: FitOptions) -> None:
    if options.open_report and "html" not in options.formats.split(","):
        raise OptionError(f"--open: --format {options.formats} has no html to open in a browser")
    _check_engine(options)
    if options.data == options.valid == "-":
        raise OptionError("--valid -: DATA already uses standard input; give the path of a file")
    if options.max_model_size is not None and options.transfer_from is not None:
        raise OptionError(
            "--max-model-size: --transfer-from adds the whole base model to the file; leave out one of them"
        )
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
            "transfer_from",
            "max_model_size",
        )
        if is_fixed and getattr(options, name) != getattr(plain, name):
            flag = first_flag(declaration)
            raise OptionError(f"{flag}: --from refits the model as it is; leave out one of them")
