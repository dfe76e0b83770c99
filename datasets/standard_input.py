"""Standard input as a file that can be opened more than once.

What has been read is kept in a temporary file, so that the beginning can be looked at before the whole is
parsed; memory does not grow, and what was not asked for yet is not waited for.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from xrfm_cli.datasets.errors import FileReadError

NAME = "-"


def is_standard_input(path: str | Path) -> bool:
    """Whether a path stands for standard input; a file of that name is ``./-``.

    >>> is_standard_input("-"), is_standard_input("data.csv")
    (True, False)
    """
    return str(path) == NAME


class _Kept:
    """The bytes of a stream, in a temporary file as far as they were read."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.length = 0
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="xrfm-")  # noqa: SIM115 - lives as the stream

    def read_at(self, place: int, size: int) -> bytes:
        """Bytes from ``place`` on, fewer at the end only."""
        while place + size > self.length:
            block: bytes = self.stream.read(max(place + size - self.length, 1 << 16))
            if not block:
                break
            self.file.seek(self.length)
            self.file.write(block)
            self.length += len(block)
        self.file.seek(place)
        return self.file.read(size)


class _Reader(io.RawIOBase):
    """One pass over what is kept."""

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
            raise io.UnsupportedOperation("standard input is read forwards")
        self._place = offset
        return offset

    def tell(self) -> int:
        return self._place


_kept: _Kept | None = None  # the process has one standard input


def open_standard_input() -> io.BufferedReader:
    """A new pass over standard input, from its beginning."""
    global _kept
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or stream.closed:
        raise FileReadError("-: there is no standard input; give the path of a file")
    if stream.isatty():
        raise FileReadError("-: standard input is a terminal; pipe the table in, or give the path of a file")
    if _kept is None or _kept.stream is not stream:
        _kept = _Kept(stream)
    return io.BufferedReader(_Reader(_kept))
