"""``--print-config``: the options in effect as a file for ``--config``, each with where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields

from xrfm_cli.options.config import Given
from xrfm_cli.options.settings import settings_of
from xrfm_cli.options.shell_words import shell_line

OUTSIDE = ("config", "print_config")  # what a configuration file has no use for


def config_page(command: str, options_type: type, given: Mapping[str, Given]) -> str:
    """TOML that sets every option of a command; what has no value stands there as a comment.

    Read back with ``--config`` it gives the same options.
    """
    settings = settings_of(options_type)
    defaults = {item.name: item.default for item in fields(options_type)}
    arguments = [str(given[name].value) for name in settings if settings[name].is_argument and name in given]
    lines = [f"# The options of: {shell_line(['xrfm', command, *arguments])}", f"[{command}]"]
    section = ""
    for name, setting in settings.items():
        if setting.is_argument or setting.key in OUTSIDE:
            continue
        if setting.section != section:
            section = setting.section
            lines += ["", f"# {section}"]
        default = defaults[name]
        if name in given:
            place = " ".join(given[name].place.split())  # a comment ends with its line
            lines.append(f"{setting.key} = {_toml(given[name].value)}  # {place}")
        elif default is None:
            lines.append(f"# {setting.key}: {setting.default_text or 'not set'}")
        else:
            lines.append(f"{setting.key} = {_toml(_plain(default))}")
    return "\n".join(lines) + "\n"


def _plain(default: object) -> str | bool | list[str]:
    """A default as it would have been given; that of a repeatable option is empty."""
    if isinstance(default, bool):
        return default
    return [] if default == () else str(default)


def _toml(value: str | bool | list[str]) -> str:
    """A value as TOML: a switch, a list of texts, a whole number or a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(quoted_toml(item) for item in value)}]"
    return value if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else quoted_toml(value)


def quoted_toml(text: str) -> str:
    """A basic string of TOML, which escapes as JSON does and the control character that JSON leaves."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
