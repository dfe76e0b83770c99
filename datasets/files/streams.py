"""Standard input and named pipes as files that can be opened more than once.

What has been read is kept in a temporary file, so that the beginning can be looked at before the whole is
parsed; memory does not grow, and what was not asked for yet is not waited for.
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
    """Whether a path can be read once only: standard input, ``-``, or a pipe. A file of that name is ``./-``.

    >>> is_stream(Path("-")), is_stream(Path("data.csv"))
    (True, False)
    """
    return str(path) == STANDARD_INPUT or path.is_fifo()


class _Kept:
    """The bytes of a stream, in a temporary file as far as they were read."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.length = 0
        self.has_ended = False
        self.file: IO[bytes] = tempfile.TemporaryFile(prefix="xrfm-")  # noqa: SIM115 - lives as the stream
        atexit.register(self.file.close)

    def read_at(self, place: int, size: int) -> bytes:
        """Bytes from ``place`` on, fewer at the end only."""
        while place + size > self.length and not self.has_ended:
            block: bytes = self.stream.read(max(place + size - self.length, 1 << 16))
            self.has_ended = not block
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
            raise io.UnsupportedOperation("a stream is read from its beginning")
        self._place = offset
        return offset

    def tell(self) -> int:
        return self._place


_all_kept: dict[str, _Kept] = {}  # a process can read each stream once


def open_stream(path: Path) -> io.BufferedReader:
    """A new pass over a stream, from its beginning."""
    name = str(path)
    stream = _standard_input() if name == STANDARD_INPUT else None
    known = _all_kept.get(name)
    if known is None or (stream is not None and known.stream is not stream):
        if known is not None:
            known.file.close()
        _all_kept[name] = _Kept(path.open("rb") if stream is None else stream)
    return io.BufferedReader(_Reader(_all_kept[name]))


def _standard_input() -> Any:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or stream.closed:
        raise FileReadError("-: there is no standard input; give the path of a file")
    if stream.isatty():
        raise FileReadError("-: standard input is a terminal; pipe the table in, or give the path of a file")
    return stream
