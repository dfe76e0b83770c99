"""The options of ``xrfm fit`` that concern its search and validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from xrfm_cli.options.completion import A_COLUMN, hyperparameters, metrics
from xrfm_cli.options.durations import parse_duration
from xrfm_cli.options.parsing import fraction, parse_pin, parse_rows
from xrfm_cli.options.shared import ReadingOptions, in_search
from xrfm_cli.tuning.config import FEWEST_DRAWN_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions(ReadingOptions):
    """Options of the panel on the search."""

    metric: Annotated[
        str | None,
        in_search(
            "--metric",
            metavar="METRIC",
            autocompletion=metrics,
            show_default="rmse, auc (binary), log_loss (multiclass)",
            help=(
                "Metric to optimise: rmse, mae, r2, mape, poisson_deviance, gamma_deviance, pinball@0.9 or "
                "another quantile; "
                "log_loss, auc, average_precision, accuracy, balanced_accuracy, f1, brier."
            ),
        ),
    ] = None
    time_limit: Annotated[
        float | None,
        in_search(
            "--time-limit",
            metavar="TIME",
            parser=parse_duration,
            show_default="set by --preset; none with --trials",
            help="Stop after this time, such as 90s, 10m or 1h, measured from the start of the process.",
        ),
    ] = None
    trials: Annotated[
        int | None,
        in_search(
            "--trials", metavar="N", min=0, help="Stop after N trials; 0 fits one model without a search."
        ),
    ] = None
    no_early_stop: Annotated[
        bool,
        in_search(
            "--no-early-stop",
            help="Search to the time limit even if the search has converged; --trials N always runs N.",
        ),
    ] = False
    preset: Annotated[
        Literal["quick", "balanced", "best"],
        in_search(
            "--preset",
            metavar="NAME",
            help="quick (15 s, 2 models), balanced (60 s, 6 models) or best (10 min, 12 models).",
        ),
    ] = "balanced"
    pins: Annotated[
        tuple[tuple[str, object], ...],
        in_search(
            "--set",
            metavar="NAME=VALUE",
            autocompletion=hyperparameters,
            parser=parse_pin,
            help="Fix a hyperparameter, such as bandwidth=5 or kernel=norm.",
        ),
    ] = ()
    valid: Annotated[
        str | None,
        in_search(
            "--valid",
            metavar="FILE",
            show_default="a split of DATA",
            help="Validate on the rows of this file.",
        ),
    ] = None
    folds: Annotated[
        int | None,
        in_search("--folds", metavar="K", min=2, help="Validate with K-fold cross-validation on DATA."),
    ] = None
    fit_rows: Annotated[
        int | str | None,
        in_search(
            "--fit-rows",
            metavar="ROWS",
            parser=parse_rows,
            show_default="as many as the time limit leaves room for",
            help="Number of rows that train the final models. 'all' may exceed the time limit.",
        ),
    ] = None
    search_rows: Annotated[
        int | None,
        in_search(
            "--search-rows",
            metavar="N",
            min=FEWEST_DRAWN_ROWS,
            show_default="those of the final models, as far as time and memory allow",
            help="Rows that trials are fitted and compared on, drawn at random from the whole table.",
        ),
    ] = None
    holdout: Annotated[
        float | None,
        in_search(
            "--holdout",
            metavar="SHARE",
            parser=fraction("a share of the rows", example=0.2),
            help=(
                "Set this share of the rows aside, such as 0.2, never train or validate on them, and "
                "report the model's scores on them."
            ),
        ),
    ] = None
    group: Annotated[
        str | None,
        in_search(
            "--group",
            **A_COLUMN,
            help="Keep rows that share a value of this column on one side of a split.",
        ),
    ] = None
    time: Annotated[
        str | None,
        in_search(
            "--time",
            **A_COLUMN,
            help="Validate on the latest rows by this column.",
        ),
    ] = None
    resume: Annotated[
        bool,
        in_search(
            "--resume",
            help="Save each step of the search in <model>.run, and continue there after an interruption.",
        ),
    ] = False

    storage: Annotated[
        str | None,
        in_search(
            "--storage",
            metavar="URL",
            help=(
                "Search together with other processes that have the same table and options: a journal "
                "file, or a database URL such as sqlite:///tuning.db. Each writes its own model."
            ),
        ),
    ] = None
