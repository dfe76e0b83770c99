"""Options of all commands except ``fit``, and the option groups that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import typer

from xrfm_cli.options.completion import A_COLUMN, devices, gains, losses
from xrfm_cli.options.config import load_config
from xrfm_cli.options.cores import most_threads
from xrfm_cli.options.parsing import (
    Threshold,
    parse_character,
    parse_level,
    parse_prefix,
    parse_sign,
    parse_threshold,
    positive_number,
)
from xrfm_cli.options.settings import PANELS

in_data, in_reading, in_columns, in_search, in_model, in_checks, in_output, in_machine, in_general = (
    partial(typer.Option, rich_help_panel=panel) for panel in PANELS
)
DATA_HELP = (
    "CSV, TSV, Parquet, Arrow or Excel file (.gz, .zst, .bz2, .xz allowed), a quoted glob, a directory of "
    "Parquet, or - for standard input."
)


def _need_no_data(ctx: typer.Context, value: bool) -> bool:
    """Let ``--print-config`` do without DATA."""
    if value:
        for param in ctx.command.params:
            param.required = False
    return value


def _show_help(ctx: typer.Context, value: bool) -> None:
    if value:
        typer.echo(ctx.get_help())
        raise typer.Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """Options of every command."""

    as_json: Annotated[bool, in_general("--json", help="Print one JSON document on standard output.")] = False
    quiet: Annotated[bool, in_general("--quiet", "-q", help="Print only errors on standard error.")] = False
    verbose: Annotated[
        bool, in_general("--verbose", "-v", help="Show more: fit lists every column with its kind.")
    ] = False
    config: Annotated[
        str | None,
        in_general(
            "--config",
            metavar="FILE",
            is_eager=True,
            callback=load_config,
            help="Read options from this TOML file; the names are the same.",
        ),
    ] = None
    print_config: Annotated[
        bool,
        in_general(
            "--print-config",
            is_eager=True,
            callback=_need_no_data,
            help="Print all options in effect as TOML for --config, and stop.",
        ),
    ] = False
    log_file: Annotated[
        str | None,
        in_general(
            "--log-file",
            metavar="FILE",
            help="Append messages with timestamps to this file, including those that --quiet hides.",
        ),
    ] = None
    debug: Annotated[bool, in_general("--debug", help="Show the traceback of an internal error.")] = False
    # Typer's own help option would stand in a panel of its own, before all others.
    help: Annotated[
        bool, in_general("--help", "-h", is_eager=True, callback=_show_help, help="Show this text.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(CommonOptions):
    """Options of commands that take a model file."""

    model: Annotated[str, in_model("--model", "-m", metavar="FILE", help="The model file.")] = "model.xrfm"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions(ModelOptions):
    """Options of commands that compute with a model."""

    device: Annotated[
        str,
        in_machine(
            "--device", metavar="DEVICE", autocompletion=devices, help="auto, cpu, cuda, cuda:N or mps."
        ),
    ] = "auto"
    threads: Annotated[
        int | None,
        in_machine(
            "--threads",
            metavar="N",
            min=1,
            max=most_threads(),
            show_default="all usable cores",
            help="Threads to compute with.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions(MachineOptions):
    """Options of commands that read a table; the CSV reader detects what is not given."""

    delimiter: Annotated[
        str | None,
        in_reading(
            "--delimiter",
            metavar="CHAR",
            parser=parse_character,
            help="Character between cells, such as ; or tab.",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        in_reading(
            "--encoding",
            metavar="NAME",
            help="Text encoding, such as utf-8 or cp1252.",
        ),
    ] = None
    decimal: Annotated[
        Literal[".", ","] | None,
        in_reading("--decimal", metavar="CHAR", help="Decimal mark of numbers: '.' or ','."),
    ] = None
    quote: Annotated[
        str | None,
        in_reading(
            "--quote",
            metavar="CHAR",
            parser=parse_sign,
            help="Character that encloses cells, or none.",
        ),
    ] = None
    escape: Annotated[
        str | None,
        in_reading(
            "--escape",
            metavar="CHAR",
            parser=parse_sign,
            help="Character that escapes a quote or delimiter, or none.",
        ),
    ] = None
    comment: Annotated[
        str | None,
        in_reading(
            "--comment",
            metavar="TEXT",
            parser=parse_prefix,
            help="Prefix of comment lines, or none.",
        ),
    ] = None
    skip_rows: Annotated[
        int | None,
        in_reading(
            "--skip-rows",
            metavar="N",
            min=0,
            help="Number of lines to skip before the header.",
        ),
    ] = None
    header_rows: Annotated[
        int | None,
        in_reading(
            "--header-rows",
            metavar="N",
            min=0,
            help="Number of header rows; 0 for a file without a header.",
        ),
    ] = None
    skip_footer: Annotated[
        int | None,
        in_reading(
            "--skip-footer",
            metavar="N",
            min=0,
            help="Number of lines to skip at the end.",
        ),
    ] = None
    date_order: Annotated[
        Literal["dmy", "mdy", "ymd"] | None,
        in_reading(
            "--date-order",
            metavar="ORDER",
            help="Order of day, month and year in dates such as 02/03/24: dmy, mdy or ymd.",
        ),
    ] = None
    sheet: Annotated[
        str | None,
        in_reading("--sheet", metavar="SHEET", help="Sheet of an Excel workbook, by name or number."),
    ] = None
    bad_rows: Annotated[
        Literal["stop", "skip"],
        in_reading(
            "--bad-rows",
            metavar="WHAT",
            help="stop at a malformed row, or skip: write it to <data>.rejects.csv.",
        ),
    ] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions(ReadingOptions):
    """Options of ``xrfm predict``."""

    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
    output: Annotated[
        str | None,
        in_output(
            "--output",
            "-o",
            metavar="FILE",
            show_default="CSV on standard output",
            help="Output file; its ending selects CSV, Parquet or Arrow.",
        ),
    ] = None
    ids: Annotated[
        tuple[str, ...],
        in_output("--id", **A_COLUMN, help="Column to copy before the predictions."),
    ] = ()
    keep_columns: Annotated[
        bool, in_output("--keep-columns", help="Copy all columns of DATA before the predictions.")
    ] = False
    proba: Annotated[bool, in_output("--proba", help="Add a column probability_<class> for each class.")] = (
        False
    )
    interval: Annotated[
        float | None,
        in_output(
            "--interval",
            metavar="LEVEL",
            parser=parse_level,
            help=(
                "Add columns lower and upper: a prediction interval that contains the true value with"
                " this probability, such as 0.9 (regression only)."
            ),
        ),
    ] = None
    allow_missing_columns: Annotated[
        bool,
        in_checks(
            "--allow-missing-columns",
            help="Treat a column that the model needs and DATA lacks as missing values, instead of stopping.",
        ),
    ] = False
    check_drift: Annotated[
        float | None,
        in_checks(
            "--check-drift",
            metavar="THRESHOLD",
            parser=positive_number,
            help=(
                "Exit with status 1 if a column's population stability index against the training "
                "table is above this, such as 0.25, and above what chance explains."
            ),
        ),
    ] = None
    chunk_rows: Annotated[
        int,
        in_machine(
            "--chunk-rows",
            metavar="N",
            min=1,
            help="Rows to hold in memory at a time; does not change the result.",
        ),
    ] = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions(ReadingOptions):
    """Options of ``xrfm explain``."""

    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help="File with rows to explain one by one; any format that fit reads."
        ),
    ] = None
    output: Annotated[
        str | None,
        in_output(
            "--output",
            "-o",
            metavar="FILE",
            show_default="CSV on standard output",
            help="Output file for the attributions of DATA; its ending selects CSV, Parquet or Arrow.",
        ),
    ] = None
    ids: Annotated[
        tuple[str, ...],
        in_output("--id", **A_COLUMN, help="Column to copy before the attributions."),
    ] = ()
    method: Annotated[
        Literal["path", "gradient"],
        in_output(
            "--method",
            metavar="NAME",
            help="Only path is left: contributions that add up to the prediction.",
        ),
    ] = "path"
    baseline: Annotated[
        str | None,
        in_output(
            "--baseline",
            metavar="FILE",
            show_default="typical training rows",
            help="Rows whose mean prediction the attributions of DATA start from.",
        ),
    ] = None
    label: Annotated[
        str | None,
        in_output(
            "--class",
            metavar="CLASS",
            show_default="the positive one of two, else the predicted one",
            help="Class whose probability the attributions explain.",
        ),
    ] = None
    row: Annotated[
        int | None,
        in_output(
            "--row", metavar="N", min=1, help="Show this row of DATA, counted from 1, in the terminal."
        ),
    ] = None
    where: Annotated[
        str | None,
        in_output(
            "--where",
            metavar="COL=VALUE",
            help="Show the first row of DATA that has this value, in the terminal.",
        ),
    ] = None
    top: Annotated[
        int | None,
        in_output(
            "--top", metavar="K", min=1, show_default="10", help="Columns that --row and --where show."
        ),
    ] = None
    compare: Annotated[
        str | None,
        in_output(
            "--compare",
            metavar="MODEL",
            help="Explain this older model too, and show the importances of both side by side.",
        ),
    ] = None
    effects: Annotated[
        tuple[str, ...],
        in_model(
            "--effects",
            metavar="COL",
            help="Column whose effect on the prediction to show, or all; else the strongest.",
        ),
    ] = ()
    curves: Annotated[
        bool,
        in_model("--curves", help="Add partial dependence and the curves of single rows to the effects."),
    ] = False
    rows: Annotated[
        int,
        in_model(
            "--rows",
            metavar="N",
            min=2,
            help="Most rows that the explanation averages over, of DATA or else of the training rows.",
        ),
    ] = 1000
    chunk_rows: Annotated[
        int,
        in_machine(
            "--chunk-rows",
            metavar="N",
            min=1,
            help="Rows of DATA to hold in memory at a time; does not change the result.",
        ),
    ] = 8192
    seed: Annotated[int, in_machine("--seed", metavar="N", min=0, help="Random seed for drawing rows.")] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(ReadingOptions):
    """Options of ``xrfm evaluate``."""

    data: Annotated[str, typer.Argument(metavar="TEST", help=DATA_HELP + " It must contain the target.")]
    by: Annotated[
        tuple[str, ...],
        in_output(
            "--by",
            **A_COLUMN,
            help="Also show the metrics for each value of this column.",
        ),
    ] = ()
    compare: Annotated[
        str | None,
        in_checks(
            "--compare",
            metavar="MODEL",
            help="Score this older model on the same rows too, and test whether the difference is chance.",
        ),
    ] = None
    fail_worse: Annotated[
        bool,
        in_checks(
            "--fail-worse",
            help="Exit with status 1 if the model is worse than that of --compare by more than chance.",
        ),
    ] = False
    fail_under: Annotated[
        tuple[Threshold, ...],
        in_checks(
            "--fail-under",
            metavar="METRIC=VALUE",
            autocompletion=gains,
            parser=parse_threshold,
            help="Exit with status 1 if this metric, for which higher is better, is below VALUE.",
        ),
    ] = ()
    fail_over: Annotated[
        tuple[Threshold, ...],
        in_checks(
            "--fail-over",
            metavar="METRIC=VALUE",
            autocompletion=losses,
            parser=parse_threshold,
            help="Exit with status 1 if this metric, for which lower is better, is above VALUE.",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoOptions(ModelOptions):
    """Options of ``xrfm info``."""

    card: Annotated[
        bool, in_output("--card", help="Print a model card in Markdown instead, to complete and publish.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions(CommonOptions):
    """Options of ``xrfm doctor``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions(CommonOptions):
    """Options of ``xrfm sample``."""

    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="autos, bikes, credit, soybean or wine; without NAME, list the samples."
        ),
    ] = None
    output: Annotated[
        str | None,
        in_output(
            "--output",
            "-o",
            metavar="FILE",
            show_default="the sample's own name in this folder",
            help="Output file. An existing file is not replaced.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(CommonOptions):
    """Options of ``xrfm demo``."""

    folder: Annotated[
        str,
        in_output(
            "--output", "-o", metavar="DIR", help="Folder for table, model and report; created if missing."
        ),
    ] = "."
    no_open: Annotated[bool, in_output("--no-open", help="Do not open the report in a browser.")] = False
