"""Rows and answers of a service as lines of text: CSV after a header, or one JSON object each."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from xrfm_cli.commands.common.outputs import CsvWriter
from xrfm_cli.datasets import Table
from xrfm_cli.errors import InputError
from xrfm_cli.files import utf8
from xrfm_cli.options.declarations import PredictOptions

SOURCE = "standard input"
DELIMITERS = ",;\t|"  # the most frequent one in the header is used


class LineFormat(Protocol):
    """Reads rows and writes answers."""

    def read(self, line: str) -> Table:
        """Return a line as a table of one row; InputError says what is wrong with it."""

    def answer(self, answer: pa.Table, copied: Sequence[str]) -> bytes:
        """Return the line that answers the row read last; ``copied`` names the columns that are its own."""

    def refusal(self, message: str) -> bytes:
        """Return the answer to a line that was refused."""


@dataclass(slots=True, kw_only=True)
class CsvLines:
    """CSV: the header has been read, and the first answer brings its own."""

    names: Sequence[str]
    delimiter: str
    options: PredictOptions
    _has_header: bool = False

    @classmethod
    def after(cls, header: str, options: PredictOptions) -> CsvLines:
        """Return the format of the rows under a header; InputError for one that names no columns."""
        delimiter = options.delimiter or max(DELIMITERS, key=header.count)
        names = _cells(header, delimiter)
        if not any(names):
            raise InputError(f"{SOURCE}: is empty; the first line must name the columns or be a JSON object")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{SOURCE}: two columns have the name '{twice}'; rename one")
        return cls(names=names, delimiter=delimiter, options=options)

    def read(self, line: str) -> Table:
        """Return a line as a table of text, as a CSV file gives it."""
        cells = _cells(line, self.delimiter)
        if len(cells) != len(self.names):
            raise InputError(f"{len(cells):,} cells, but the header has {len(self.names):,}")
        return self.table(cells)

    def table(self, cells: Sequence[str]) -> Table:
        """Return cells as a table of one row."""
        data = pa.table({name: pa.array([cell]) for name, cell in zip(self.names, cells, strict=True)})
        return _table(data, self.options)

    def answer(self, answer: pa.Table, copied: Sequence[str]) -> bytes:
        """Return the cells as CSV; the first answer is the header alone."""
        buffer = io.BytesIO()
        CsvWriter(buffer).write(answer)
        header, *rows = buffer.getvalue().splitlines(keepends=True)
        if self._has_header:
            return b"".join(rows)
        self._has_header = True
        return header

    def refusal(self, message: str) -> bytes:
        """Return an empty line."""
        return b"\n"


@dataclass(slots=True, kw_only=True)
class JsonLines:
    """JSON: every line is an object whose names are columns. Its values have the same meaning as in CSV."""

    options: PredictOptions
    _row: dict[str, Any] = field(default_factory=dict)  # the one read last

    def read(self, line: str) -> Table:
        """Return an object as a table of one row of text; null is an empty cell."""
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as fault:
            raise InputError(f"not JSON ({fault})") from fault
        if not isinstance(document, dict) or not document:
            raise InputError('not a JSON object of columns, such as {"age": 41}')
        decimal = self.options.decimal or "."
        cells = {name: _cell(name, value, decimal) for name, value in document.items()}
        try:
            data = pa.table({name: pa.array([cell]) for name, cell in cells.items()})
        except (ValueError, pa.ArrowException) as fault:  # such as half of a surrogate pair
            raise InputError(f"not text ({fault})") from fault
        self._row = document
        return _table(data, self.options)

    def answer(self, answer: pa.Table, copied: Sequence[str]) -> bytes:
        """Return an object: copied columns as they were given, then the predictions."""
        (cells,) = answer.to_pylist()
        cells |= {name: self._row[name] for name in copied if name in self._row}
        return _json_line({name: _json_value(value) for name, value in cells.items()})

    def refusal(self, message: str) -> bytes:
        """Return an object that says what is wrong."""
        return _json_line({"error": message})


def is_json(line: str) -> bool:
    """Return whether a first line is a JSON object rather than a header.

    >>> is_json(' {"age": 41}'), is_json("age,town")
    (True, False)
    """
    return line.lstrip().startswith("{")


def _table(data: pa.Table, options: PredictOptions) -> Table:
    return Table(data, SOURCE, decimal=options.decimal or ".", date_order=options.date_order)


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line of CSV; InputError for a quote that is not closed.

    >>> _cells('1;"a;b"', ";")
    ['1', 'a;b']
    """
    try:
        rows = list(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True))
    except csv.Error as fault:
        raise InputError(f"not a line of CSV ({fault})") from fault
    return rows[0] if rows else []


def _cell(name: str, value: Any, decimal: str) -> str:
    """Return one JSON value as the text of a cell.

    >>> _cell("fee", 2.5, ","), _cell("fee", None, "."), _cell("member", True, ".")
    ('2,5', '', 'true')
    """
    if isinstance(value, dict | list):
        kind = "object" if isinstance(value, dict) else "list"
        raise InputError(f"column '{name}' holds a JSON {kind}; write a number, a text, true, false or null")
    if isinstance(value, str):
        return value
    if value is None or value != value:  # not a number
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).replace(".", decimal)


def _json_value(value: Any) -> Any:
    """Return a cell as JSON allows it: numbers that are not finite are null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json_line(document: dict[str, Any]) -> bytes:
    return utf8(json.dumps(document, ensure_ascii=False, allow_nan=False, default=str)) + b"\n"
