"""The commands by name, with options, a one-sentence help and examples; and the typer application.

A command's module is imported when it runs, so help never waits for a numerical library.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from xrfm_cli.errors import OptionError
from xrfm_cli.options.config import gather, misspelt_variables, resolve
from xrfm_cli.options.config_page import config_page
from xrfm_cli.options.declarations import (
    CommonOptions,
    DemoOptions,
    DoctorOptions,
    EvaluateOptions,
    ExplainOptions,
    InfoOptions,
    PredictOptions,
    SampleOptions,
)
from xrfm_cli.options.fit_options import FitOptions
from xrfm_cli.options.help import WIDTH, PlainCommand, PlainGroup
from xrfm_cli.options.settings import Setting, settings_of
from xrfm_cli.terminal import streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The help and the options of a command."""

    options: type[CommonOptions]
    help: str
    examples: tuple[str, ...]  # command lines to paste


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
        examples=("xrfm sample autos", "xrfm sample bikes --output rentals.parquet"),
    ),
    "demo": Command(
        options=DemoOptions,
        help="Fit a model to a sample table in seconds, and open its report.",
        examples=("xrfm demo", "xrfm demo --output demo --no-open"),
    ),
}
KNOWN = {name: settings_of(command.options) for name, command in COMMANDS.items()}
ABOUT = "AutoML for tables: fit, predict and explain with trees of Recursive Feature Machines."
EXAMPLES = """\
xrfm fit data.csv --target price     # writes model.xrfm and its report
xrfm predict new.csv                 # reads model.xrfm, writes CSV
xrfm explain                         # shows which columns matter"""
STATUSES = (
    ("0", "Done."),
    ("1", "A threshold of --fail-under, --fail-over or --check-drift was missed."),
    ("2", "Bad input or usage, explained in one line."),
    ("3", "Internal error; --debug shows the traceback."),
    ("130", "Interrupted by Ctrl-C or SIGTERM; fit saves the best model so far."),
)


def build_app() -> typer.Typer:
    """Build the typer application of all commands."""
    app = typer.Typer(
        cls=_shaped(PlainGroup, examples=EXAMPLES, statuses=STATUSES),
        help=ABOUT,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=WIDTH,
    )

    @app.callback(invoke_without_command=True)
    def root(
        ctx: typer.Context,
        version: Annotated[bool, typer.Option("--version", "-V", help="Show the version.")] = False,
    ) -> None:
        if version:
            from xrfm_cli import __version__

            typer.echo(f"xrfm {__version__}")
            raise typer.Exit
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    for name, command in COMMANDS.items():
        shape = _shaped(PlainCommand, settings=KNOWN[name], examples="\n".join(command.examples))
        app.command(name, cls=shape, help=command.help, context_settings=WIDTH)(_entry(name, command))
    return app


def _shaped(base: type, **attributes: Any) -> type:
    """Return a subclass of a typer command with class attributes that its help page needs."""
    return type(base.__name__, (base,), attributes)


def _entry(name: str, command: Command) -> Callable[..., None]:
    """Return the function that typer calls: it resolves the options and runs the command's module."""

    def entry(ctx: typer.Context, **typed: Any) -> None:
        from xrfm_cli.commands.session import open_session

        settings = KNOWN[name]
        given = gather(settings, typed, command=name, known=KNOWN, environment=os.environ)
        options = command.options(**resolve(settings, given))
        if options.print_config:
            results = streams.documents()
            results.write(config_page(name, command.options, given))
            results.flush()
            return
        for field, setting in settings.items():
            if setting.is_required and field not in given:
                raise OptionError(
                    f"xrfm {name}: missing argument '{setting.metavar}'. See xrfm {name} --help"
                )
        with open_session(name, options, started=ctx.obj) as session:
            known = {item.key for settings in KNOWN.values() for item in settings.values()}
            for line in misspelt_variables(os.environ, known):
                session.renderer.note(line)
            run = importlib.import_module(f"xrfm_cli.commands.{name}").run
            status = run(options, session)
            session.renderer.log(f"exit status {status}")
        if status:
            raise typer.Exit(status)

    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [_parameter(field, setting) for field, setting in KNOWN[name].items()]
    signature = inspect.Signature([context, *parameters])
    entry.__signature__ = signature  # type: ignore[attr-defined]
    entry.__annotations__ = {item.name: item.annotation for item in signature.parameters.values()}
    return entry


def _completion(choices: Sequence[str]) -> Callable[[str], list[str]] | None:
    """Return a completer of the choices; without choices, None, and the shell completes files."""
    if not choices:
        return None

    def complete(incomplete: str) -> list[str]:
        return [word for word in choices if word.startswith(incomplete)]

    return complete


def _parameter(field: str, setting: Setting) -> inspect.Parameter:
    """Convert a setting to a typer parameter: an optional string, which the setting parses later."""
    kind: Any = bool if setting.is_flag else list[str] | None if setting.is_repeatable else str | None
    default: Any = False if setting.is_flag else None
    if setting.is_argument:
        info = typer.Argument(metavar=setting.metavar.strip("[]"), help=setting.help)
    else:
        info = typer.Option(
            *setting.flags,
            metavar=setting.metavar or None,
            help=setting.help,
            autocompletion=_completion(setting.choices),
        )
    annotation = Annotated[kind, info]
    return inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
