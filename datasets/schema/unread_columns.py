"""Find columns that the model needs but cannot read at all, because they use another notation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa

from xrfm_cli.datasets.cells.durations import UNIT as DURATION
from xrfm_cli.datasets.cells.plain_types import is_text, plain_array
from xrfm_cli.datasets.cells.spellings import as_text
from xrfm_cli.datasets.cells.values import is_placeholder, tidy_text, to_mask
from xrfm_cli.datasets.schema.columns import TableSchema
from xrfm_cli.datasets.table import Table
from xrfm_cli.repairs import Repair

LEAST_UNSEEN = 5  # values: a few rows may well hold only new categories
_EXAMPLE_CHARACTERS = 40
_NOT_UNDERSTOOD = ("unreadable number", "unreadable date", "unseen category")
# How 31 March 2024 is written in each format of dates.
_DATES = {
    "iso": "2024-03-31",
    "day first": "31/03/2024",
    "month first": "03/31/2024",
    "year first": "24/03/31",
    "any order": "2024-03-31",
    "month name": "31 Mar 2024",
    "time": "09:30",
    "digits": "20240331",
    "epoch s": "1711843200",
    "epoch ms": "1711843200000",
    "epoch us": "1711843200000000",
    "epoch ns": "1711843200000000000",
}


class UnreadColumns:
    """Collect unreadable cells block by block and name the columns in which no cell was readable.

    >>> import pyarrow as pa
    >>> from xrfm_cli.datasets.schema.columns import ColumnSchema
    >>> fee = ColumnSchema(name="fee", kind="numeric", role="feature", reason="")
    >>> unread = UnreadColumns(TableSchema(columns=(fee,)))
    >>> table = Table(pa.table({"fee": ["12 lb", ""]}), "a.csv")
    >>> unread.look(table, [Repair("fee", "missing", 1), Repair("fee", "unreadable number", 1)])
    >>> print(*unread.lines())  # doctest: +ELLIPSIS
    fee: no cell is a number as in training, for example '12 lb'; write 1234.5, or fit again on ...
    """

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._rows = 0
        self._missing: Counter[str] = Counter()
        self._strange: Counter[str] = Counter()
        self._what: dict[str, str] = {}
        self._examples: dict[str, str] = {}
        self._decimal = "."

    def look(self, block: Table, repairs: Iterable[Repair]) -> None:
        """Add the rows of a block and the repairs made in them."""
        self._rows += block.n_rows
        self._decimal = block.decimal
        for repair in repairs:
            if repair.what == "missing":
                self._missing[repair.column] += repair.count
            elif repair.what in _NOT_UNDERSTOOD:
                self._strange[repair.column] += repair.count
                self._what[repair.column] = repair.what
                if repair.column not in self._examples:
                    self._examples[repair.column] = _first_value(block, repair.column)

    def lines(self) -> list[str]:
        """Return one line for each column that has values but no readable cell."""
        return [
            self._line(column, what)
            for column, what in self._what.items()
            if self._missing[column] + self._strange[column] == self._rows
            and (what != "unseen category" or self._strange[column] >= LEAST_UNSEEN)
        ]

    def _line(self, column: str, what: str) -> str:
        example = self._examples[column]
        if what == "unseen category":
            return (
                f"{column}: none of the values occurred in training, for example '{example}'; "
                "spell them as in training, or fit again with rows that have them"
            )
        described = next((item for item in self._schema.columns if item.name == column), None)
        if what == "unreadable date":
            right = _DATES[(described and described.datetime_format) or "iso"]
        else:
            unit = described.unit if described else ""
            right = "0 days 01:30:00" if unit == DURATION else f"1234.5 {unit}".strip()
            right = right.replace(".", self._decimal)
        return (
            f"{column}: no cell is a {what.split()[-1]} as in training, for example '{example}'; "
            f"write {right}, or fit again on a table in this notation"
        )


def _first_value(block: Table, column: str) -> str:
    """Return the first cell with a value, as text; empty if there is none in these rows."""
    array = plain_array(block.column(column))
    text = tidy_text(array if is_text(array.type) else as_text(array))
    found = text.filter(pa.array(to_mask(text.is_valid()) & ~is_placeholder(text)))
    value = found[0].as_py() if len(found) else ""
    return value if len(value) <= _EXAMPLE_CHARACTERS else value[: _EXAMPLE_CHARACTERS - 1] + "…"
