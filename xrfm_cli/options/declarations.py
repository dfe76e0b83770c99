"""The options of every command but ``fit``, and the groups that commands share."""

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
    """What every command takes."""

    as_json: bool = flag("--json", help="Print one JSON document on standard output.", section="General")
    quiet: bool = flag("--quiet", "-q", help="Say nothing on standard error but errors.", section="General")
    config: str | None = option(
        "--config",
        metavar="FILE",
        help="Read options from a TOML file, by the same names.",
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
        help="Append messages to this file, each with its time, those that --quiet silences too.",
        section="General",
    )
    debug: bool = flag("--debug", help="Show the traceback of an internal fault.", section="General")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions(CommonOptions):
    """Commands about a model file."""

    model: str = option(
        "--model", "-m", metavar="FILE", help="The model file.", section="Model", default="model.xrfm"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions(ModelOptions):
    """Commands that compute with a model."""

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
    """Commands that read a table as well; what is not given is found out from the file."""

    delimiter: str | None = option(
        "--delimiter",
        metavar="CHAR",
        help="Character between cells; 'tab' for a tab.",
        section="Reading",
        parse=parse_character,
        default_text="sniffed",
    )
    encoding: str | None = option(
        "--encoding",
        metavar="NAME",
        help="Text encoding, such as utf-8 or cp1252.",
        section="Reading",
        default_text="sniffed",
    )
    decimal: str | None = option(
        "--decimal",
        metavar="CHAR",
        help="Decimal mark of numbers.",
        section="Reading",
        parse=choice(".", ","),
        default_text="sniffed",
    )
    quote: str | None = option(
        "--quote",
        metavar="CHAR",
        help="Character around cells, or none.",
        section="Reading",
        parse=parse_sign,
        default_text="sniffed",
    )
    escape: str | None = option(
        "--escape",
        metavar="CHAR",
        help="Character before a quote or delimiter that is text, or none.",
        section="Reading",
        parse=parse_sign,
        default_text="sniffed",
    )
    comment: str | None = option(
        "--comment",
        metavar="TEXT",
        help="What lines of comments begin with, or none.",
        section="Reading",
        parse=parse_prefix,
        default_text="sniffed",
    )
    skip_rows: int | None = option(
        "--skip-rows",
        metavar="N",
        help="Lines to leave out before the names of the columns.",
        section="Reading",
        parse=whole_number(least=0),
        default_text="sniffed",
    )
    header_rows: int | None = option(
        "--header-rows",
        metavar="N",
        help="Rows of names; 0 if there are none.",
        section="Reading",
        parse=whole_number(least=0),
        default_text="sniffed",
    )
    skip_footer: int | None = option(
        "--skip-footer",
        metavar="N",
        help="Lines to leave out at the end.",
        section="Reading",
        parse=whole_number(least=0),
        default_text="sniffed",
    )
    date_order: Literal["dmy", "mdy", "ymd"] | None = option(
        "--date-order",
        metavar="ORDER",
        help="Order of day, month and year in dates such as 02/03/24: dmy, mdy or ymd.",
        section="Reading",
        parse=choice("dmy", "mdy", "ymd"),
        default_text="sniffed",
    )
    bad_rows: Literal["stop", "skip"] = option(
        "--bad-rows",
        metavar="WHAT",
        help="stop at a row that does not fit, or skip it into <data>.rejects.csv.",
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
        help="Write here, as CSV, Parquet or Arrow by the ending.",
        section="Output",
        default_text="CSV on standard output",
    )
    ids: tuple[str, ...] = repeatable(
        "--id", metavar="COL", help="Column to copy before the predictions. Repeatable.", section="Output"
    )
    proba: bool = flag("--proba", help="Add a probability_<class> column per class.", section="Output")
    interval: float | None = option(
        "--interval",
        metavar="LEVEL",
        help="Add lower and upper columns that hold the truth with this probability (regression).",
        section="Output",
        parse=parse_level,
    )
    allow_missing_columns: bool = flag(
        "--allow-missing-columns",
        help="Take a column that the model needs and DATA lacks as empty, instead of stopping.",
        section="Checks",
    )
    check_drift: float | None = option(
        "--check-drift",
        metavar="THRESHOLD",
        help=(
            "Compare DATA with the training table, and exit with status 1 if a column's population stability "
            "index is above this, such as 0.25, and above chance. Predictions are written all the same."
        ),
        section="Checks",
        parse=positive_number,
    )
    chunk_rows: int = option(
        "--chunk-rows",
        metavar="N",
        help="Rows to hold in memory at a time; never changes the result.",
        section="Machine",
        parse=whole_number(least=1),
        default=8192,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions(ReadingOptions):
    """Options of ``xrfm explain``."""

    data: str | None = argument(
        "[DATA]",
        help="Rows to attribute one by one, in any file that fit reads.",
        is_required=False,
    )
    output: str | None = option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the attributions of DATA here, as CSV, Parquet or Arrow by the ending.",
        section="Output",
        default_text="CSV on standard output",
    )
    ids: tuple[str, ...] = repeatable(
        "--id", metavar="COL", help="Column to copy before the attributions. Repeatable.", section="Output"
    )
    method: Literal["path", "gradient"] = option(
        "--method",
        metavar="NAME",
        help="path: contributions that add up to the prediction; gradient: sensitivity at the row.",
        section="Output",
        parse=choice("path", "gradient"),
        default="path",
    )
    rows: int = option(
        "--rows",
        metavar="N",
        help="Training rows to average the global explanation over.",
        section="Model",
        parse=whole_number(least=2),
        default=1000,
    )
    chunk_rows: int = option(
        "--chunk-rows",
        metavar="N",
        help="Rows of DATA to hold in memory at a time; never changes the result.",
        section="Machine",
        parse=whole_number(least=1),
        default=8192,
    )
    seed: int = option(
        "--seed",
        metavar="N",
        help="Seed of the rows that are drawn.",
        section="Machine",
        parse=whole_number(least=0),
        default=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions(ReadingOptions):
    """Options of ``xrfm evaluate``."""

    data: str = argument("TEST", help=DATA_HELP + " It holds the target too.")
    by: tuple[str, ...] = repeatable(
        "--by",
        metavar="COL",
        help="Show the metrics for each value of this column as well. Repeatable.",
        section="Output",
    )
    fail_under: tuple[Threshold, ...] = repeatable(
        "--fail-under",
        metavar="METRIC=VALUE",
        help="Exit with status 1 if a metric of which more is better is below. Repeatable.",
        section="Checks",
        parse=parse_threshold,
    )
    fail_over: tuple[Threshold, ...] = repeatable(
        "--fail-over",
        metavar="METRIC=VALUE",
        help="Exit with status 1 if a metric of which less is better is above. Repeatable.",
        section="Checks",
        parse=parse_threshold,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoOptions(ModelOptions):
    """Options of ``xrfm info``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions(CommonOptions):
    """Options of ``xrfm doctor``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions(CommonOptions):
    """Options of ``xrfm sample``."""

    name: str | None = argument(
        "[NAME]",
        help="autos, bikes, credit, soybean or wine; without NAME, list them.",
        is_required=False,
    )
    output: str | None = option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write here. A file that exists is not replaced.",
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
        help="Folder to write table, model and report into; created if missing.",
        section="Output",
        default=".",
    )
    no_open: bool = flag("--no-open", help="Do not open the report in a browser.", section="Output")
