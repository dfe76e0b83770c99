"""``--print-config``: write the options in effect, with their sources, as a file for ``--config``."""

from __future__ import annotations

import json
import re
from typing import Any

from xrfm_cli.options.config import source_of
from xrfm_cli.options.settings import key_of
from xrfm_cli.options.shell_words import shell_line
from xrfm_cli.urls import without_secrets

OUTSIDE = ("", "config", "print_config", "help")  # meaningless in a configuration file


def config_page(ctx: Any) -> str:
    """Return TOML that sets every option of a command; options without a value are comments.

    Reading it back with ``--config`` gives the same options, except for passwords and queries of URLs, which
    are never printed.
    """
    params = ctx.command.params
    arguments = [
        without_secrets(str(ctx.params[item.name]))
        for item in params
        if not key_of(item) and ctx.params[item.name]
    ]
    lines = [f"# The options of: {shell_line(['xrfm', ctx.info_name, *arguments])}", f"[{ctx.info_name}]"]
    panel = ""
    for param in (item for item in params if key_of(item) not in OUTSIDE):
        if param.rich_help_panel != panel:
            panel = param.rich_help_panel
            lines += ["", f"# {panel}"]
        value = [] if param.multiple and ctx.params[param.name] is None else ctx.params[param.name]
        place = " ".join((source_of(ctx, param) or "").split())  # a comment ends with its line
        if value is None:
            default = param.show_default if isinstance(param.show_default, str) else "not set"
            lines.append(f"# {key_of(param)}: {default}")
        else:
            lines.append(f"{key_of(param)} = {_toml(value)}{f'  # {place}' if place else ''}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Format a flag, a list, an integer or a string as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(quoted_toml(str(item)) for item in value)}]"
    text = str(value)
    return text if re.fullmatch(r"0|-?[1-9][0-9]{0,17}", text) else quoted_toml(without_secrets(text))


def quoted_toml(text: str) -> str:
    """Return a TOML basic string: JSON escapes, and the control character DEL that JSON does not escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
