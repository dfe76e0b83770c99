"""Parse command-line strings into values: sizes, pinned hyperparameters, thresholds, choices.

Every function takes a string and either returns a value or raises an ``OptionError``. Its one-line
message repeats the string and names a valid form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.options.cores import most_threads
from xrfm_cli.tuning.config import ALL_ROWS, FEWEST_DRAWN_ROWS, MOST_WHOLE

BYTES = {"": 1, "b": 1} | {
    unit + ending: base**power
    for power, unit in enumerate("kmgt", start=1)
    for ending, base in (("", 1024), ("ib", 1024), ("b", 1000))
}

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
MOST_BYTES = 2.0**63  # byte counts are signed 64-bit integers

FORMATS = ("html", "json", "md", "png")  # of a report


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A metric value that the test rows must reach, typed as ``r2=0.8``."""

    metric: str
    limit: float


def parse_size(text: str) -> int:
    """Return the bytes of ``4GiB``, ``500MB`` or a plain number.

    >>> parse_size("4GiB"), parse_size("1.5 kB"), parse_size("512M")
    (4294967296, 1500, 536870912)
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in BYTES or float(match[1]) == 0:
        raise OptionError(f"'{text}' is not a size: write 4GiB, 500MB or plain bytes")
    size = float(match[1]) * BYTES[match[2]]
    if size > MOST_BYTES:
        raise OptionError(f"'{text}' is more than a computer can address; leave it out")
    return int(size)


def parse_workers(text: str) -> int | None:
    """Return the number of worker processes; None for ``auto``.

    >>> parse_workers("3"), parse_workers("auto")
    (3, None)
    """
    word = text.strip().lower()
    if word == "auto":
        return None
    if not word.isdecimal() or not 1 <= int(word) <= most_threads():
        raise OptionError(f"'{text}' is not a number of workers: write auto, or 1 to {most_threads()}")
    return int(word)


def parse_rows(text: str) -> int | str:
    """Parse a number of rows, or ``all``.

    >>> parse_rows("50_000"), parse_rows("all")
    (50000, 'all')
    """
    number = _number(text)
    if text != ALL_ROWS and (not isinstance(number, int) or number < FEWEST_DRAWN_ROWS):
        raise OptionError(
            f"'{text}' is not a number of rows: write a whole number from {FEWEST_DRAWN_ROWS}, or all"
        )
    return text if number is None else int(number)


def parse_formats(text: str) -> str:
    """Parse the formats of a report, separated by commas.

    >>> parse_formats("md, html,md")
    'md,html'
    """
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not names:
        raise OptionError(f"'{text}' names no format; choose from {_listing(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise OptionError(f"'{name}' is not one of {_listing(FORMATS)}.{did_you_mean(name, FORMATS)}")
    return ",".join(names)


def fraction(what: str, *, example: float) -> Callable[[str], float]:
    """Return a parser of numbers strictly between 0 and 1.

    >>> fraction("a share of the rows", example=0.2)("0.9")
    0.9
    """

    def parse(text: str) -> float:
        found = _number(text)
        if found is None or not 0 < found < 1:
            raise OptionError(f"'{text}' is not {what} between 0 and 1, such as {example}")
        return float(found)

    return parse


def positive_number(text: str) -> float:
    """Parse a finite number above 0.

    >>> positive_number("0.25")
    0.25
    """
    number = _number(text)
    if number is None or number <= 0:
        raise OptionError(f"'{text}' is not a number above 0, such as 0.25")
    return float(number)


def parse_pin(text: str) -> tuple[str, object]:
    """Parse ``NAME=VALUE``; the value becomes a boolean, number or string, whichever fits first.

    >>> parse_pin("leaf_size=4000"), parse_pin("ridge=1e-3"), parse_pin("kernel=norm")
    (('leaf_size', 4000), ('ridge', 0.001), ('kernel', 'norm'))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name or not value:
        raise OptionError(f"'{text}' is not a setting: write NAME=VALUE, such as bandwidth=5")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    number = _number(value)
    return name, value if number is None else number


def parse_threshold(text: str) -> Threshold:
    """Parse ``METRIC=NUMBER``.

    >>> parse_threshold("r2=0.8")
    Threshold(metric='r2', limit=0.8)
    """
    name, _, value = (part.strip() for part in text.partition("="))
    limit = _number(value)
    if not name or limit is None:
        raise OptionError(f"'{text}' is not a threshold: write METRIC=NUMBER, such as r2=0.8")
    return Threshold(metric=name, limit=float(limit))


def parse_character(text: str) -> str:
    r"""Parse one character; a tab may be written ``\t`` or ``tab``.

    >>> parse_character("tab"), parse_character(";")
    ('\t', ';')
    """
    character = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(character) != 1:
        raise OptionError(f"'{text}' is not one character, such as ; or tab")
    return character


def parse_sign(text: str) -> str:
    r"""Parse one character; ``none`` gives an empty string.

    >>> parse_sign("none"), parse_sign("'")
    ('', "'")
    """
    if text != "none" and len(text) != 1:
        raise OptionError(f"'{text}' is neither one character nor none")
    return "" if text == "none" else text


def parse_prefix(text: str) -> str:
    """Parse the prefix of comment lines; ``none`` gives an empty string.

    >>> parse_prefix("//"), parse_prefix("none")
    ('//', '')
    """
    if not text.strip():
        raise OptionError("a blank cannot mark comments; give a prefix such as '#', or none")
    return "" if text == "none" else text


def whole_number(*, least: int, most: int = MOST_WHOLE) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``least`` to ``most``.

    >>> whole_number(least=0)("20")
    20
    """

    def parse(text: str) -> int:
        number = _number(text)
        if not isinstance(number, int) or number < least:
            raise OptionError(f"'{text}' is not a whole number of at least {least}")
        if number > most:
            raise OptionError(f"'{text}' is more than {most:,}, the maximum here")
        return number

    return parse


def one_of(*known: str) -> Callable[[str], str]:
    """Return a parser that accepts one of the known words.

    >>> one_of("quick", "best")("quick")
    'quick'
    """

    def parse(text: str) -> str:
        if text not in known:
            raise OptionError(f"'{text}' is not one of {_listing(known)}.{did_you_mean(text, known)}")
        return text

    return parse


def parse_text(text: str) -> str:
    """Refuse a blank string, which an unset shell variable leaves behind."""
    if not text.strip():
        raise OptionError("is empty; if it comes from a shell variable, that variable is not set")
    return text


def parse_flag(text: str | bool) -> bool:
    """Parse the switch of an environment variable.

    >>> parse_flag("yes"), parse_flag("off")
    (True, False)
    """
    if isinstance(text, bool):
        return text
    if text.lower() not in YES + NO:
        raise typer.BadParameter(f"'{text}' is neither 1 nor 0")
    return text.lower() in YES


def _listing(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _number(text: str) -> int | float | None:
    """Return the finite number that a string spells, or None."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
