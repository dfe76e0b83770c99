"""Options of all commands except ``fit``, and the option groups that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xrfm_cli.options.cores import most_threads
from xrfm_cli.options.parsing import (
    Threshold,
    choice,
    parse_character,
    parse_level,
    parse_prefix,
    parse_sign,
    parse_threshold,
    positive_number,
    whole_number,
)
from xrfm_cli.options.settings import argument, flag, option, repeatable

DATA_HELP = (
    "CSV, TSV, Parquet or Arrow file (.gz, .zst, .bz2, .xz allowed), a quoted glob, a directory of Parquet, "
    "or - for standard input."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """Options of every command."""

    as_json: bool = flag("--json", help="Print one JSON document on standard output.", section="General")
    quiet: bool = flag("--quiet", "-q", help="Print only errors on standard error.", section="General")
    config: str | None = option(
        "--config",
        metavar="FILE",
        help="Read options from this TOML file; the names are the same.",
        section="General",
    )
    print_config: bool = flag(
        "--print-config",
        help="Print all options in effect as TOML for --config, and stop.",
        section="General",
    )
    log_file: str | None = option(
        "--log-file",
        metavar="FILE",
        help="Append messages with timestamps to this file, including those that --quiet hides.",
        section="General",
    )
    debug: bool = flag("--debug", help="Show the traceback of an internal error.", section="General")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(CommonOptions):
    """Options of commands that take a model file."""

    model: str = option(
        "--model", "-m", metavar="FILE", help="The model file.", section="Model", default="model.xrfm"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions(ModelOptions):
    """Options of commands that compute with a model."""

    device: str = option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
        section="Machine",
        default="auto",
    )
    threads: int | None = option(
        "--threads",
        metavar="N",
        help="Threads to compute with.",
        section="Machine",
        parse=whole_number(least=1, most=most_threads()),
        default_text="all usable cores",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions(MachineOptions):
    """Options of commands that read a table; the CSV reader detects what is not given."""

    delimiter: str | None = option(
        "--delimiter",
        metavar="CHAR",
        help="Character between cells, such as ; or tab.",
        section="Reading",
        parse=parse_character,
        default_text="detected",
    )
    encoding: str | None = option(
        "--encoding",
        metavar="NAME",
        help="Text encoding, such as utf-8 or cp1252.",
        section="Reading",
        default_text="detected",
    )
    decimal: str | None = option(
        "--decimal",
        metavar="CHAR",
        help="Decimal mark of numbers: '.' or ','.",
        section="Reading",
        parse=choice(".", ","),
        default_text="detected",
    )
    quote: str | None = option(
        "--quote",
        metavar="CHAR",
        help="Character that encloses cells, or none.",
        section="Reading",
        parse=parse_sign,
        default_text="detected",
    )
    escape: str | None = option(
        "--escape",
        metavar="CHAR",
        help="Character that escapes a quote or delimiter, or none.",
        section="Reading",
        parse=parse_sign,
        default_text="detected",
    )
    comment: str | None = option(
        "--comment",
        metavar="TEXT",
        help="Prefix of comment lines, or none.",
        section="Reading",
        parse=parse_prefix,
        default_text="detected",
    )
    skip_rows: int | None = option(
        "--skip-rows",
        metavar="N",
        help="Number of lines to skip before the header.",
        section="Reading",
        parse=whole_number(least=0),
        default_text="detected",
    )
    header_rows: int | None = option(
        "--header-rows",
        metavar="N",
        help="Number of header rows; 0 for a file without a header.",
        section="Reading",
        parse=whole_number(least=0),
        default_text="detected",
    )
    skip_footer: int | None = option(
        "--skip-footer",
        metavar="N",
        help="Number of lines to skip at the end.",
        section="Reading",
        parse=whole_number(least=0),
        default_text="detected",
    )
    date_order: Literal["dmy", "mdy", "ymd"] | None = option(
        "--date-order",
        metavar="ORDER",
        help="Order of day, month and year in dates such as 02/03/24: dmy, mdy or ymd.",
        section="Reading",
        parse=choice("dmy", "mdy", "ymd"),
        default_text="detected",
    )
    bad_rows: Literal["stop", "skip"] = option(
        "--bad-rows",
        metavar="WHAT",
        help="stop at a malformed row, or skip it and write it to <data>.rejects.csv.",
        section="Reading",
        parse=choice("stop", "skip"),
        default="stop",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions(ReadingOptions):
    """Options of ``xrfm predict``."""

    data: str = argument("DATA", help=DATA_HELP)
    output: str | None = option(
        "--output",
        "-o",
        metavar="FILE",
        help="Output file; its ending selects CSV, Parquet or Arrow.",
        section="Output",
        default_text="CSV on standard output",
    )
    ids: tuple[str, ...] = repeatable(
        "--id",
        metavar="COL",
        help="Column to copy before the predictions. Repeatable.",
        section="Output",
    )
    proba: bool = flag("--proba", help="Add a column probability_<class> for each class.", section="Output")
    interval: float | None = option(
        "--interval",
        metavar="LEVEL",
        help=(
            "Add columns lower and upper: a prediction interval that contains the true value with this "
            "probability, such as 0.9 (regression only)."
        ),
        section="Output",
        parse=parse_level,
    )
    allow_missing_columns: bool = flag(
        "--allow-missing-columns",
        help="Treat a column that the model needs and DATA lacks as missing values, instead of stopping.",
        section="Checks",
    )
    check_drift: float | None = option(
        "--check-drift",
        metavar="THRESHOLD",
        help=(
            "Compare DATA with the training table, and exit with status 1 if the population stability index "
            "of a column is above this threshold, such as 0.25, and above what chance explains. Predictions "
            "are written in any case."
        ),
        section="Checks",
        parse=positive_number,
    )
    chunk_rows: int = option(
        "--chunk-rows",
        metavar="N",
        help="Rows to hold in memory at a time; does not change the result.",
        section="Machine",
        parse=whole_number(least=1),
        default=8192,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions(ReadingOptions):
    """Options of ``xrfm explain``."""

    data: str | None = argument(
        "[DATA]",
        help="File with rows to explain one by one; any format that fit reads.",
        is_required=False,
    )
    output: str | None = option(
        "--output",
        "-o",
        metavar="FILE",
        help="Output file for the attributions of DATA; its ending selects CSV, Parquet or Arrow.",
        section="Output",
        default_text="CSV on standard output",
    )
    ids: tuple[str, ...] = repeatable(
        "--id",
        metavar="COL",
        help="Column to copy before the attributions. Repeatable.",
        section="Output",
    )
    method: Literal["path", "gradient"] = option(
        "--method",
        metavar="NAME",
        help="path: contributions that sum to the prediction; gradient: sensitivity at the row.",
        section="Output",
        parse=choice("path", "gradient"),
        default="path",
    )
    compare: str | None = option(
        "--compare",
        metavar="MODEL",
        help="Explain this older model too, and show the importances of both side by side.",
        section="Output",
    )
    rows: int = option(
        "--rows",
        metavar="N",
        help="Number of training rows that the global explanation averages over.",
        section="Model",
        parse=whole_number(least=2),
        default=1000,
    )
    chunk_rows: int = option(
        "--chunk-rows",
        metavar="N",
        help="Rows of DATA to hold in memory at a time; does not change the result.",
        section="Machine",
        parse=whole_number(least=1),
        default=8192,
    )
    seed: int = option(
        "--seed",
        metavar="N",
        help="Random seed for drawing rows.",
        section="Machine",
        parse=whole_number(least=0),
        default=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(ReadingOptions):
    """Options of ``xrfm evaluate``."""

    data: str = argument("TEST", help=DATA_HELP + " It must contain the target.")
    by: tuple[str, ...] = repeatable(
        "--by",
        metavar="COL",
        help="Also show the metrics for each value of this column. Repeatable.",
        section="Output",
    )
    compare: str | None = option(
        "--compare",
        metavar="MODEL",
        help="Score this older model on the same rows too, and test whether the difference is chance.",
        section="Checks",
    )
    fail_worse: bool = flag(
        "--fail-worse",
        help="Exit with status 1 if the model is worse than that of --compare by more than chance.",
        section="Checks",
    )
    fail_under: tuple[Threshold, ...] = repeatable(
        "--fail-under",
        metavar="METRIC=VALUE",
        help="Exit with status 1 if this metric, for which higher is better, is below VALUE. Repeatable.",
        section="Checks",
        parse=parse_threshold,
    )
    fail_over: tuple[Threshold, ...] = repeatable(
        "--fail-over",
        metavar="METRIC=VALUE",
        help="Exit with status 1 if this metric, for which lower is better, is above VALUE. Repeatable.",
        section="Checks",
        parse=parse_threshold,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoOptions(ModelOptions):
    """Options of ``xrfm info``."""

    card: bool = flag(
        "--card", help="Print a model card in Markdown instead, to complete and publish.", section="Output"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions(CommonOptions):
    """Options of ``xrfm doctor``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions(CommonOptions):
    """Options of ``xrfm sample``."""

    name: str | None = argument(
        "[NAME]",
        help="autos, bikes, credit, soybean or wine; without NAME, list the samples.",
        is_required=False,
    )
    output: str | None = option(
        "--output",
        "-o",
        metavar="FILE",
        help="Output file. An existing file is not replaced.",
        section="Output",
        default_text="the sample's own name in this folder",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions(CommonOptions):
    """Options of ``xrfm demo``."""

    folder: str = option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for table, model and report; created if missing.",
        section="Output",
        default=".",
    )
    no_open: bool = flag("--no-open", help="Do not open the report in a browser.", section="Output")
