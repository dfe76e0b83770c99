"""The groups of options that commands share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import typer

from xrfm_cli.options.completion import devices
from xrfm_cli.options.config import load_config
from xrfm_cli.options.cores import most_threads
from xrfm_cli.options.parsing import (
    one_of,
    parse_character,
    parse_prefix,
    parse_sign,
    parse_size,
    parse_workers,
)
from xrfm_cli.options.settings import PANELS

in_data, in_reading, in_columns, in_search, in_model, in_checks, in_output, in_machine, in_general = (
    partial(typer.Option, rich_help_panel=panel) for panel in PANELS
)
ModelMemory = Annotated[
    int | None,
    in_machine(
        "--memory",
        metavar="SIZE",
        parser=parse_size,
        show_default="half of the free memory",
        help="Memory to use, such as 1GiB; larger data stays in files. Does not change the result.",
    ),
]
Scheduler = Annotated[
    str | None,
    in_machine(
        "--scheduler",
        metavar="ADDRESS",
        help="Address of the scheduler for --engine dask, such as tcp://host:8786.",
    ),
]


def in_workers(help_text: str) -> Any:
    """Return the declaration of ``--workers``, which fits and predictions have."""
    return in_machine(
        "--workers",
        metavar="auto|N",
        parser=parse_workers,
        show_default="auto: one for each thread",
        help=help_text,
    )


def in_engine(help_text: str) -> Any:
    """Return the declaration of ``--engine``, which fits and predictions have."""
    return in_machine("--engine", metavar="NAME", parser=one_of("local", "dask"), help=help_text)


DATA_HELP = (
    "CSV, TSV, Parquet, Arrow or Excel file (.gz, .zst, .bz2, .xz allowed), a quoted glob, a directory of "
    "Parquet, a URL (s3://, gs://, az://, https://), or - for standard input."
)
VERBOSE_HELP = (
    "Show more: fit lists every column with its kind, and explain shows regions and directions. Without a "
    "terminal, commands print their progress every ten seconds."
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
    verbose: Annotated[bool, in_general("--verbose", "-v", help=VERBOSE_HELP)] = False
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
