"""Tables and matrices that do not fit into memory: files without a name, mapped into memory.

Such a file is deleted when it is no longer used. The system deletes it in any case when the process ends.
Readers see Arrow columns and numpy arrays, as if it were in memory.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.errors import OptionError
from xrfm_cli.mentions import option

# Tables larger than this share of the memory go to files. A fit holds some eight copies of a table: text,
# typed columns, and encoded rows of several folds and encodings.
HELD_SHARE = 1 / 8
BLOCK_ROWS = 65_536  # rows of a batch of a file, and rows encoded or copied at a time
LEAST_BLOCK_BYTES, MOST_BLOCK_BYTES = 1 << 18, 1 << 25  # of rows encoded or copied at a time
ARENA_BYTES = 1 << 26  # of a file that holds many small arrays: systems limit the number of mapped files
ALIGNMENT = 64  # bytes; linear algebra libraries choose their loops by it

TRIM_SHARE = 0.05  # of the time, at most: with a heap of a gibibyte, giving memory back takes 30 ms

_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def forget_mapped(*, trims: bool = True) -> None:
    """Release the pages of all mapped files: pages in use count as memory, and are loaded again if needed.

    Blocks of rows that were freed are given back to the system too, now and then, unless ``trims`` is False:
    glibc keeps most of them, and takes new memory for the next ones.
    """
    if sys.platform == "win32" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    files = tuple(_mapped)
    for mapped in files:
        mapped.madvise(mmap.MADV_DONTNEED)
    if trims and files:
        _heap.trim()


@dataclass(slots=True, eq=False)
class _Heap:
    """The memory that glibc keeps, and when to give it back next."""

    next_at: float = 0.0  # on the clock of time.monotonic

    def trim(self) -> None:
        """Give freed memory back to the system, unless that was done a short time ago."""
        trim, begun = _malloc_trim(), time.monotonic()
        if trim is None or begun < self.next_at:
            return
        trim(0)
        ended = time.monotonic()
        self.next_at = ended + (ended - begun) / TRIM_SHARE


_heap = _Heap()


@cache
def _malloc_trim() -> Any:
    """Return glibc's function that gives freed memory back; None with other libraries."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None


@dataclass(slots=True, kw_only=True, eq=False)
class Scratch:
    """The folder for tables and matrices that do not fit into the memory of a fit.

    >>> scratch = Scratch(folder=Path(tempfile.gettempdir()), memory_bytes=1 << 24)
    >>> matrix = scratch.matrix(1_000, 5)
    >>> matrix.shape, scratch.used_bytes
    ((1000, 5), 20000)
    """

    folder: Path
    memory_bytes: int
    way_out: str = f"give another folder with {option('scratch')}"  # if this one is too small
    used_bytes: int = 0  # of the files in use
    most_bytes: int = 0  # at any time so far
    _arena: NDArray[np.uint8] | None = None
    _arena_used: int = 0

    @property
    def held_bytes(self) -> int:
        """Return how large a table or matrix may be in memory."""
        return int(HELD_SHARE * self.memory_bytes)

    def block_rows(self, columns: int) -> int:
        """Return how many rows of a matrix to encode or copy at a time, with room for a second matrix."""
        return max(1, min(BLOCK_ROWS, self._block_bytes // (8 * max(columns, 1))))

    @property
    def _block_bytes(self) -> int:
        return min(max(self.held_bytes // 4, LEAST_BLOCK_BYTES), MOST_BLOCK_BYTES)

    def check_room(self, needed: int, what: str) -> None:
        """Raise OptionError if the folder has less room than needed."""
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError as fault:
            raise self._unusable(fault) from None
        if needed > free:
            raise OptionError(
                f"{self.folder}: has {free / 2**20:,.0f} MiB left, but {what} needs {needed / 2**20:,.0f} "
                f"MiB; make room, or {self.way_out}"
            )

    def matrix(self, rows: int, columns: int) -> NDArray[np.float32]:
        """Return a new matrix, float32 (rows, columns), in a file."""
        raw = self._new_file(4 * rows * columns, f"a table of {rows:,} encoded rows")
        return np.frombuffer(raw, dtype=np.float32, count=rows * columns).reshape(rows, columns)

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of an array in a file that holds many of them."""
        size = -(-values.nbytes // ALIGNMENT) * ALIGNMENT
        if self._arena is None or self._arena_used + size > len(self._arena):
            length = max(size, min(ARENA_BYTES, self.held_bytes))
            self._arena = np.frombuffer(self._new_file(length, "the model"), dtype=np.uint8)
            self._arena_used = 0
        start, self._arena_used = self._arena_used, self._arena_used + size
        kept = self._arena[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
        kept[...] = values
        return kept

    def table(self, schema: pa.Schema, batches: Iterable[pa.Table]) -> pa.Table:
        """Write tables one after the other; return them as one table that is mapped from the file."""
        with self._file() as file:
            writer = pa.ipc.new_stream(file, schema)
            try:
                for table in _in_batches(batches, self._block_bytes):
                    with self._explained():
                        writer.write_table(table, max_chunksize=BLOCK_ROWS)
                    del table
                    pa.default_memory_pool().release_unused()
                with self._explained():
                    writer.close()
                    file.flush()
            except OptionError:
                with suppress(OSError):  # of the full disk, which has been reported
                    writer.close()
                raise
            mapped = self._map(file, file.tell())
        return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(mapped))).read_all()

    def column(self, cells: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column as it is mapped from a file."""
        table = pa.table({"": cells})
        starts = range(0, len(cells), BLOCK_ROWS)
        return self.table(table.schema, (table.slice(start, BLOCK_ROWS) for start in starts)).column(0)

    def take(self, data: pa.Table, rows: NDArray[np.int64]) -> pa.Table | None:
        """Return increasing rows of a table in a file; None if they fit into memory."""
        if byte_size(data) / max(data.num_rows, 1) * len(rows) <= self.held_bytes:
            return None
        return self.table(data.schema, taken_batches(data, rows))

    def _new_file(self, size: int, what: str) -> mmap.mmap:
        """Return a mapped file of zeros whose bytes are reserved: writing to it cannot fail."""
        self.check_room(size, what)
        with self._file() as file:
            with self._explained():
                file.truncate(max(size, 1))
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, max(size, 1))
            return self._map(file, size)

    def _map(self, file: Any, size: int) -> mmap.mmap:
        mapped = mmap.mmap(file.fileno(), max(size, 1))
        _mapped.add(mapped)
        self.used_bytes += size
        self.most_bytes = max(self.most_bytes, self.used_bytes)
        weakref.finalize(mapped, self._release, size)
        return mapped

    def _release(self, size: int) -> None:
        self.used_bytes -= size

    @contextmanager
    def _file(self) -> Iterator[Any]:
        """Yield a new file without a name."""
        with self._explained():
            file = tempfile.TemporaryFile(prefix="xrfm-", dir=self.folder)  # noqa: SIM115 - closed below
        try:
            yield file
        finally:
            with suppress(OSError):  # data that was not flushed is not needed
                file.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            raise self._unusable(fault) from None

    def _unusable(self, fault: OSError) -> OptionError:
        reason = fault.strerror or str(fault)
        return OptionError(f"{self.folder}: cannot hold files ({reason}); make room, or {self.way_out}")


def taken_batches(data: pa.Table, rows: NDArray[np.int64]) -> Iterator[pa.Table]:
    """Yield increasing rows of a table, one of its batches at a time."""
    start = 0
    for batch in data.to_batches(max_chunksize=BLOCK_ROWS):
        first, last = np.searchsorted(rows, [start, start + batch.num_rows])
        if last > first:
            yield pa.Table.from_batches([batch.take(pa.array(rows[first:last] - start))])
        start += batch.num_rows
        forget_mapped()


def byte_size(data: pa.Table) -> int:
    """Return the bytes of a table's cells; older versions of pyarrow know them for no list view."""
    try:
        return int(data.nbytes)
    except pa.ArrowTypeError:
        return int(data.get_total_buffer_size())


def _in_batches(tables: Iterable[pa.Table], most_bytes: int) -> Iterator[pa.Table]:
    """Join small tables to some of BLOCK_ROWS rows, or of ``most_bytes``."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        waiting.append(table)
        rows, size = rows + table.num_rows, size + byte_size(table)
        if rows >= BLOCK_ROWS or size >= most_bytes:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
