"""Resolve option values: the command line wins over the environment, which wins over a file.

A configuration file uses the option names with underscores. Top-level names apply to every command
that has the option; a table named after a command applies to that command only::

    seed = 7
    [fit]
    time_limit = "10m"
    drop = ["id", "comment"]
    set = { kernel = "norm", bandwidth = 5.0 }
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrfm_cli.errors import OptionError, did_you_mean, why_absent
from xrfm_cli.options.settings import Setting

PREFIX = "XRFM_"
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The value given for an option, and its source."""

    value: str | bool | list[str]
    place: str  # for error messages: a flag, a variable, or a file and a name in it; empty for an argument


def gather(
    settings: Mapping[str, Setting],
    typed: Mapping[str, Any],
    *,
    command: str,
    known: Mapping[str, Mapping[str, Setting]],
    environment: Mapping[str, str],
) -> dict[str, Given]:
    """Return the given options of a command by field name; options that were not given are absent.

    ``typed`` holds strings from the command line (None, () or False for options that were not typed).
    ``known`` holds the settings of every command, because one file may configure all of them.
    """
    found: dict[str, Given] = {}
    file = typed.get("config")
    if file is not None:
        _refuse_blank(file, "--config")
    file = file or environment.get(f"{PREFIX}CONFIG")
    in_file = read_config(file, command=command, known=known) if file else {}
    for name, setting in settings.items():
        text = typed.get(name)
        variable = f"{PREFIX}{setting.key.upper()}"
        if text is not None and text is not False and text != ():
            value = list(text) if setting.is_repeatable else text
            found[name] = Given(value=value, place=setting.flags[0] if setting.flags else "")
        elif not setting.is_argument and environment.get(variable):
            value = _from_variable(setting, environment[variable], variable)
            found[name] = Given(value=value, place=variable)
        elif setting.key in in_file and not setting.is_argument:
            place = f"{file}: {setting.key}"
            found[name] = Given(value=_from_file(setting, in_file[setting.key], place), place=place)
    return found


def resolve(settings: Mapping[str, Setting], given: Mapping[str, Given]) -> dict[str, Any]:
    """Return the parsed values by field name; an OptionError names the source of an invalid value."""
    return {name: _parse(settings[name], item.value, item.place) for name, item in given.items()}


def read_config(path: str, *, command: str, known: Mapping[str, Mapping[str, Setting]]) -> dict[str, Any]:
    """Return the options that a configuration file sets for one command; refuse unknown names."""
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
    keys = {
        name: {item.key for item in settings.values()} - {"", "config"} for name, settings in known.items()
    }
    plain = {key: value for key, value in document.items() if key not in known}
    _refuse_unknown(path, plain, set().union(*keys.values()) | set(known))
    for name in document.keys() & known.keys():
        if not isinstance(document[name], dict):
            raise OptionError(f"{path}: '{name}' names a command: write its options under [{name}]")
        _refuse_unknown(f"{path}: [{name}]", document[name], keys[name])
    return {_key(key): value for key, value in (plain | document.get(command, {})).items()}


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


def _key(name: str) -> str:
    return name.replace("-", "_")


def _refuse_unknown(place: str, given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if _key(name) not in known:
            raise OptionError(f"{place}: no option '{name}'.{did_you_mean(_key(name), known)}")


def _parse(setting: Setting, text: Any, place: str) -> Any:
    """Parse one string, or each string of a repeatable option; errors name the source."""
    if setting.is_flag:
        return bool(text)
    for item in text if setting.is_repeatable else [text]:
        if setting.parse is str:
            _refuse_blank(item, place or setting.metavar.strip("[]"))
    try:
        return tuple(setting.parse(item) for item in text) if setting.is_repeatable else setting.parse(text)
    except OptionError as fault:
        raise OptionError(f"{place}: {fault}" if place else str(fault)) from fault


def _refuse_blank(text: str, place: str) -> None:
    """Raise `OptionError` for a blank string, which an unset shell variable leaves behind."""
    if not text.strip():
        raise OptionError(f"{place}: is empty; if it comes from a shell variable, that variable is not set")


def _from_variable(setting: Setting, text: str, variable: str) -> str | bool | list[str]:
    """Convert a variable's text for an option: yes or no for flags, commas or JSON for lists."""
    if setting.is_flag:
        if text.lower() not in YES + NO:
            raise OptionError(f"{variable}: '{text}' is neither 1 nor 0")
        return text.lower() in YES
    if not setting.is_repeatable:
        return text
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",")]
    try:
        return [str(item) for item in json.loads(text)]
    except json.JSONDecodeError as fault:
        raise OptionError(f"{variable}: is not a JSON list: {fault}") from fault


def _from_file(setting: Setting, value: object, place: str) -> str | bool | list[str]:
    """Convert a TOML value for an option."""
    if setting.is_flag or isinstance(value, bool):
        if not (setting.is_flag and isinstance(value, bool)):
            raise OptionError(f"{place}: {'takes true or false' if setting.is_flag else 'needs a value'}")
        return value
    if setting.is_repeatable and isinstance(value, dict):
        return [f"{name}={item}" for name, item in value.items()]
    if setting.is_repeatable:
        return [str(item) for item in (value if isinstance(value, list) else [value])]
    if isinstance(value, list | dict):
        raise OptionError(f"{place}: takes one value")
    return str(value)
