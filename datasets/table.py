"""A table: named Arrow columns and where they came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.datasets.errors import SchemaError, did_you_mean
from xrfm_cli.datasets.plain_types import is_readable
from xrfm_cli.datasets.repairs import Repair


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as they were read, before any of them is interpreted.

    A CSV file gives columns of text, a Parquet file the types it was written with; what a column
    means is decided by `infer_schema`, in the same way for both.

    >>> table = Table(pa.table({"age": ["41", "29"], "city": ["Graz", "Linz"]}), source="people.csv")
    >>> table.n_rows, table.column_names
    (2, ('age', 'city'))
    >>> table.take(np.array([1])).column("city").to_pylist()
    ['Linz']
    """

    data: pa.Table
    source: str = "table"
    notes: tuple[str, ...] = ()  # what was sniffed, one sentence each, for display
    decimal: str = "."  # the decimal mark of numbers that are text
    repairs: tuple[Repair, ...] = ()  # rows that were left out when the whole table was read
    date_order: DateOrder | None = None  # of dates in digits that are text; None: the column must tell

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.data.column_names)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.data.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column to be read as numbers, dates or text.

        A name that does not exist raises `SchemaError` with the nearest one, and so does a column whose type
        cannot be read.
        """
        column = self.stored(name)
        if not is_readable(column.type):
            raise SchemaError(
                f"{self.source}: column '{name}' holds {column.type}, which is no number, date or text; "
                "convert it before"
            )
        return column

    def stored(self, name: str) -> pa.ChunkedArray:
        """One column of any type, to be passed on; a name that does not exist raises `SchemaError`."""
        if name not in self.data.column_names:
            hint = did_you_mean(name, self.column_names)
            raise SchemaError(f"{self.source}: no column '{name}'.{hint}")
        return self.data.column(name)

    def take(self, indices: np.ndarray) -> Table:
        """The rows at ``indices`` (int64, shape (k,)), in that order."""
        return replace(self, data=self.data.take(pa.array(np.asarray(indices, dtype=np.int64))))

    def slice(self, start: int, stop: int) -> Table:
        """Rows ``start`` to ``stop``, the last excluded, without a copy."""
        return replace(self, data=self.data.slice(start, max(stop - start, 0)))

    def select(self, names: Iterable[str]) -> Table:
        """The named columns only, in the order given."""
        wanted = list(names)
        for name in wanted:
            self.stored(name)
        return replace(self, data=self.data.select(wanted))
