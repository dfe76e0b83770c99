"""Turn a dataclass of options into the parameters of a Typer command.

Typer has no groups of parameters, so a command's options are a dataclass whose fields are ``Annotated`` with
``typer.Option`` or ``typer.Argument``; commands share options by inheritance. Names of environment variables
and parsers follow from flags and types.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from xrfm_cli.errors import OptionError
from xrfm_cli.options.parsing import one_of, parse_flag, parse_text, whole_number
from xrfm_cli.tuning.config import MOST_WHOLE

PREFIX = "XRFM_"
READING = "Reading (detected unless given)"
PANELS = ("Data", READING, "Columns", "Search", "Model", "Checks", "Output", "Machine", "General")


@dataclass(frozen=True, slots=True)
class Given:
    """A parsed value, and the text that was given for it."""

    value: Any
    text: str

    def __str__(self) -> str:
        """Return the text, which Typer shows as the default."""
        return self.text


@functools.cache
def _hints(options_type: type) -> dict[str, Any]:
    """Return the types of the fields with their declarations, which take a while to find."""
    return get_type_hints(options_type, include_extras=True)


@functools.cache
def declared(options_type: type) -> dict[str, Any]:
    """Return Typer's declarations of a dataclass by field name: arguments first, then by panel."""
    hints = _hints(options_type)
    found = {item.name: hints[item.name].__metadata__[0] for item in fields(options_type)}
    return dict(sorted(found.items(), key=lambda pair: _place(pair[1])))


def flag_of(options_type: type, field: str) -> str:
    """Return the first flag of an option, such as ``--model``; empty for an argument."""
    return first_flag(declared(options_type)[field])


def first_flag(info: Any) -> str:
    """Return the first flag of a declaration, which ``typer.Option`` keeps as its default; or nothing."""
    return info.default if isinstance(info.default, str) else ""


def key_of(param: Any) -> str:
    """Return an option's name in a configuration file, and after ``XRFM_``; empty for an argument."""
    return param.opts[0].lstrip("-").replace("-", "_") if param.param_type_name == "option" else ""


def parameters(options_type: type) -> list[inspect.Parameter]:
    """Return the parameters of the Typer function that takes these options."""
    kinds = {name: get_args(hint)[0] for name, hint in _hints(options_type).items()}
    defaults = {item.name: item.default for item in fields(options_type)}
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[_typer_kind(kinds[name]), _completed(info, kinds[name])],
            # Typer gives a list for a repeated option, whatever its default is.
            default=None if defaults[name] == () else _default(defaults[name]),
        )
        for name, info in declared(options_type).items()
    ]


def _completed(info: Any, kind: Any) -> Any:
    """Return a declaration with its parser, completion and environment variable."""
    info = copy.copy(info)
    if first_flag(info) == "--help":
        info.metavar = ""
        return info  # a plain flag: Typer imports pydantic to call a parser
    words = [
        word for part in (kind, *get_args(kind)) if get_origin(part) is Literal for word in get_args(part)
    ]
    if words:
        info.parser = _keeping_text(one_of(*words))
        info.autocompletion = info.autocompletion or (lambda incomplete: words)
    elif info.min is not None:
        # Typer's own messages do not repeat the text, and they differ between its versions.
        info.parser = _keeping_text(whole_number(least=info.min, most=info.max or MOST_WHOLE))
        info.min = info.max = None
    else:
        info.parser = parse_flag if kind is bool else _keeping_text(info.parser or parse_text)
    if first_flag(info) and get_origin(kind) is not tuple:  # lists are split at commas by load_config
        info.envvar = PREFIX + first_flag(info).lstrip("-").replace("-", "_").upper()
    if get_origin(kind) is tuple:
        info.help += " Repeatable."
    info.show_envvar = False
    info.metavar = info.metavar or ""  # without it, help says <bool> after a flag
    return info


def _keeping_text(parse: Callable[[str], Any]) -> Callable[[Any], Given]:
    """Return a parser for Typer, which adds the parameter to a BadParameter."""

    def keep(given: Any) -> Given:
        if isinstance(given, Given):
            return given
        try:
            return Given(parse(str(given)), str(given))
        except OptionError as fault:
            raise typer.BadParameter(str(fault)) from fault

    keep.__name__ = "text"  # older versions of Typer show it as the type of an argument
    return keep


def _typer_kind(kind: Any) -> Any:
    return bool if kind is bool else list[str] | None if get_origin(kind) is tuple else str | None


def _default(default: Any) -> Any:
    return inspect.Parameter.empty if default is MISSING else default


def _place(info: Any) -> int:
    return PANELS.index(info.rich_help_panel) if first_flag(info) else -1
