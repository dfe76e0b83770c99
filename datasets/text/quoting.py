"""Misplaced quotes: their possible meanings, and whether a file uses quotes at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xrfm_cli.datasets.text.records import Record, Style
from xrfm_cli.mentions import option

_LEAST_QUOTED_LINES = 3  # including the header

QUOTE_AMID = (
    "a cell has a quote inside its text, so a delimiter may be missing before it; fix the row, or give"
)


def quote_options(quote: str) -> str:
    """Return the options that decide whether a character quotes cells or belongs to their text.

    >>> from xrfm_cli.mentions import spell
    >>> spell(quote_options("'"))
    '--quote none or --quote "\\'"'
    """
    return f"{option('quote', 'none')} or {option('quote', quote)}"


def misses_delimiter(record: Record, style: Style) -> bool:
    """Return whether a quote inside an unquoted cell may open a quoted cell whose delimiter is missing.

    Such a row may have the right number of cells, if delimiters in the quoted cell make up for the missing
    one. The opening quote stands before text, and the closing quote ends a later cell.

    >>> from xrfm_cli.datasets.text.records import read_records
    >>> style = Style(",")
    >>> [misses_delimiter(record, style) for record in read_records(['7"a, b",x', '7" a,x"'], style)]
    [True, False]
    """
    if not style.quote:
        return False
    text = "".join(record.lines)
    mark, quote = re.escape(style.delimiter), re.escape(style.quote)
    inner = rf"[^{mark}{quote}\r\n]{quote}[^\s{mark}{quote}]"
    if re.search(inner, text) is None:
        return False
    if style.escape:
        text = re.sub(rf"{re.escape(style.escape)}.", "", text)
    end = rf"(?={mark}|[\r\n]|$)"
    text = re.sub(
        rf"(?:^|{mark})[ \t]*{quote}(?:[^{quote}]|{quote}{quote})*{quote}{end}", style.delimiter, text
    )
    cells = re.finditer(rf"{inner}(?:[^{quote}]|{quote}{quote})*{quote}{end}", text)
    return any(style.delimiter in cell.group() for cell in cells)


def doubtful_lines(records: Sequence[Record], style: Style) -> frozenset[int]:
    """Return the lines of records in which a delimiter may be missing before a quote."""
    return frozenset(record.line for record in records if misses_delimiter(record, style))


def never_quotes(records: Sequence[Record], style: Style) -> bool:
    """Return whether no cell begins with a quote, so that quotes belong to the text."""
    mark, quote = re.escape(style.delimiter), re.escape(style.quote)
    begins = re.compile(rf"(?:^|{mark})[ \t]*{quote}")
    return not any(begins.search(line) for record in records for line in record.lines)


def find_quoted_lines(records: Sequence[Record], style: Style, delimiters: Sequence[str]) -> int:
    """Return the last line if each row but the header is one quoted cell with as many delimiters; else 0.

    >>> from xrfm_cli.datasets.text.records import read_records
    >>> style = Style(",")
    >>> find_quoted_lines(list(read_records(['a,b', '"1,2"', '"3,4"'], style)), style, ",;")
    3
    """
    if len(records) < _LEAST_QUOTED_LINES or not style.quote:
        return 0
    rows = records[1:]
    if any(len(row.cells) != 1 or not row.lines[0].lstrip().startswith(style.quote) for row in rows):
        return 0
    for mark in delimiters:
        counts = {row.cells[0].count(mark) for row in rows} | {"".join(records[0].lines).count(mark)}
        if len(counts) == 1 and counts != {0}:
            return rows[-1].line
    return 0
