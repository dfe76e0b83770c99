"""Read the options of a configuration file, and of lists in the environment, as Typer's defaults.

The command line wins over the environment, which wins over the file. The file uses the option names with
underscores. Top-level names apply to every command that has the option; a table named after a command
applies to that command only::

    seed = 7
    [fit]
    time_limit = "10m"
    drop = ["id", "comment"]
    set = { kernel = "norm", bandwidth = 5.0 }
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from xrfm_cli.errors import OptionError, did_you_mean, why_absent
from xrfm_cli.options.settings import PREFIX, Given, key_of


def load_config(ctx: typer.Context, given: Given | None) -> Given | None:
    """Set the command's defaults from a file and from variables of lists; the callback of ``--config``."""
    in_file = {} if given is None else read_config(given.text, str(ctx.info_name), keys_of_commands(ctx))
    ctx.default_map = {}
    for param in ctx.command.params:
        if variable := _variable_of_list(param):
            ctx.default_map[param.name] = _split(os.environ[variable], variable)
        elif key_of(param) in in_file:
            place = f"{given}: {key_of(param)}"
            ctx.default_map[param.name] = _as_given(param, in_file[key_of(param)], place)
    return given


def _variable_of_list(param: Any) -> str:
    """Return the variable that is set for a repeatable option; click would split it at blanks."""
    variable = PREFIX + key_of(param).upper()
    return variable if getattr(param, "multiple", False) and os.environ.get(variable) else ""


def keys_of_commands(ctx: Any) -> dict[str, set[str]]:
    """Return the names of every command's options in a configuration file."""
    return {
        name: {key_of(param) for param in command.params} - {"", "config", "help"}
        for name, command in ctx.parent.command.commands.items()
    }


def source_of(ctx: Any, param: Any) -> str | None:
    """Return where a value comes from: a flag, a variable, or a file and a name in it; None for a default."""
    source = ctx.get_parameter_source(param.name)
    if source is None or source.name == "DEFAULT":
        return None
    if source.name == "DEFAULT_MAP":
        return _variable_of_list(param) or f"{ctx.params['config']}: {key_of(param)}"
    is_typed = source.name == "COMMANDLINE"
    return str((param.opts[0] if key_of(param) else param.metavar) if is_typed else param.envvar)


def read_config(path: str, command: str, keys: Mapping[str, set[str]]) -> dict[str, Any]:
    """Return the options that a file sets for one command; refuse names that no command has."""
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptionError(
            f"{path}: cannot be read as a configuration file: there is no such file{why_absent(Path(path))}"
        ) from None
    except OSError as fault:
        raise OptionError(f"{path}: cannot be read as a configuration file: {fault.strerror}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise OptionError(f"{path}: is not TOML: {fault}") from fault
    plain = {key: value for key, value in document.items() if key not in keys}
    _refuse_unknown(path, plain, set(keys).union(*keys.values()))
    for name in document.keys() & keys.keys():
        if not isinstance(document[name], dict):
            raise OptionError(f"{path}: '{name}' names a command: write its options under [{name}]")
        _refuse_unknown(f"{path}: [{name}]", document[name], keys[name])
    return {key.replace("-", "_"): value for key, value in (plain | document.get(command, {})).items()}


def misspelt_variables(environment: Mapping[str, str], known: set[str]) -> list[str]:
    """Return a warning for each ``XRFM_...`` variable that looks like a misspelt option.

    >>> misspelt_variables({"XRFM_TRAILS": "3"}, {"trials", "seed"})
    ["XRFM_TRAILS is set but is not an option. Did you mean 'trials'?"]
    """
    lines = []
    for name in sorted(name for name in environment if name.startswith(PREFIX)):
        key = name.removeprefix(PREFIX).lower()
        near = "" if key in known else did_you_mean(key, known)
        if near:
            lines.append(f"{name} is set but is not an option.{near}")
    return lines


def _refuse_unknown(place: str, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if (key := name.replace("-", "_")) not in known:
            raise OptionError(f"{place}: no option '{name}'.{did_you_mean(key, known)}")


def _split(text: str, variable: str) -> list[str]:
    """Split the list of a variable: at commas, or JSON."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",")]
    try:
        return [str(item) for item in json.loads(text)]
    except json.JSONDecodeError as fault:
        raise OptionError(f"{variable}: is not a JSON list: {fault}") from fault


def _as_given(param: Any, value: Any, place: str) -> bool | str | list[str]:
    """Convert a TOML value to what the command line would give."""
    if param.is_flag or isinstance(value, bool):
        if not (param.is_flag and isinstance(value, bool)):
            raise OptionError(f"{place}: {'takes true or false' if param.is_flag else 'needs a value'}")
        return value
    if param.multiple:
        if isinstance(value, dict):
            return [f"{name}={item}" for name, item in value.items()]
        return [str(item) for item in (value if isinstance(value, list) else [value])]
    if isinstance(value, list | dict):
        raise OptionError(f"{place}: takes one value")
    return str(value)
