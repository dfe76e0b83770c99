"""``--print-config``: write the options in effect, with their sources, as a file for ``--config``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields

from xrfm_cli.options.config import Given
from xrfm_cli.options.settings import settings_of
from xrfm_cli.options.shell_words import shell_line

OUTSIDE = ("config", "print_config")  # meaningless in a configuration file


def config_page(command: str, options_type: type, given: Mapping[str, Given]) -> str:
    """Return TOML that sets every option of a command; options without a value are comments.

    Reading it back with ``--config`` gives the same options.
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
    """Return a default in the form in which it would be given; empty for a repeatable option."""
    if isinstance(default, bool):
        return default
    return [] if default == () else str(default)


def _toml(value: str | bool | list[str]) -> str:
    """Format a flag, a list of strings, an integer or a string as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(quoted_toml(item) for item in value)}]"
    return value if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value) else quoted_toml(value)


def quoted_toml(text: str) -> str:
    """Return a TOML basic string: JSON escapes, and the control character DEL that JSON does not escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
