"""Standard output and standard error, robust to closed streams, full disks and closed pipes."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any

from xrfm_cli.errors import InputError
from xrfm_cli.files import utf8

RESULTS = "standard output"
# Error numbers of a write to a pipe that its reader has closed.
NO_READER = {errno.EPIPE, *([errno.EINVAL] if os.name == "nt" else [])}


class GuardedStream:
    """A text or byte stream whose errors are either ignored or reported with the stream's name.

    After an error it discards its data, so that flushing the buffer does not fail again when Python exits.
    """

    def __init__(self, stream: Any, *, ignored: type[OSError] | tuple[type[OSError], ...]) -> None:
        self._stream = stream
        self._ignored = ignored

    def write(self, data: Any) -> int:
        """Write; InputError for an error that is not ignored."""
        return self._try(self._stream.write, data) or 0

    def flush(self) -> None:
        """Flush; InputError for an error that is not ignored."""
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, act: Any, *data: Any) -> Any:
        try:
            return act(*data)
        except OSError as fault:
            silence(self._stream)
            known = BrokenPipeError(errno.EPIPE, fault.strerror) if fault.errno in NO_READER else fault
            if isinstance(known, self._ignored):
                return None
            if isinstance(known, BrokenPipeError):
                raise known from fault
            raise InputError(f"{RESULTS}: cannot be written ({fault.strerror})") from fault


def messages() -> GuardedStream:
    """Return standard error with all errors ignored: lost messages are no reason to end a fit."""
    return GuardedStream(sys.stderr, ignored=OSError)


def results() -> GuardedStream:
    """Return standard output for short results: a closed pipe is ignored."""
    return GuardedStream(sys.stdout, ignored=BrokenPipeError)


def can_show(text: str) -> bool:
    """Return whether standard output can encode a text; it prints ? for characters that it cannot.

    >>> can_show("model.csv")
    True
    """
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def is_utf8() -> bool:
    """Return whether standard output is UTF-8; it is not for a redirected command on Windows."""
    return _encoding() == "utf-8"


def _encoding() -> str:
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name


def documents() -> GuardedStream:
    """Return standard output for machine-readable text: always UTF-8, whatever the terminal's encoding."""
    return GuardedStream(_Utf8(sys.stdout), ignored=BrokenPipeError)


def rows() -> GuardedStream:
    """Return standard output for the bytes of many rows; BrokenPipeError if the reader closes the pipe."""
    return GuardedStream(sys.stdout.buffer, ignored=())


class _Utf8:
    """Write UTF-8 to the byte buffer of a stream, or text to a stream without a buffer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        under = getattr(self._stream, "buffer", None)
        if under is None:  # such as a StringIO in place of standard output
            return int(self._stream.write(text))
        self._stream.flush()  # keeps the order with earlier text
        return int(under.write(utf8(text)))

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return int(self._stream.fileno())


def silence(stream: Any) -> None:
    """Redirect a stream to the null device."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def open_closed_streams() -> None:
    """Open null devices for standard streams that the process was started without.

    Otherwise the next opened file would take their descriptor, and messages would be written into it.
    Standard output is opened so that writing fails, because its results would be lost.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)
