"""Open standard input and named pipes more than once.

Bytes read so far are kept in a temporary file, so that the start can be inspected before everything is
parsed. Memory does not grow, and reading never waits for bytes that are not needed yet.
"""

from __future__ import annotations

import atexit
import io
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from xrfm_cli.errors import FileReadError

STANDARD_INPUT = "-"


def is_stream(path: Path) -> bool:
    """Return whether a path is standard input (``-``) or a pipe. A file with that name is ``./-``.

    >>> is_stream(Path("-")), is_stream(Path("data.csv"))
    (True, False)
    """
    return str(path) == STANDARD_INPUT or path.is_fifo()


class _Kept:
    """The bytes of a stream, kept in a temporary file as far as they were read."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.length = 0
        self.has_ended = False
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="xrfm-")  # noqa: SIM115 - lives as the stream
        atexit.register(self.file.close)

    def read_at(self, place: int, size: int) -> bytes:
        """Return bytes from ``place`` on, fewer only at the end."""
        while place + size > self.length and not self.has_ended:
            block: bytes = self.stream.read(max(place + size - self.length, 1 << 16))
            self.has_ended = not block
            self.file.seek(self.length)
            self.file.write(block)
            self.length += len(block)
        self.file.seek(place)
        return self.file.read(size)


class _Reader(io.RawIOBase):
    """One pass over the kept bytes."""

    def __init__(self, kept: _Kept) -> None:
        self._kept, self._place = kept, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._kept.read_at(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a stream can only seek from its start")
        self._place = offset
        return offset

    def tell(self) -> int:
        return self._place


_all_kept: dict[str, _Kept] = {}  # a process can read each stream only once


def open_stream(path: Path) -> io.BufferedReader:
    """Return a new reader of a stream, from its beginning."""
    name = str(path)
    stream = _standard_input() if name == STANDARD_INPUT else None
    known = _all_kept.get(name)
    if known is None or (stream is not None and known.stream is not stream):
        if known is not None:
            known.file.close()
        if stream is None:
            stream = path.open("rb")
            atexit.register(stream.close)
        _all_kept[name] = _Kept(stream)
    return io.BufferedReader(_Reader(_all_kept[name]))


def _standard_input() -> Any:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or stream.closed:
        raise FileReadError("-: there is no standard input; give the path of a file")
    if stream.isatty():
        raise FileReadError("-: standard input is a terminal; pipe the table in, or give the path of a file")
    return stream
