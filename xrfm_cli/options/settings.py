"""Declare each option once, as a dataclass field that carries its flags, help text and parser.

A command's options are a frozen dataclass. The command line, the environment, the configuration file,
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
    """The declaration of one option or argument."""

    flags: tuple[str, ...]  # ("--model", "-m"); empty for an argument
    metavar: str  # the value's placeholder in help; empty for a flag
    help: str
    section: str = "General"
    parse: Callable[[str], Any] = str
    is_repeatable: bool = False
    is_required: bool = False
    default_text: str = ""  # the default in help; empty to omit it

    @property
    def is_argument(self) -> bool:
        """Whether this is a positional argument."""
        return not self.flags

    @property
    def is_flag(self) -> bool:
        """Whether this is a flag without a value."""
        return not self.is_argument and not self.metavar

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted words; empty if any text is accepted."""
        return self.parse.known if isinstance(self.parse, Choice) else ()

    @property
    def key(self) -> str:
        """The name in a configuration file, and after ``XRFM_`` in the environment.

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
    """Return a dataclass field for an option that takes one value."""
    shown = default_text or ("" if default is None else str(default))
    setting = Setting(
        flags=flags, metavar=metavar, help=help, section=section, parse=parse, default_text=shown
    )
    return field(default=default, metadata={"setting": setting})


def repeatable(*flags: str, metavar: str, help: str, section: str, parse: Callable[[str], Any] = str) -> Any:
    """Return a dataclass field for a repeatable option; its value is a tuple."""
    setting = Setting(
        flags=flags, metavar=metavar, help=help, section=section, parse=parse, is_repeatable=True
    )
    return field(default=(), metadata={"setting": setting})


def flag(*flags: str, help: str, section: str) -> Any:
    """Return a dataclass field for a flag without a value."""
    setting = Setting(flags=flags, metavar="", help=help, section=section)
    return field(default=False, metadata={"setting": setting})


def argument(metavar: str, *, help: str, parse: Callable[[str], Any] = str, is_required: bool = True) -> Any:
    """Return a dataclass field for a positional argument."""
    setting = Setting(flags=(), metavar=metavar, help=help, parse=parse, is_required=is_required)
    return field(default=None, metadata={"setting": setting})


def settings_of(options_type: type) -> dict[str, Setting]:
    """Return the settings by field name: arguments first, then by section in the order of the help."""
    found = {item.name: item.metadata["setting"] for item in fields(options_type)}
    return dict(sorted(found.items(), key=lambda pair: _place(pair[1])))


def _place(setting: Setting) -> int:
    return -1 if setting.is_argument else SECTIONS.index(setting.section)
