"""A table: named Arrow columns and their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.plain_types import MEASURED_TEXT, is_readable, is_text
from xrfm_cli.datasets.column_names import find_name
from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.datasets.scratch import Scratch, forget_mapped, taken_batches
from xrfm_cli.errors import SchemaError, did_you_mean
from xrfm_cli.mentions import option
from xrfm_cli.repairs import Repair

MOST_TEXT_BYTES = 2**31 - 1  # of a column: Arrow's text has offsets of 32 bits
OFFSET_BYTES = 4


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as read from the file, before they are interpreted.

    A CSV file gives text columns, a Parquet file gives the types it was written with. `infer_schema` decides
    what a column means, in the same way for both.

    >>> table = Table(pa.table({"age": ["41", "29"], "city": ["Graz", "Linz"]}), source="people.csv")
    >>> table.n_rows, table.column_names
    (2, ('age', 'city'))
    >>> table.take(np.array([1])).column("city").to_pylist()
    ['Linz']
    """

    data: pa.Table
    source: str = "table"
    notes: tuple[str, ...] = ()  # one sentence for each sniffed fact, for display
    decimal: str = "."  # decimal mark of numbers stored as text
    repairs: tuple[Repair, ...] = ()  # rows skipped while the whole table was read
    date_order: DateOrder | None = None  # of all-digit dates stored as text; None: infer it from the column
    # Columns that cannot be read, with the reason. Their cells are empty; only code that needs them fails.
    faults: Mapping[str, str] = field(default_factory=dict)
    scratch: Scratch | None = None  # holds the columns of a table that does not fit into memory
    is_typed: bool = False  # True if missing cells are null and text is taken literally, unlike in text files

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the column names, in order."""
        return tuple(self.data.column_names)

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return int(self.data.num_rows)

    def has_column(self, name: str) -> bool:
        """Return whether a column has that name, ignoring surrounding blanks and Unicode form.

        >>> Table(pa.table({" price": [1.0]})).has_column("price")
        True
        """
        return self._find(name) is not None

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column that can be read as numbers, dates or text.

        Raises `SchemaError` for an unknown name (with the nearest one), for a column that not all files
        share, and for a type that cannot be read.
        """
        column = self.stored(name)
        if not is_readable(column.type) and column.type != MEASURED_TEXT:
            raise SchemaError(
                f"{self.source}: column '{name}' holds {column.type}, which is not a number, date or text; "
                "convert it first"
            )
        return column

    def stored(self, name: str) -> pa.ChunkedArray:
        """Return one column of any type, even one that cannot be read.

        Raises `SchemaError` for an unknown name, for a column that not all files share, and for more text
        than Arrow's arrays can hold.
        """
        if self.scratch is not None:
            forget_mapped()  # the pages of the columns read before
        found = self.check_name(name)
        if found in self.faults:
            raise SchemaError(self.faults[found])
        column = self.data.column(found)
        if is_text(column.type) and column.nbytes - OFFSET_BYTES * len(column) > MOST_TEXT_BYTES:
            raise SchemaError(
                f"{self.source}: column '{found}' holds {column.nbytes / 2**30:.1f} GiB of text, but only "
                f"{MOST_TEXT_BYTES / 2**30:.0f} GiB of a column can be read; leave it out with "
                f"{option('drop')}, or write it as numbers, dates or a dictionary to a Parquet file"
            )
        return column

    def check_name(self, name: str) -> str:
        """Return the column name as the table spells it; raise `SchemaError` with the nearest name."""
        found = self._find(name)
        if found is None:
            hint = did_you_mean(name, self.column_names)
            raise SchemaError(f"{self.source}: no column '{name}'.{hint}")
        return found

    def _find(self, name: str) -> str | None:
        """Return the column name as the table spells it, or None."""
        if self.data.schema.get_field_index(name) >= 0:
            return name
        return find_name(name, self.column_names)

    def take(self, indices: np.ndarray) -> Table:
        """Return the rows at ``indices`` (int64, shape (k,)), in that order."""
        rows = np.asarray(indices, dtype=np.int64)
        if self.scratch is None or not (np.diff(rows) > 0).all():
            return replace(self, data=self.data.take(pa.array(rows)), scratch=None)
        kept = self.scratch.take(self.data, rows)
        if kept is not None:
            return replace(self, data=kept)
        taken = [*taken_batches(self.data, rows), self.data.schema.empty_table()]
        return replace(self, data=pa.concat_tables(taken).combine_chunks(), scratch=None)

    def slice(self, start: int, stop: int) -> Table:
        """Return rows ``start`` to ``stop`` (exclusive), without a copy."""
        return replace(self, data=self.data.slice(start, max(stop - start, 0)))

    def select(self, names: Iterable[str]) -> Table:
        """Return only the named columns, in the given order and under the given names."""
        wanted = list(names)
        found = [self.check_name(name) for name in wanted]
        faults = {
            name: self.faults[own] for name, own in zip(wanted, found, strict=True) if own in self.faults
        }
        data = pa.table([self.data.column(own) for own in found], names=wanted)
        return replace(self, data=data, faults=faults)
