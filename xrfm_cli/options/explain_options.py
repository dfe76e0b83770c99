"""The options of ``xrfm explain``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from xrfm_cli.options.completion import A_COLUMN
from xrfm_cli.options.shared import (
    ModelMemory,
    ReadingOptions,
    in_machine,
    in_model,
    in_output,
)


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
            help="Explain this older model too, and show importances and effects of both side by side.",
        ),
    ] = None
    open_report: Annotated[
        bool, in_output("--open", help="Open the explanation in a browser when it is done.")
    ] = False
    effects: Annotated[
        tuple[str, ...],
        in_model(
            "--effects",
            metavar="COL",
            help="Column whose effect on the prediction is shown, or all; by default the strongest.",
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
            help="Largest number of rows to average over, of DATA or else of the training rows.",
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
    memory: ModelMemory = None
    seed: Annotated[int, in_machine("--seed", metavar="N", min=0, help="Random seed for drawing rows.")] = 0
