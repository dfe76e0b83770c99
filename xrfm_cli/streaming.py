"""Tables of any size pass through in blocks that depend on the row number alone, the next one read ahead.

However a file is cut into chunks, row ``i`` is always computed in block ``i // BLOCK_ROWS`` beside the
same rows: matrix products of one shape give one result, so the bytes written never depend on the
size of the chunks or on the format of the file.
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
STOPPING_S = 0.05  # after which a reader that has nowhere to put its block asks whether it is still wanted

Item = TypeVar("Item")


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


def ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """The same items, of which a thread takes the next ones while the caller works on the last.

    At most two wait. What the generator raises is raised here, in its place. The generator is closed when the
    caller stops, which waits for the item being taken: nothing that may never come is to be read so.

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
            except BaseException as fault:  # noqa: BLE001 - raised again where it is waited for
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
    """What a reader has come to: an item, a fault, or with neither the end."""

    items: tuple[Item, ...] = ()
    fault: BaseException | None = None


def _joined(tables: Sequence[Table]) -> Table:
    return replace(tables[0], data=pa.concat_tables([table.data for table in tables]))
