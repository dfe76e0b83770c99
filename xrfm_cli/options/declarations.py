"""The options of each command except ``fit`` and ``explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from xrfm_cli.options.completion import A_COLUMN, gains, losses
from xrfm_cli.options.parsing import (
    Threshold,
    fraction,
    parse_threshold,
    positive_number,
)
from xrfm_cli.options.shared import (
    DATA_HELP,
    CommonOptions,
    ModelMemory,
    ModelOptions,
    ReadingOptions,
    Scheduler,
    in_checks,
    in_engine,
    in_machine,
    in_output,
    in_workers,
)


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
            parser=fraction("a level", example=0.9),
            help=(
                "Add columns lower and upper: a prediction interval that contains the true value with"
                " this probability, such as 0.9 (regression only)."
            ),
        ),
    ] = None
    each_line: Annotated[
        bool,
        in_output(
            "--each-line",
            help=(
                "Answer each line of standard input at once, for services: lines of CSV under a header with "
                "lines of CSV, or JSON objects with JSON objects. SIGTERM ends it with status 0."
            ),
        ),
    ] = False
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
    memory: ModelMemory = None
    workers: Annotated[
        int | None,
        in_workers(
            "Processes that predict blocks of a large table side by side; does not change the result."
        ),
    ] = None
    engine: Annotated[
        str,
        in_engine("Where blocks are predicted: in processes of this machine (local), or on a dask cluster."),
    ] = "local"
    scheduler: Scheduler = None
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
    memory: ModelMemory = None


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
