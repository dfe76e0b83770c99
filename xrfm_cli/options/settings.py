"""Options declared once: a dataclass field that carries its flags, its help and how its text is read.

A command's options are a frozen dataclass; the command line, the environment, the configuration file,
``--help`` and ``docs/cli.md`` are all derived from its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from xrfm_cli.options.parsing import Choice

SECTIONS = ("Data", "Reading", "Columns", "Search", "Model", "Checks", "Output", "Machine", "General")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the front door knows of one option or argument."""

    flags: tuple[str, ...]  # ("--model", "-m"); empty for an argument
    metavar: str  # what stands for the value in help; empty for a flag that takes none
    help: str
    section: str = "General"
    parse: Callable[[str], Any] = str
    is_repeatable: bool = False
    is_required: bool = False
    default_text: str = ""  # how help spells the default, empty to say nothing

    @property
    def is_argument(self) -> bool:
        """Whether the value is given by its place, not by a flag."""
        return not self.flags

    @property
    def is_flag(self) -> bool:
        """Whether it is a switch that takes no value."""
        return not self.is_argument and not self.metavar

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it takes, where there are a few of them."""
        return self.parse.known if isinstance(self.parse, Choice) else ()

    @property
    def key(self) -> str:
        """Its name in a configuration file, and after ``XRFM_`` in the environment.

        >>> Setting(flags=("--time-limit",), metavar="TIME", help="").key
        'time_limit'
        """
        return self.flags[0].removeprefix("--").replace("-", "_") if self.flags else ""


def option(
    *flags: str,
    metavar: str,
    help: str,
    section: str,
    parse: Callable[[str], Any] = str,
    default: Any = None,
    default_text: str = "",
) -> Any:
    """A dataclass field for an option that takes one value."""
    shown = default_text or ("" if default is None else str(default))
    setting = Setting(
        flags=flags, metavar=metavar, help=help, section=section, parse=parse, default_text=shown
    )
    return field(default=default, metadata={"setting": setting})


def repeatable(*flags: str, metavar: str, help: str, section: str, parse: Callable[[str], Any] = str) -> Any:
    """A dataclass field for an option that may be given several times; a tuple."""
    setting = Setting(
        flags=flags, metavar=metavar, help=help, section=section, parse=parse, is_repeatable=True
    )
    return field(default=(), metadata={"setting": setting})


def flag(*flags: str, help: str, section: str) -> Any:
    """A dataclass field for a switch."""
    setting = Setting(flags=flags, metavar="", help=help, section=section)
    return field(default=False, metadata={"setting": setting})


def argument(metavar: str, *, help: str, parse: Callable[[str], Any] = str, is_required: bool = True) -> Any:
    """A dataclass field for a value given by its place."""
    setting = Setting(flags=(), metavar=metavar, help=help, parse=parse, is_required=is_required)
    return field(default=None, metadata={"setting": setting})


def settings_of(options_type: type) -> dict[str, Setting]:
    """Field name to setting, arguments first, then by section in the order help shows them."""
    found = {item.name: item.metadata["setting"] for item in fields(options_type)}
    return dict(sorted(found.items(), key=lambda pair: _place(pair[1])))


def _place(setting: Setting) -> int:
    return -1 if setting.is_argument else SECTIONS.index(setting.section)
