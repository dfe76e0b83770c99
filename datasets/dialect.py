"""How a text table is written: what the user said of it, and what was found out."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal

from xrfm_cli.errors import OptionError

BadRows = Literal["stop", "skip"]
DateOrder = Literal["dmy", "mdy", "ymd"]
_SAMPLE = "a,1\n"  # of text that every encoding can write
_OF_HOST_NAMES = {"idna", "punycode"}  # encodings that cannot decode a text piece by piece
_SHOWN = {"\t": "tab", " ": "blank", "\x1f": "unit separator", "\x01": "0x01", "": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How to read text tables; None is found out from the file.

    >>> ReadOptions(delimiter=";", header_rows=2).delimiter
    ';'
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    quote: str | None = None  # "" where nothing is quoted
    escape: str | None = None  # "" where nothing is escaped but by doubling the quote
    comment: str | None = None  # "" where no line is a comment
    skip_rows: int | None = None  # lines before the table
    header_rows: int | None = None  # rows of names; 0 where the first row is data
    skip_footer: int | None = None  # rows after the table
    date_order: DateOrder | None = None  # of dates in digits, such as 02/03/2024
    bad_rows: BadRows = "stop"

    def __post_init__(self) -> None:
        for name, least in (("delimiter", 1), ("quote", 0), ("escape", 0)):
            value: str | None = getattr(self, name)
            if value is not None and not least <= len(value) <= 1:
                raise OptionError(f"{name} {value!r} is not one character")
            if value is not None and not value.isascii():
                raise OptionError(f"{name} {value!r} is not an ASCII character")
        for name in ("skip_rows", "header_rows", "skip_footer"):
            count: int | None = getattr(self, name)
            if count is not None and count < 0:
                raise OptionError(f"{name} {count} is negative")
        if self.decimal is not None and self.decimal not in (".", ","):
            raise OptionError(f"decimal mark {self.decimal!r} is neither '.' nor ','")
        if self.delimiter is not None and self.delimiter in (self.quote, self.escape):
            raise OptionError(f"delimiter {self.delimiter!r} is also the quote or the escape; give another")
        if self.encoding is not None:
            try:
                is_known = codecs.lookup(self.encoding).name not in _OF_HOST_NAMES
                is_known &= _SAMPLE.encode(self.encoding).decode(self.encoding) == _SAMPLE
            except (LookupError, ValueError):  # Python has codecs of bytes too, such as hex
                is_known = False
            if not is_known:
                raise OptionError(f"there is no text encoding {self.encoding!r}; try utf-8 or cp1252")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one text table is written, and the names of its columns."""

    delimiter: str
    encoding: str
    quote: str
    names: tuple[str, ...]
    escape: str = ""
    comment: str | None = ""  # None: no line of the beginning tells
    pads_quotes: bool = False  # blanks stand between a delimiter and a quote
    skip_lines: int = 0  # physical lines before the first row of data
    preamble_lines: int = 0  # of these, lines before the names
    header: tuple[tuple[str, ...], ...] = ()  # the rows of names as they stand in the file
    decimal: str = ""  # empty where no number with a fraction tells
    doubt: str = ""  # why the decimal mark cannot be told
    numeric_places: tuple[int, ...] = ()  # columns that hold only numbers in the beginning
    has_ruler: bool = False  # a line of dashes stands under the names and is left out
    trusts_quotes: bool = False  # the user named the quote
    has_rows: bool = True  # beside the names of the columns

    @property
    def width(self) -> int:
        """How many cells a row has."""
        return len(self.names)

    def describe(self, source: str) -> str:
        """One sentence for display."""
        facts = [
            f"delimiter {_shown(self.delimiter)}",
            f"encoding {self.encoding}",
            f"decimal mark '{self.decimal or '.'}'",
        ]
        if self.quote != '"':
            facts.append(f"quote {_shown(self.quote)}")
        if self.escape:
            facts.append(f"escape {_shown(self.escape)}")
        if self.comment:
            facts.append(f"comments after {_shown(self.comment)}")
        if self.preamble_lines:
            lines = "line" if self.preamble_lines == 1 else "lines"
            facts.append(f"{self.preamble_lines} {lines} before the table left out")
        if self.has_ruler:
            facts.append("the line of dashes under the names left out")
        if len(self.header) != 1:
            facts.append(f"{len(self.header)} rows of names")
        return f"{source}: {', '.join(facts)}"


def _shown(character: str) -> str:
    return _SHOWN.get(character, f"'{character}'")
