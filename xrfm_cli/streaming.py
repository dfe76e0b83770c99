"""Stream tables of any size in blocks fixed by the row number, with the next block read ahead.

For any chunks of a file, row ``i`` is computed in block ``i // BLOCK_ROWS`` with the same other rows. Matrix
products of equal shapes give equal results, so the output bytes do not depend on the chunk size or the file
format.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

import pyarrow as pa

from xrfm_cli.datasets.table import Table

BLOCK_ROWS = 8192
STOPPING_S = 0.05  # how often a reader with a full queue checks whether it has been stopped

Item = TypeVar("Item")


def in_blocks(chunks: Iterable[Table], *, rows: int = BLOCK_ROWS) -> Iterator[Table]:
    """Yield the same rows in tables of ``rows`` rows; the last one may be shorter."""
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


def ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Yield the same items; a thread produces the next ones while the caller works on the current one.

    At most two items wait. Errors of the generator are raised here, in order. When the caller stops, the
    generator is closed, which waits for the item in production: do not use this for a source that can block
    forever.

    >>> list(ahead(number for number in range(3)))
    [0, 1, 2]
    """
    box: Queue[_Taken[Item]] = Queue(maxsize=1)
    unwanted = Event()

    def put(taken: _Taken[Item]) -> None:
        while not unwanted.is_set():
            with suppress(Full):
                box.put(taken, timeout=STOPPING_S)
                return

    def take() -> None:
        with closing(items):
            try:
                for item in items:
                    put(_Taken(items=(item,)))
                    if unwanted.is_set():
                        return
            except BaseException as fault:  # noqa: BLE001 - raised again in the consumer
                put(_Taken(fault=fault))
            else:
                put(_Taken())

    thread = Thread(target=take, name="reading ahead", daemon=True)
    thread.start()
    try:
        while True:
            taken = box.get()
            if taken.fault is not None:
                raise taken.fault
            if not taken.items:
                return
            yield from taken.items
    finally:
        unwanted.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Taken(Generic[Item]):
    """A queue entry: an item, an error, or with neither the end of the stream."""

    items: tuple[Item, ...] = ()
    fault: BaseException | None = None


def _joined(tables: Sequence[Table]) -> Table:
    return replace(tables[0], data=pa.concat_tables([table.data for table in tables]))
