"""The Typer application: the commands with their options, help and examples.

A command's module is imported when it runs, so help never waits for a numerical library.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, TypeVar

import typer

from xrfm_cli.options.config import keys_of_commands, misspelt_variables
from xrfm_cli.options.config_page import config_page
from xrfm_cli.options.declarations import (
    DemoOptions,
    DoctorOptions,
    EvaluateOptions,
    InfoOptions,
    PredictOptions,
    SampleOptions,
)
from xrfm_cli.options.explain_options import ExplainOptions
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.settings import Given, parameters
from xrfm_cli.options.shared import CommonOptions
from xrfm_cli.terminal import streams

Options = TypeVar("Options", bound=CommonOptions)
ABOUT = """AutoML for tables: fit, predict and explain with trees of Recursive Feature Machines.

xrfm fit data.csv --target price     # writes model.xrfm and its report
xrfm predict new.csv                 # reads model.xrfm, writes CSV
xrfm explain                         # shows which columns matter
xrfm help fit                        # shows the options of a command"""
STATUSES = """Exit status:
0    Done.
1    A threshold of --fail-under, --fail-over or --check-drift was missed.
2    Bad input or usage, explained in one line.
3    Internal error; --debug shows the traceback.
130  Interrupted by Ctrl-C or SIGTERM; fit saves the best model so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The options of a command, its sentence of help, and command lines to paste."""

    options: type[CommonOptions]
    help: str
    examples: tuple[str, ...]


COMMANDS = {
    "fit": Command(
        options=FitOptions,
        help="Fit a model to a table, and write the model and its report.",
        examples=(
            "xrfm fit data.csv --target price --time-limit 10m",
            "xrfm fit data.parquet --target churned --metric f1 --group customer",
            "xrfm fit new.csv --from model.xrfm --model tonight.xrfm",
        ),
    ),
    "predict": Command(
        options=PredictOptions,
        help="Predict the rows of a table, in order.",
        examples=(
            "xrfm predict new.csv --output predictions.csv",
            "xrfm predict new.parquet --id customer --proba --output out.parquet",
            "xrfm predict new.csv --interval 0.9 --check-drift 0.25 > prices.csv",
        ),
    ),
    "explain": Command(
        options=ExplainOptions,
        help="Explain what the model learned and, with DATA, the prediction of each row.",
        examples=(
            "xrfm explain --model model.xrfm",
            "xrfm explain new.csv --id customer --output attributions.csv",
        ),
    ),
    "evaluate": Command(
        options=EvaluateOptions,
        help="Compute metrics on test rows with known targets.",
        examples=(
            "xrfm evaluate test.csv --fail-under r2=0.8",
            "xrfm evaluate test.csv --by region --json > evaluation.json",
        ),
    ),
    "info": Command(
        options=InfoOptions,
        help="Show the content of a model file.",
        examples=("xrfm info --model model.xrfm",),
    ),
    "doctor": Command(
        options=DoctorOptions,
        help="Show versions, devices, memory and threads, for bug reports.",
        examples=("xrfm doctor --json",),
    ),
    "sample": Command(
        options=SampleOptions,
        help="Write a sample table that ships with the package.",
        examples=(
            "xrfm sample autos",
            "xrfm sample bikes --output rentals.parquet",
        ),
    ),
    "demo": Command(
        options=DemoOptions,
        help="Fit a model to a sample table in seconds, and open its report.",
        examples=(
            "xrfm demo",
            "xrfm demo --output demo --no-open",
        ),
    ),
}
app = typer.Typer(
    help=ABOUT,
    epilog=STATUSES,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Show the version.")] = False,
) -> None:
    if version:
        from xrfm_cli import __version__

        typer.echo(f"xrfm {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _add(name: str, command: Command) -> None:
    """Add a command, whose module is imported when it runs."""

    def entry(ctx: typer.Context, **_: Any) -> None:
        if ctx.params["print_config"]:
            results = streams.documents()
            results.write(config_page(ctx))
            results.flush()
            return
        from xrfm_cli.commands.common.session import open_session
        from xrfm_cli.commands.common.urls import with_copies

        options = with_copies(options_of(ctx, command.options))
        with open_session(name, options, started=ctx.obj) as session:
            for line in misspelt_variables(os.environ, set().union(*keys_of_commands(ctx).values())):
                session.renderer.note(line)
            status = import_module(f"xrfm_cli.commands.{name}").run(options, session)
            session.renderer.log(f"exit status {status}")
        if status:
            raise typer.Exit(status)

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    signature = inspect.Signature([context, *parameters(command.options)])
    entry.__signature__ = signature  # type: ignore[attr-defined]
    entry.__annotations__ = {item.name: item.annotation for item in signature.parameters.values()}
    page = "\n\n".join([command.help, "\n".join(command.examples)])
    app.command(name, help=page, add_help_option=False)(entry)


def options_of(ctx: Any, options_type: type[Options]) -> Options:
    """Return the options of a parsed command line; those without a value have the dataclass's defaults."""
    return options_type(**{name: _value(given) for name, given in ctx.params.items() if given is not None})


def _value(given: Any) -> Any:
    """Return the value of what Typer parsed: a flag, a ``Given`` or a list of them."""
    if isinstance(given, list | tuple):
        return tuple(map(_value, given))
    return given.value if isinstance(given, Given) else given


def application() -> Any:
    """Return click's command of the application."""
    command: Any = typer.main.get_command(app)
    help_flag = command.get_help_option(typer.Context(command, **command.context_settings))
    for flag in (*command.params, help_flag):
        flag.metavar = ""  # without it, help says <bool> after a flag
        flag.default = False  # instead of None, which Typer imports pydantic to check
    return command


for _name, _entry in COMMANDS.items():
    _add(_name, _entry)
