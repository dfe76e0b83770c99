"""How a CSV file is written: encoding, delimiter, quote and decimal mark, found in its beginning."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xrfm_cli.datasets.errors import FileReadError, OptionError
from xrfm_cli.datasets.opening import open_bytes, refuse_other_formats

SAMPLE_BYTES = 1 << 20
_SAMPLE_LINES = 300
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMA_DECIMAL = re.compile(r"^[+-]?\d+,\d+(?:[eE][+-]?\d+)?$|^[+-]?\d{1,3}(?:\.\d{3})+,\d+$")
_COMMA_GROUPS = re.compile(r"^[+-]?\d{1,3}(?:,\d{3})+$")
_POINT_DECIMAL = re.compile(r"^[+-]?\d*\.\d+(?:[eE][+-]?\d+)?$")
_NUMBER = re.compile(r"^[+-]?\d+(?:[.,]\d+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How to read CSV files; None is found out from the file."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    quote: str | None = None  # "" where nothing is quoted

    def __post_init__(self) -> None:
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise OptionError(f"delimiter {self.delimiter!r} is not one character")
        if self.quote is not None and len(self.quote) > 1:
            raise OptionError(f"quote {self.quote!r} is more than one character")
        if self.decimal is not None and self.decimal not in (".", ","):
            raise OptionError(f"decimal mark {self.decimal!r} is neither '.' nor ','")
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError:
                raise OptionError(f"there is no encoding '{self.encoding}'; try utf-8 or cp1252") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one CSV file is written, and the names of its columns."""

    delimiter: str
    encoding: str
    decimal: str  # empty where no number with a fraction tells
    quote: str
    names: tuple[str, ...]
    skip_lines: int = 0  # lines before the names

    def describe(self, source: str) -> str:
        """One sentence for display."""
        shown = {"\t": "tab", " ": "blank"}.get(self.delimiter, f"'{self.delimiter}'")
        return f"{source}: delimiter {shown}, encoding {self.encoding}, decimal mark '{self.decimal or '.'}'"


def sniff(path: Path, options: ReadOptions) -> Dialect:
    """Find out how the file at ``path`` is written; options that were given are taken as they are."""
    with open_bytes(path) as stream:
        head: bytes = stream.read(SAMPLE_BYTES)
    if not head.strip():
        raise FileReadError(f"{path}: the file is empty")
    refuse_other_formats(path, head, expected="CSV")
    encoding = options.encoding or _sniff_encoding(path, head)
    text = _decode_head(path, head, encoding)
    skip = 0
    given = options.delimiter
    if match := re.match(r"sep=(.)\r?\n", text):  # written by Excel
        skip, text, given = 1, text[match.end() :], given or match.group(1)
    complete = len(head) < SAMPLE_BYTES
    quote = options.quote if options.quote is not None else _sniff_quote(text)
    delimiter = given or _sniff_delimiter(text, quote, complete=complete)
    rows = _sample_rows(text, delimiter, quote, complete=complete)
    names = _column_names(path, rows[0] if rows else [])
    decimal = options.decimal or _sniff_decimal(rows[1:], delimiter)
    return Dialect(
        delimiter=delimiter, encoding=encoding, decimal=decimal, quote=quote, names=names, skip_lines=skip
    )


def _sniff_encoding(path: Path, head: bytes) -> str:
    """The encoding from a byte order mark, from valid UTF-8, or else Windows' Western European."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if b"\x00" in head[:4096]:
        for encoding, zeros in (("utf-16-le", head[1:4096:2]), ("utf-16-be", head[0:4096:2])):
            if zeros.count(0) > 0.7 * len(zeros):
                return encoding
        raise FileReadError(f"{path}: holds binary data, not text; give a CSV, Parquet or Arrow file")
    if head.isascii():
        return _sniff_past_ascii(path)
    if _is_utf8(head, final=len(head) < SAMPLE_BYTES):
        return "utf-8"
    return _western(path, head)


def _sniff_past_ascii(path: Path) -> str:
    """Look for the first block that is not plain ASCII; it tells UTF-8 from older encodings."""
    with open_bytes(path) as stream:
        while block := stream.read(SAMPLE_BYTES):
            if not block.isascii():
                rest = block + stream.read(8)  # a character may straddle the end of the block
                return "utf-8" if _is_utf8(rest, final=False) else _western(path, rest)
    return "utf-8"


def _is_utf8(data: bytes, *, final: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError:
        return False
    return True


def _western(path: Path, data: bytes) -> str:
    """An encoding for bytes that are not UTF-8, unless they look like broken UTF-8 or no text at all."""
    whole = len(
        re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", data)
    )
    controls = len(re.findall(rb"[\x00-\x08\x0e-\x1f]", data))
    high = sum(1 for byte in data if byte >= 0x80)
    if controls > 0.01 * len(data):
        raise FileReadError(f"{path}: holds binary data, not text; give a CSV, Parquet or Arrow file")
    if whole and 2 * whole >= 0.5 * high:
        raise undecodable(path, data, "utf-8")
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def undecodable(path: Path, data: bytes, encoding: str, first_line: int = 1) -> FileReadError:
    """The error for bytes that are no text in an encoding, naming the line."""
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + first_line
        byte = f"byte 0x{data[error.start]:02X}"
        return FileReadError(
            f"{path}: line {line} has {byte}, which is not {encoding}; mend it or give the encoding, "
            "such as cp1252"
        )
    return FileReadError(f"{path}: is not {encoding}; give the encoding, such as cp1252")


def _decode_head(path: Path, head: bytes, encoding: str) -> str:
    try:
        return (
            codecs.getincrementaldecoder(encoding)().decode(head, len(head) < SAMPLE_BYTES).lstrip("\ufeff")
        )
    except UnicodeDecodeError:
        raise undecodable(path, head, encoding) from None


def _sniff_quote(text: str) -> str:
    """The single quote where cells begin and end with it and never with the double quote."""
    if re.search(r'(?:^|[,;\t|])\s?"', text):
        return '"'
    singles = len(re.findall(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\r\n]|$)", text, re.MULTILINE))
    return "'" if singles >= 3 else '"'


def _sample_rows(text: str, delimiter: str, quote: str, *, complete: bool) -> list[list[str]]:
    """The first rows, without blank lines and without one that the sample cuts off."""
    lines = text.splitlines(keepends=True)[: _SAMPLE_LINES + 1]
    if len(lines) > _SAMPLE_LINES or (not complete and len(lines) > 1):
        lines = lines[:-1]
    try:
        return [row for row in parse_rows(lines, delimiter, quote) if row]
    except csv.Error:
        return [line.rstrip("\r\n").split(delimiter) for line in lines if line.strip()]


def parse_rows(lines: Iterable[str], delimiter: str, quote: str, *, strict: bool = False) -> Any:
    """The standard library's reader; an empty ``quote`` means that nothing is quoted."""
    if quote:
        return csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=strict)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _sniff_delimiter(text: str, quote: str, *, complete: bool) -> str:
    """The delimiter that cuts most rows into as many cells as the first, then the one with most cells."""
    best, best_score = ",", (0.5, 1)
    for delimiter in _DELIMITERS:
        rows = _sample_rows(text, delimiter, quote, complete=complete)
        width = len(rows[0]) if rows else 0
        if width < 2:
            continue
        agreeing = (
            sum(len(row) == width for row in rows[1:]) / max(len(rows) - 1, 1) if len(rows) > 1 else 1.0
        )
        score = (round(agreeing, 1), width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _column_names(path: Path, header: list[str]) -> tuple[str, ...]:
    """Names from the first row: blanks around them go, empty ones are numbered as pandas does."""
    names = tuple(name.strip() or f"Unnamed: {place}" for place, name in enumerate(header))
    if not names:
        raise FileReadError(f"{path}: the file is empty")
    check_names(str(path), names)
    return names


def check_names(source: str, names: tuple[str, ...]) -> None:
    """Raise `FileReadError` where two columns have one name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = " and ".join(str(place + 1) for place, name in enumerate(names) if name == repeated[0])
        raise FileReadError(
            f"{source}: columns {places} are both named '{repeated[0]}'; give each column its own name"
        )


def _sniff_decimal(rows: list[list[str]], delimiter: str) -> str:
    """A comma where cells such as 1,5 outnumber cells such as 1.5; empty where there are neither."""
    commas = points = groups = 0
    for row in rows:
        for cell in row:
            text = cell.strip()
            if "," in text and _COMMA_GROUPS.match(text):
                groups += 1
            elif "," in text and _COMMA_DECIMAL.match(text):
                commas += 1
            elif "." in text and _POINT_DECIMAL.match(text):
                points += 1
    if delimiter == ";" and not points and groups and not commas:
        return ","  # 1,250 between semicolons, in a file without any decimal point
    return "," if commas > points else "." if points else ""


def looks_like_data(names: tuple[str, ...]) -> bool:
    """Whether the names of columns are all numbers: a file without a header row."""
    return all(_NUMBER.match(name) for name in names)
