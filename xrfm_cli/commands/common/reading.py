"""Read the tables of a command, and report what the reader detected."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa

from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import ReadOptions, Repair, Table, UnreadColumns, read_chunks, read_table
from xrfm_cli.datasets.files.opening import PARQUET_ENDINGS
from xrfm_cli.datasets.files.streams import is_stream
from xrfm_cli.datasets.scratch import Scratch
from xrfm_cli.errors import SchemaError
from xrfm_cli.events import Event, repair_events
from xrfm_cli.options.shared import ReadingOptions
from xrfm_cli.streaming import BLOCK_ROWS, ahead, in_blocks


def read_options(options: ReadingOptions) -> ReadOptions:
    """Return the options for reading a text table."""
    return ReadOptions(**{item.name: getattr(options, item.name) for item in fields(ReadOptions)})


def read_whole(
    path: str, options: ReadingOptions, session: Session, *, scratch: Scratch | None = None
) -> Table:
    """Read a table into memory, or into files of ``scratch`` if it is too large."""
    session.renderer.stage(f"reading {path}")
    table = read_table(path, read_options(options), on_event=session.renderer.on_event, scratch=scratch)
    for line in table.notes:
        session.renderer.note(line)
    return table


def read_blocks(
    path: str,
    options: ReadingOptions,
    session: Session,
    *,
    chunk_rows: int,
    on_repair: Callable[[Repair], None],
    rows: int = BLOCK_ROWS,
) -> Iterator[Table]:
    """Yield a table in blocks of ``rows``, never loading it whole; skipped rows are passed to ``on_repair``.

    The next block is read while the caller works on the current one.
    """

    heard: deque[Event] = deque()

    def read() -> Generator[Table, None, None]:
        chunks = read_chunks(path, read_options(options), chunk_rows=chunk_rows, on_event=heard.append)
        yield from in_blocks(chunks, rows=rows)

    def tell() -> None:
        while heard:
            event = heard.popleft()
            session.renderer.on_event(event)
            if event.repair is not None:
                on_repair(event.repair)

    # A pipe may block forever, and an interrupt must not wait for it.
    blocks = read() if is_stream(Path(path)) else ahead(read())
    try:
        for number, block in enumerate(blocks):
            tell()
            if number == 0:
                for line in block.notes:
                    session.renderer.note(line)
            yield block
    finally:
        tell()


def known_rows(path: str) -> int | None:
    """Return the rows of a Parquet file, which it states; None for other tables."""
    file = Path(path)
    if file.suffix.lower() not in PARQUET_ENDINGS or not file.is_file():
        return None
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError):  # the reader says what is wrong with it
        return None


def pass_through(names: Sequence[str], added: Sequence[str], option: str = "--id") -> None:
    """Refuse columns to copy whose names clash with an output column."""
    for name, count in Counter(names).items():
        if name in added or count > 1:
            raise SchemaError(
                f"{option} {name}: the output already has a column '{name}'; rename it in the table"
            )


def say_repairs(repairs: Sequence[Repair], unread: UnreadColumns, session: Session) -> None:
    """Report the number of repaired values by column, and the columns of which no value could be read."""
    for event in repair_events(repairs):
        session.renderer.on_event(event)
    for line in unread.lines():
        session.renderer.note(line, kind="warning")
