"""Sniff the CSV dialect from the start of a file.

An ambiguous file is refused with the option that resolves it, never guessed.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from xrfm_cli.datasets.cells.decimals import DecimalMark, find_decimal, is_number_like
from xrfm_cli.datasets.dialect import Dialect, ReadOptions
from xrfm_cli.datasets.files.opening import open_bytes, refuse_other_formats
from xrfm_cli.datasets.files.workbooks import is_workbook, read_sheet
from xrfm_cli.datasets.text.encodings import SAMPLE_BYTES, decode_head, sniff_encoding
from xrfm_cli.datasets.text.headers import Header, find_header, find_table_start
from xrfm_cli.datasets.text.quoting import (
    QUOTE_AMID,
    doubtful_lines,
    find_quoted_lines,
    never_quotes,
    quote_options,
)
from xrfm_cli.datasets.text.records import COMMENT_OPTIONS, OPEN_QUOTE, Record, Style, read_records
from xrfm_cli.errors import EmptyFileError, FileReadError
from xrfm_cli.mentions import option

__all__ = ["Dialect", "ReadOptions", "sniff"]

_SAMPLE_RECORDS = 1000
_MOST_MISFITS = 0.3  # largest share of sample records that may not fit
_LEAST_INNER_QUOTES = 2  # rows; a single one may be damaged
_USUAL_DELIMITERS = (",", ";", "\t", "|")
_RARE_DELIMITERS = (":", "^", "~", "\x1f", "\x01", " ")
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The first records of a file, split in one style."""

    style: Style
    records: tuple[Record, ...]
    is_complete: bool  # the sample is the whole file
    after_blank: frozenset[int]  # lines of records that follow an empty line
    width: int  # number of cells of most records
    misfits: int  # records with another number of cells, or a fault


def sniff(path: Path, options: ReadOptions) -> Dialect:
    """Sniff the dialect of the file at ``path``; given options are taken as they are.

    Raises `FileReadError` if the file is not a text table, or if it is ambiguous; the message then names the
    option that resolves it.
    """
    book = read_sheet(path, options.sheet) if is_workbook(path) and path.is_file() else None
    if book is not None:
        options = replace(options, delimiter=",", encoding="utf-8", quote='"', escape="", comment="")
    with open_bytes(path, options.sheet) as stream:
        head: bytes = stream.read(SAMPLE_BYTES)
    if not head.strip():
        raise EmptyFileError(f"{path}: the file is empty")
    refuse_other_formats(path, head, expected="CSV")
    encoding = options.encoding or sniff_encoding(path, head)
    text = decode_head(path, head, encoding)
    if not text.strip():
        raise EmptyFileError(f"{path}: the file is empty")
    lines = _sample_lines(text, is_complete=len(head) < SAMPLE_BYTES)
    skipped = options.skip_rows or 0
    delimiter = options.delimiter
    if not skipped and (match := _EXCEL_HINT.match(text)):
        skipped, delimiter = 1, delimiter or match.group(1)
    is_complete = len(head) < SAMPLE_BYTES
    lines, first_line = lines[skipped:], skipped + 1
    sample = _choose_sample(path, lines, first_line, options, delimiter, is_complete=is_complete)
    if options.comment is None:
        style = sample.style._replace(comment=_find_comment(path, sample))
        sample = _split(lines, style, first_line, is_complete=is_complete)
    doubtful = doubtful_lines(sample.records, sample.style) if options.quote is None else frozenset()
    if len(doubtful) >= _LEAST_INNER_QUOTES and never_quotes(sample.records, sample.style):
        sample, doubtful = (
            _split(lines, sample.style._replace(quote=""), first_line, is_complete=is_complete),
            frozenset(),
        )
    if delimiter is None and (line := find_quoted_lines(sample.records, sample.style, _USUAL_DELIMITERS)):
        raise FileReadError(
            f"{path}: whole lines are between quotes (line {line}); remove the outer quotes, or give "
            f"{option('delimiter')} if each is one cell"
        )
    if not sample.records:
        raise FileReadError(f"{path}: has no line after the {skipped} skipped ones")
    start = 0 if options.skip_rows is not None else find_table_start(path, sample.records, sample.width)
    width = sample.width if options.skip_rows is None else len(sample.records[0].cells)
    first = sample.records[start].line
    if first in doubtful and options.header_rows != 0:
        choices = quote_options(sample.style.quote)
        raise FileReadError(f"{path}: the header (line {first}): {QUOTE_AMID} {choices}")
    records = [record for record in sample.records[start:] if record.line not in doubtful]
    header = find_header(path, records or sample.records, width, options, sample.after_blank)
    decimal = _find_decimal(sample, header, start)
    n_names = len(header.rows) + header.has_ruler
    has_rows = len(sample.records) > start + n_names or not sample.is_complete
    return Dialect(
        delimiter=sample.style.delimiter,
        encoding=encoding,
        quote=sample.style.quote,
        escape=sample.style.escape,
        comment=sample.style.comment,
        pads_quotes=sample.style.pads_quotes,
        names=header.names,
        skip_lines=header.last_line if header.rows else first - 1,
        preamble_lines=first - 1,
        header=header.rows,
        has_ruler=header.has_ruler,
        decimal=options.decimal or decimal.mark,
        doubt="" if options.decimal else decimal.doubt,
        numeric_places=() if options.decimal else decimal.numeric_places,
        trusts_quotes=options.quote is not None,
        has_rows=has_rows,
        sheet=None if book is None else book.name,
        other_sheets=() if book is None else book.others,
    )


def _sample_lines(text: str, *, is_complete: bool) -> list[str]:
    """Return the first lines with their line ends, without a last one that the sample cuts off."""
    lines = list(io.StringIO(text, newline=""))
    return lines if is_complete or len(lines) < 2 else lines[:-1]


def _choose_sample(
    path: Path,
    lines: list[str],
    first_line: int,
    options: ReadOptions,
    delimiter: str | None,
    *,
    is_complete: bool,
) -> Sample:
    """Split the lines in the style that gives most of them the same number of cells."""
    text = "".join(lines[:_SAMPLE_RECORDS])
    quote = options.quote if options.quote is not None else _sniff_quote(text)
    comment = options.comment or ""

    def split(mark: str) -> Sample:
        styles = [
            Style(mark, quote, escape, comment, _pads_quotes(text, mark, quote))
            for escape in _escapes(text, options, mark, quote)
        ]
        samples = [_split(lines, style, first_line, is_complete=is_complete) for style in styles]
        return min(samples, key=lambda sample: sample.misfits)  # the first of equals: without an escape

    if delimiter is not None:
        return split(delimiter)
    usual = [split(mark) for mark in _USUAL_DELIMITERS]
    wide = [sample for sample in usual if sample.width > 1]
    if wide:
        wide = _with_names(wide)
        least = min(sample.misfits for sample in wide)
        best = [sample for sample in wide if sample.misfits == least]
        if len(best) > 1 and len(best[0].records) > 1:
            marks = " or ".join(repr(sample.style.delimiter) for sample in best)
            raise FileReadError(f"{path}: cells may be separated by {marks}; give {option('delimiter')}")
        return max(best, key=lambda sample: sample.width)
    return _rare_sample(path, [split(mark) for mark in _RARE_DELIMITERS]) or usual[0]


def _with_names(samples: list[Sample]) -> list[Sample]:
    """Among imperfect samples, prefer those whose first row holds words: names, not numbers."""
    if not all(sample.misfits for sample in samples):
        return samples
    fitting = [sample for sample in samples if sample.misfits <= _MOST_MISFITS * len(sample.records)]
    return [sample for sample in fitting if _begins_with_words(sample)] or samples


def _begins_with_words(sample: Sample) -> bool:
    """Return whether the first record of the usual width has no number among its cells."""
    first = next(record for record in sample.records if len(record.cells) == sample.width)
    return not any(is_number_like(cell) for cell in first.cells)


def _rare_sample(path: Path, samples: list[Sample]) -> Sample | None:
    """Return a sample with a rare delimiter that fits every record; refuse it if prose may look the same."""
    for sample in samples:
        if sample.width < 2 or sample.misfits or len(sample.records) < 2:
            continue
        header, *rows = sample.records
        if sample.style.delimiter not in ": ":
            return sample  # no text has these characters equally often in every line
        found = find_decimal([(row.line, row.cells) for row in rows], sample.width, "").numeric_places
        has_names = header.filled == sample.width
        if has_names and found and not any(is_number_like(header.cells[place]) for place in found):
            return sample
        raise FileReadError(
            f"{path}: may be one column, or {sample.width} columns between {sample.style.delimiter!r}; "
            f"give {option('delimiter')}, for one column with a character that is not in the file"
        )
    return None


def _split(lines: list[str], style: Style, first_line: int, *, is_complete: bool) -> Sample:
    """Split lines into the first records, in one style."""
    records: list[Record] = []
    after_blank: set[int] = set()
    whole, was_blank = True, False
    for record in read_records(lines, style, first_line=first_line):
        if record.is_blank:
            was_blank = True
            continue
        if was_blank:
            after_blank.add(record.line)
            was_blank = False
        if len(records) == _SAMPLE_RECORDS:
            whole = False
            break
        records.append(record)
    if not is_complete and records and records[-1].fault == OPEN_QUOTE:
        records.pop()  # cut off by the sample
    counts = Counter(len(record.cells) for record in records if not record.fault)
    width = max(counts, key=lambda width: (counts[width], width)) if counts else 0
    return Sample(
        style=style,
        records=tuple(records),
        width=width,
        misfits=len(records) - counts[width],
        is_complete=is_complete and whole,
        after_blank=frozenset(after_blank),
    )


def _sniff_quote(text: str) -> str:
    """Return the single quote if cells begin and end with it and none with the double quote."""
    if re.search(r'(?:^|[,;\t|:^~])[ \t]?"', text, re.MULTILINE):
        return '"'
    singles = len(re.findall(r"(?:^|[,;\t|:^~])'[^'\n]*'(?=[,;\t|:^~\r\n]|$)", text, re.MULTILINE))
    return "'" if singles >= 2 else '"'


def _find_comment(path: Path, sample: Sample) -> str | None:
    """Return ``#`` if non-row records begin with it, empty if most rows do, and None if no record does.

    The first record may hold names that begin with it. Raises `FileReadError` if only some rows do.
    """
    rows = [record for record in sample.records if len(record.cells) == sample.width]
    marked = [record for record in sample.records if record.lines[0].startswith("#")]
    alike = [record for record in marked if record in rows]
    if not marked:
        return None
    if not alike or (alike == [rows[0]] and len(marked) > 1 and sample.width > 1):
        return "#"
    if alike == [rows[0]] or (len(alike) > 0.5 * len(rows) and alike == marked):
        return ""
    line = alike[-1].lines[0].strip()[:40]
    raise FileReadError(f"{path}: '{line}' may be a row or a comment; give {COMMENT_OPTIONS}")


def _pads_quotes(text: str, delimiter: str, quote: str) -> bool:
    """Return whether there are blanks between a delimiter and a quote."""
    if not quote or delimiter in " \t":
        return False
    mark, sign = re.escape(delimiter), re.escape(quote)
    return re.search(rf"{mark}[ \t]+{sign}|(?<![{mark}{sign}\s]){sign}[ \t]+{mark}", text) is not None


def _escapes(text: str, options: ReadOptions, delimiter: str, quote: str) -> Iterator[str]:
    """Yield the escapes to try: none, and a backslash if it precedes a character that it could escape."""
    if options.escape is not None:
        yield options.escape
        return
    mark, sign = re.escape(delimiter), re.escape(quote)
    before_quote = quote and re.search(rf"\\{sign}[^{mark}\r\n{sign}]", text)
    if not before_quote:
        yield ""
    if before_quote or re.search(rf"\\(?:{mark}|[\r\n])", text) or (quote and f"\\{quote}" in text):
        yield "\\"


def _find_decimal(sample: Sample, header: Header, start: int) -> DecimalMark:
    """Find the decimal mark in the data rows of the sample."""
    rows = [
        (record.line, record.cells)
        for record in sample.records[start + len(header.rows) :]
        if len(record.cells) == len(header.names) and not record.fault
    ]
    return find_decimal(rows, len(header.names), sample.style.delimiter)
