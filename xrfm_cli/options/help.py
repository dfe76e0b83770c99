"""Plain help pages: one sentence, examples to paste, options by section; 80 columns, no boxes.

They use only click's long-standing formatter methods, so the text, and therefore ``docs/cli.md``, is the
same with every version of typer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
import typer.core

from xrfm_cli.options.settings import Setting

WIDTH = {"terminal_width": 80, "max_content_width": 80, "help_option_names": ["-h", "--help"]}
NO_WRAP = "\b\n"  # tells click to keep a paragraph's line breaks


class PlainCommand(typer.core.TyperCommand):
    """A command whose help page is generated from its settings."""

    settings: dict[str, Setting]
    examples: str

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help text."""
        settings = list(self.settings.values())
        arguments = [item for item in settings if item.is_argument]
        options = [item for item in settings if not item.is_argument]
        usage = [*(item.metavar for item in arguments), "[OPTIONS]"]
        formatter.write_usage(ctx.command_path, " ".join(usage))
        write_paragraphs(formatter, self.help or "", NO_WRAP + self.examples)
        if arguments:
            records = [(item.metavar.strip("[]"), item.help) for item in arguments]
            write_section(formatter, "Arguments", records)
        for section in dict.fromkeys(item.section for item in options):
            records = [_record(item) for item in options if item.section == section]
            if section == "General":
                records.append(("-h, --help", "Show this text."))
            write_section(formatter, section, records)


class PlainGroup(typer.core.TyperGroup):
    """The top-level command ``xrfm``: its help lists the commands and the exit statuses."""

    examples: str
    statuses: tuple[tuple[str, str], ...]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help text."""
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS]")
        write_paragraphs(formatter, self.help or "", NO_WRAP + self.examples)
        commands = [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
        write_section(formatter, "Commands", commands)
        options = [
            ("-V, --version", "Show the version."),
            ("--install-completion", "Install completion for the current shell."),
            ("--show-completion", "Show the completion script, to install it yourself."),
            ("-h, --help", "Show this text; xrfm help COMMAND shows that of a command."),
        ]
        write_section(formatter, "Options", options)
        write_section(formatter, "Exit status", self.statuses)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the command names in the order in which a user needs them, not alphabetically."""
        return list(self.commands)


def write_paragraphs(formatter: Any, *texts: str) -> None:
    """Write indented paragraphs, with an empty line before each."""
    with formatter.indentation():
        for text in texts:
            formatter.write_paragraph()
            formatter.write_text(text)


def write_section(formatter: Any, title: str, records: Iterable[tuple[str, str]]) -> None:
    """Write a heading and a list of names with explanations."""
    with formatter.section(title):
        formatter.write_dl(list(records), col_max=26)


def _record(setting: Setting) -> tuple[str, str]:
    names = ", ".join(sorted(setting.flags, key=len))
    if setting.is_flag:
        return names, setting.help
    default = f" [default: {setting.default_text}]" if setting.default_text else ""
    return f"{names} {setting.metavar}", setting.help + default
