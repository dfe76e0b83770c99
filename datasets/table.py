"""A table: named Arrow columns and where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.plain_types import MEASURED_TEXT, is_readable
from xrfm_cli.datasets.column_names import find_name
from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.errors import SchemaError, did_you_mean
from xrfm_cli.repairs import Repair


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
    # Columns that cannot be read, with the reason: their cells are empty, and only who needs them must stop.
    faults: Mapping[str, str] = field(default_factory=dict)
    is_typed: bool = False  # whether missing cells are null and text is as it is, unlike in text files

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(self.data.column_names)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.data.num_rows)

    def has_column(self, name: str) -> bool:
        """Whether there is a column of that name; blanks around names and forms of Unicode do not count.

        >>> Table(pa.table({" price": [1.0]})).has_column("price")
        True
        """
        return self._find(name) is not None

    def column(self, name: str) -> pa.ChunkedArray:
        """One column to be read as numbers, dates or text.

        A name that does not exist raises `SchemaError` with the nearest one, and so does a column that the
        files of the table do not share or whose type cannot be read.
        """
        column = self.stored(name)
        if not is_readable(column.type) and column.type != MEASURED_TEXT:
            raise SchemaError(
                f"{self.source}: column '{name}' holds {column.type}, which is no number, date or text; "
                "convert it before"
            )
        return column

    def stored(self, name: str) -> pa.ChunkedArray:
        """One column of any type, to be passed on.

        Raises `SchemaError` for a name that does not exist and a column that the files do not share.
        """
        found = self.check_name(name)
        if found in self.faults:
            raise SchemaError(self.faults[found])
        return self.data.column(found)

    def check_name(self, name: str) -> str:
        """The name of a column as the table spells it, or `SchemaError` with the nearest name."""
        found = self._find(name)
        if found is None:
            hint = did_you_mean(name, self.column_names)
            raise SchemaError(f"{self.source}: no column '{name}'.{hint}")
        return found

    def _find(self, name: str) -> str | None:
        """The name of a column as the table spells it."""
        if self.data.schema.get_field_index(name) >= 0:
            return name
        return find_name(name, self.column_names)

    def take(self, indices: np.ndarray) -> Table:
        """The rows at ``indices`` (int64, shape (k,)), in that order."""
        return replace(self, data=self.data.take(pa.array(np.asarray(indices, dtype=np.int64))))

    def slice(self, start: int, stop: int) -> Table:
        """Rows ``start`` to ``stop``, the last excluded, without a copy."""
        return replace(self, data=self.data.slice(start, max(stop - start, 0)))

    def select(self, names: Iterable[str]) -> Table:
        """The named columns only, in the order given and with the names given."""
        wanted = list(names)
        found = [self.check_name(name) for name in wanted]
        faults = {
            name: self.faults[own] for name, own in zip(wanted, found, strict=True) if own in self.faults
        }
        data = pa.table([self.data.column(own) for own in found], names=wanted)
        return replace(self, data=data, faults=faults)
