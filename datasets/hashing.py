"""Hash the contents of a table, to recognise a table that was read before."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.scratch import forget_mapped
from xrfm_cli.datasets.table import Table


def hash_table(table: Table) -> str:
    """Return the SHA-256 of the names, types and cells of a table; the memory layout does not matter.

    >>> one = Table(pa.table({"age": ["41", None]}), source="people.csv")
    >>> other = Table(pa.table({"age": ["41", ""]}), source="people.csv")
    >>> hash_table(one) == hash_table(one.slice(0, 2)), hash_table(one) == hash_table(other)
    (True, False)
    """
    digest = hashlib.sha256(table.decimal.encode())
    for name in table.column_names:
        if name in table.faults:
            digest.update(table.faults[name].encode())
            continue
        column = table.data.column(name)
        forget_mapped()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        digest.update(repr((name, str(column.type), len(column))).encode())
        digest.update(np.packbits(column.is_valid().to_numpy()).tobytes())
        # The bytes under a null are undefined, so hash only the other cells.
        cells = pa.table({"": column.drop_null()}).combine_chunks()
        for batch in cells.to_batches():
            digest.update(batch.serialize())
    return digest.hexdigest()
