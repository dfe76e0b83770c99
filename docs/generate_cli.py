"""Write ``docs/cli.md`` from the commands' own help: ``python docs/generate_cli.py``."""

from __future__ import annotations

from pathlib import Path

import typer

from xrfm_cli.commands.registry import COMMANDS, KNOWN, build_app

PAGE = Path(__file__).with_name("cli.md")
INTRODUCTION = """\
# The command line

Made from `--help` by `python docs/generate_cli.py`; a test keeps the two equal.

Every option can also be given as an environment variable, `XRFM_` and its name in capitals with
underscores (`XRFM_TIME_LIMIT=10m`, lists with commas or as JSON), or in a TOML file named by `--config`.
Options win over the environment, the environment over the file. In the file, names at the top serve
every command that has them, and a table named after a command serves that command alone:

```toml
seed = 7

[fit]
target = "price"
time_limit = "10m"
drop = ["comment"]
set = { kernel = "norm", bandwidth = 5.0 }
```

`--print-config` prints all options in effect as such a file, each with where it comes from.
`xrfm --install-completion` teaches bash, zsh, fish or PowerShell, whichever it is typed in, to complete
commands, options and the words that options take. [Batch jobs](batch.md) shows all this at work.

Results go to standard output, progress and messages to standard error. `--json` prints one JSON document
on standard output, with `schema_version`, `command` and `xrfm_version`.
"""


def page() -> str:
    """The whole page."""
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
