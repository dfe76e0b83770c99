"""Plain help: one sentence, examples to paste, the options by section; 80 columns, no boxes.

Written over the few formatter methods that click has always had, so that the text, and with it
``docs/cli.md``, is the same with every version of typer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
import typer.core

from xrfm_cli.options.settings import Setting

WIDTH = {"terminal_width": 80, "max_content_width": 80, "help_option_names": ["-h", "--help"]}
NO_WRAP = "\b\n"  # click's mark of a paragraph whose line breaks stay


class PlainCommand(typer.core.TyperCommand):
    """A command whose help is made from its settings."""

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
    """The command ``xrfm`` itself: what it is for, its commands and how they end."""

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
            ("--install-completion", "Let this shell complete commands and options."),
            ("--show-completion", "Show the script that does so, to install it yourself."),
            ("-h, --help", "Show this text, or a command's own; so does xrfm help COMMAND."),
        ]
        write_section(formatter, "Options", options)
        write_section(formatter, "Exit status", self.statuses)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order a user meets them, not by the alphabet."""
        return list(self.commands)


def write_paragraphs(formatter: Any, *texts: str) -> None:
    """Write texts under each other, indented, with an empty line before each."""
    with formatter.indentation():
        for text in texts:
            formatter.write_paragraph()
            formatter.write_text(text)


def write_section(formatter: Any, title: str, records: Iterable[tuple[str, str]]) -> None:
    """Write a heading and names with their explanations."""
    with formatter.section(title):
        formatter.write_dl(list(records), col_max=26)


def _record(setting: Setting) -> tuple[str, str]:
    names = ", ".join(sorted(setting.flags, key=len))
    if setting.is_flag:
        return names, setting.help
    default = f" [default: {setting.default_text}]" if setting.default_text else ""
    return f"{names} {setting.metavar}", setting.help + default
