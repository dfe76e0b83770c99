"""CSV dialects: options given by the user and facts that were sniffed."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Literal

from xrfm_cli.errors import OptionError
from xrfm_cli.mentions import option

BadRows = Literal["stop", "skip"]
DateOrder = Literal["dmy", "mdy", "ymd"]
_SAMPLE = "a,1\n"  # any text encoding can write this
_OF_HOST_NAMES = {"idna", "punycode"}  # encodings that cannot decode text incrementally
_SHOWN = {"\t": "tab", " ": "blank", "\x1f": "unit separator", "\x01": "0x01", "": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options for reading text tables; None means: sniff it from the file.

    >>> ReadOptions(delimiter=";", header_rows=2).delimiter
    ';'
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    quote: str | None = None  # "" means no quoting
    escape: str | None = None  # "" means no escape character; quotes are doubled
    comment: str | None = None  # "" means no comment lines
    skip_rows: int | None = None  # lines before the table
    header_rows: int | None = None  # header rows; 0 means that the first row is data
    skip_footer: int | None = None  # rows after the table
    date_order: DateOrder | None = None  # of all-digit dates, such as 02/03/2024
    bad_rows: BadRows = "stop"
    sheet: str | None = None  # of a workbook, by name or number

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
            except (LookupError, ValueError):  # Python also has bytes-to-bytes codecs, such as hex
                is_known = False
            if not is_known:
                raise OptionError(f"there is no text encoding {self.encoding!r}; try utf-8 or cp1252")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one text table is written, and its column names."""

    delimiter: str
    encoding: str
    quote: str
    names: tuple[str, ...]
    escape: str = ""
    comment: str | None = ""  # None: the sample did not show one
    pads_quotes: bool = False  # blanks between a delimiter and a quote
    skip_lines: int = 0  # physical lines before the first row of data
    preamble_lines: int = 0  # of these, lines before the header
    header: tuple[tuple[str, ...], ...] = ()  # the header rows as written in the file
    decimal: str = ""  # empty if no number in the sample has a fraction
    doubt: str = ""  # why the decimal mark is ambiguous
    numeric_places: tuple[int, ...] = ()  # columns with only numbers in the sample
    has_ruler: bool = False  # a line of dashes under the header, which is skipped
    trusts_quotes: bool = False  # the user gave the quote character
    has_rows: bool = True  # besides the header
    sheet: str | None = None  # of a workbook
    other_sheets: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Return the number of cells in a row."""
        return len(self.names)

    def describe(self, source: str) -> str:
        """Describe the dialect in one sentence for display."""
        if self.sheet is None:
            facts = [f"delimiter {_shown(self.delimiter)}", f"encoding {self.encoding}"]
            facts.append(f"decimal mark '{self.decimal or '.'}'")
        else:
            facts = [f"sheet '{self.sheet}'"]
            if self.other_sheets:
                facts.append(f"not {', '.join(self.other_sheets)}, which {option('sheet')} chooses")
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
            facts.append("the line of dashes under the header left out")
        if len(self.header) != 1:
            facts.append(f"{len(self.header)} header rows")
        return f"{source}: {', '.join(facts)}"


def _shown(character: str) -> str:
    return _SHOWN.get(character, f"'{character}'")
