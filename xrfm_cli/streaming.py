"""Tables of any size pass through in blocks that depend on the row number alone.

However a file is cut into chunks, row ``i`` is always computed in block ``i // BLOCK_ROWS`` beside the
same rows: matrix products of one shape give one result, so the bytes written never depend on the
size of the chunks or on the format of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from xrfm_cli.datasets.table import Table

BLOCK_ROWS = 2048


def in_blocks(chunks: Iterable[Table], *, rows: int = BLOCK_ROWS) -> Iterator[Table]:
    """The same rows in tables of ``rows`` rows, the last one shorter."""
    waiting: list[Table] = []
    n_waiting = 0
    for chunk in chunks:
        waiting.append(chunk)
        n_waiting += chunk.n_rows
        if n_waiting < rows:
            continue
        together = _joined(waiting)
        whole = n_waiting - n_waiting % rows
        for start in range(0, whole, rows):
            yield together.slice(start, start + rows)
        waiting, n_waiting = [together.slice(whole, n_waiting)], n_waiting - whole
    if n_waiting:
        yield _joined(waiting)


def _joined(tables: Sequence[Table]) -> Table:
    return replace(tables[0], data=pa.concat_tables([table.data for table in tables]))
