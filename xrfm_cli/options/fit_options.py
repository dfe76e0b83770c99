"""The options of ``xrfm fit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xrfm_cli.options.declarations import DATA_HELP, ReadingOptions
from xrfm_cli.options.durations import parse_duration
from xrfm_cli.options.parsing import (
    choice,
    parse_formats,
    parse_pin,
    parse_share,
    parse_size,
    whole_number,
)
from xrfm_cli.options.settings import argument, flag, option, repeatable


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions(ReadingOptions):
    """Options of ``xrfm fit``."""

    data: str = argument("DATA", help=DATA_HELP)
    target: str | None = option(
        "--target", metavar="COL", help="Column to predict. Required unless --from is given.", section="Data"
    )
    task: Literal["auto", "regression", "binary", "multiclass"] = option(
        "--task",
        metavar="TASK",
        help="auto, regression, binary or multiclass.",
        section="Data",
        parse=choice("auto", "regression", "binary", "multiclass"),
        default="auto",
    )
    positive: str | None = option(
        "--positive",
        metavar="CLASS",
        help="The positive class of a binary target.",
        section="Data",
        default_text="the last in sort order",
    )

    weight: str | None = option("--weight", metavar="COL", help="Column of row weights.", section="Columns")
    drop: tuple[str, ...] = repeatable(
        "--drop", metavar="COL", help="Column to ignore. Repeatable.", section="Columns"
    )
    ids: tuple[str, ...] = repeatable(
        "--id",
        metavar="COL",
        help="Column that identifies rows; the model does not use it. Repeatable.",
        section="Columns",
    )
    categorical: tuple[str, ...] = repeatable(
        "--categorical", metavar="COL", help="Read this column as categories. Repeatable.", section="Columns"
    )
    numeric: tuple[str, ...] = repeatable(
        "--numeric", metavar="COL", help="Read this column as numbers. Repeatable.", section="Columns"
    )
    datetime: tuple[str, ...] = repeatable(
        "--datetime", metavar="COL", help="Read this column as dates. Repeatable.", section="Columns"
    )

    schema: str | None = option(
        "--schema",
        metavar="FILE",
        help=(
            "Read the kinds and roles of all columns from this TOML file; options override it. If the file "
            "does not exist, it is written with the inferred schema, for you to edit."
        ),
        section="Columns",
    )

    metric: str | None = option(
        "--metric",
        metavar="METRIC",
        help=(
            "Metric to optimise: rmse, mae, r2, mape, poisson_deviance; log_loss, auc, average_precision, "
            "accuracy, balanced_accuracy, f1, brier."
        ),
        section="Search",
        default_text="rmse, auc (binary), log_loss (multiclass)",
    )
    time_limit: float | None = option(
        "--time-limit",
        metavar="TIME",
        help="Stop after this time, such as 90s, 10m or 1h, measured from the start of the process.",
        section="Search",
        parse=parse_duration,
        default_text="set by --preset; none with --trials",
    )
    trials: int | None = option(
        "--trials",
        metavar="N",
        help="Stop after N trials; 0 fits one model without a search.",
        section="Search",
        parse=whole_number(least=0),
    )
    preset: Literal["quick", "balanced", "best"] = option(
        "--preset",
        metavar="NAME",
        help="quick (15 s, 2 models), balanced (60 s, 6 models) or best (10 min, 12 models).",
        section="Search",
        parse=choice("quick", "balanced", "best"),
        default="balanced",
    )
    pins: tuple[tuple[str, object], ...] = repeatable(
        "--set",
        metavar="NAME=VALUE",
        help="Fix a hyperparameter, such as bandwidth=5 or kernel=norm. Repeatable.",
        section="Search",
        parse=parse_pin,
    )
    valid: str | None = option(
        "--valid",
        metavar="FILE",
        help="Validate on the rows of this file.",
        section="Search",
        default_text="a split of DATA",
    )
    folds: int | None = option(
        "--folds",
        metavar="K",
        help="Validate with K-fold cross-validation on DATA.",
        section="Search",
        parse=whole_number(least=2),
    )
    holdout: float | None = option(
        "--holdout",
        metavar="SHARE",
        help=(
            "Set this share of the rows aside, such as 0.2, never train or validate on them, and report the "
            "model's scores on them."
        ),
        section="Search",
        parse=parse_share,
    )
    group: str | None = option(
        "--group",
        metavar="COL",
        help="Keep rows that share a value of this column on one side of a split.",
        section="Search",
    )
    time: str | None = option(
        "--time", metavar="COL", help="Validate on the latest rows by this column.", section="Search"
    )
    resume: bool = flag(
        "--resume",
        help=(
            "Save every step of the search to <model>.run beside the model, and continue from there after "
            "an interruption. Only a fit that was started with --resume can be continued."
        ),
        section="Search",
    )

    storage: str | None = option(
        "--storage",
        metavar="URL",
        help=(
            "Share the search with other processes or machines that fit the same table with the same options "
            "and storage: a database URL, such as sqlite:///tuning.db, or the path of a journal file. "
            "Each process writes its own model; --trials and --time-limit apply to each process."
        ),
        section="Search",
    )

    from_model: str | None = option(
        "--from",
        metavar="MODEL",
        help="Refit this model on new rows with the same schema, hyperparameters and ensemble; no search.",
        section="Model",
    )
    dry_run: bool = flag(
        "--dry-run", help="Show columns, plan, time and memory without fitting.", section="Model"
    )
    formats: str = option(
        "--format",
        metavar="LIST",
        help="Formats of the report beside the model: html, json, md and png, separated by commas.",
        section="Output",
        parse=parse_formats,
        default="html,json",
    )
    open_report: bool = flag("--open", help="Open the report in a browser when it is done.", section="Output")
    memory: int | None = option(
        "--memory",
        metavar="SIZE",
        help="Memory limit, such as 4GiB.",
        section="Machine",
        parse=parse_size,
        default_text="the free memory",
    )
    seed: int = option(
        "--seed",
        metavar="N",
        help="Random seed.",
        section="Machine",
        parse=whole_number(least=0),
        default=0,
    )
