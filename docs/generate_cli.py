"""Write ``docs/cli.md`` from the commands' own help: ``python docs/generate_cli.py``."""

from __future__ import annotations

from pathlib import Path

import typer

from xrfm_cli.commands.registry import COMMANDS, KNOWN, build_app

PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """\
# The command line

This page is generated from `--help` by `python docs/generate_cli.py`; a test checks that it is current.

Every option can also be set by an environment variable: `XRFM_` and the option's name in capitals with
underscores (`XRFM_TIME_LIMIT=10m`; lists are separated by commas or written as JSON).
The third way is a TOML file, given with `--config`.
Options override the environment, and the environment overrides the file.
In the file, top-level names apply to every command that has the option; a table named after a command
applies to that command only:

```toml
seed = 7

[fit]
target = "price"
time_limit = "10m"
drop = ["comment"]
set = { kernel = "norm", bandwidth = 5.0 }
```

`--print-config` prints all options in effect as such a file, each with its source.
`xrfm --install-completion` installs completion of commands, options and option values for the current
shell: bash, zsh, fish or PowerShell. [Batch jobs](batch.md) has examples.

Results go to standard output, progress and messages to standard error. `--json` prints one JSON document
on standard output, with `schema_version`, `command` and `xrfm_version`.
"""


def page() -> str:
    """Return the whole page."""
    application = typer.main.get_command(build_app())
    parts = [INTRODUCTION, _section("xrfm", application.get_help(application.make_context("xrfm", [])))]
    for name in COMMANDS:
        command = application.commands[name]  # type: ignore[attr-defined]
        parent = application.make_context("xrfm", [name])
        context = command.make_context(name, ["data.csv"][: _needs_data(name)], parent=parent)
        parts.append(_section(f"xrfm {name}", command.get_help(context)))
    return "\n".join(parts)


def _needs_data(name: str) -> int:
    return int(any(setting.is_required for setting in KNOWN[name].values()))


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
