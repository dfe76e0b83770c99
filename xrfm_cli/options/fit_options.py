"""The options of ``xrfm fit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from xrfm_cli.options.completion import A_COLUMN
from xrfm_cli.options.parsing import one_of, parse_formats, parse_size
from xrfm_cli.options.search_options import SearchOptions
from xrfm_cli.options.shared import (
    DATA_HELP,
    Scheduler,
    in_columns,
    in_data,
    in_engine,
    in_machine,
    in_model,
    in_output,
    in_workers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions(SearchOptions):
    """Options of ``xrfm fit``."""

    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
    target: Annotated[
        str | None,
        in_data(
            "--target",
            **A_COLUMN,
            help="Column to predict. Required unless --from is given.",
        ),
    ] = None
    task: Annotated[
        Literal["auto", "regression", "binary", "multiclass"],
        in_data("--task", metavar="TASK", help="auto, regression, binary or multiclass."),
    ] = "auto"
    positive: Annotated[
        str | None,
        in_data(
            "--positive",
            metavar="CLASS",
            show_default="the last in sort order",
            help="The positive class of a binary target.",
        ),
    ] = None

    weight: Annotated[
        str | None,
        in_columns("--weight", **A_COLUMN, help="Column of row weights."),
    ] = None
    offset: Annotated[
        str | None,
        in_columns(
            "--offset",
            **A_COLUMN,
            help=(
                "Column of exposures above 0, such as years insured: the model learns the target per unit of "
                "it, and predictions are multiplied by it. Its logarithm is the offset of a generalised "
                "linear model."
            ),
        ),
    ] = None
    drop: Annotated[tuple[str, ...], in_columns("--drop", **A_COLUMN, help="Column to ignore.")] = ()
    ids: Annotated[
        tuple[str, ...],
        in_columns(
            "--id",
            **A_COLUMN,
            help="Column that identifies rows; the model does not use it.",
        ),
    ] = ()
    categorical: Annotated[
        tuple[str, ...],
        in_columns("--categorical", **A_COLUMN, help="Read this column as categories."),
    ] = ()
    numeric: Annotated[
        tuple[str, ...],
        in_columns("--numeric", **A_COLUMN, help="Read this column as numbers."),
    ] = ()
    datetime: Annotated[
        tuple[str, ...],
        in_columns("--datetime", **A_COLUMN, help="Read this column as dates."),
    ] = ()

    schema: Annotated[
        str | None,
        in_columns(
            "--schema",
            metavar="FILE",
            help=(
                "Read kinds and roles of all columns from this TOML file; options override it. A new "
                "file is written with the inferred ones, for you to edit."
            ),
        ),
    ] = None

    from_model: Annotated[
        str | None,
        in_model(
            "--from",
            metavar="MODEL",
            help=(
                "Refit this model on new rows with the same schema, hyperparameters and ensemble; no search."
            ),
        ),
    ] = None
    transfer_from: Annotated[
        str | None,
        in_model(
            "--transfer-from",
            metavar="MODEL",
            help=(
                "Learn from this model of a related, larger table too: the search decides how to use its "
                "predictions and its feature matrix. The new model file contains it."
            ),
        ),
    ] = None
    no_clobber: Annotated[
        bool, in_model("--no-clobber", help="Refuse to replace a model that exists; checked before the fit.")
    ] = False
    dry_run: Annotated[
        bool, in_model("--dry-run", help="Show columns, plan, time and memory without fitting.")
    ] = False
    compress: Annotated[
        str | None,
        in_model(
            "--compress",
            metavar="half",
            parser=one_of("half"),
            help=(
                "Store centers and coefficients in 16 bits if predictions change by at most a thousandth of "
                "their standard deviation on held-out rows, or on training rows if none are held out."
            ),
        ),
    ] = None
    max_model_size: Annotated[
        int | None,
        in_model(
            "--max-model-size",
            metavar="SIZE",
            parser=parse_size,
            show_default="no limit",
            help=(
                "Size of the model file, such as 20MB: the search then tries fewer centers in each leaf, and "
                "fewer models."
            ),
        ),
    ] = None
    formats: Annotated[
        str,
        in_output(
            "--format",
            metavar="LIST",
            parser=parse_formats,
            help="Formats of the report beside the model: html, json, md and png, separated by commas.",
        ),
    ] = "html,json"
    open_report: Annotated[
        bool, in_output("--open", help="Open the report in a browser when it is done.")
    ] = False
    memory: Annotated[
        int | None,
        in_machine(
            "--memory",
            metavar="SIZE",
            parser=parse_size,
            show_default="the free memory",
            help="Memory limit, such as 4GiB.",
        ),
    ] = None
    workers: Annotated[
        int | None,
        in_workers(
            "Processes that run steps of the search and compute splits and leaves, with one thread each."
        ),
    ] = None
    engine: Annotated[
        str,
        in_engine(
            "Where steps of the search run and leaves are fitted: in processes of this machine (local), or "
            "on a dask cluster."
        ),
    ] = "local"
    scheduler: Scheduler = None
    scratch: Annotated[
        str | None,
        in_machine(
            "--scratch",
            metavar="DIR",
            show_default="the folder of the model",
            help="Folder for the temporary files of a table that does not fit into memory.",
        ),
    ] = None
    seed: Annotated[int, in_machine("--seed", metavar="N", min=0, help="Random seed.")] = 0
