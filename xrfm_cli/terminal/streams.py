"""Standard output and standard error, which may be closed or full, or whose reader may have gone."""

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
# What a write to a pipe fails with whose reader has gone.
NO_READER = {errno.EPIPE, *([errno.EINVAL] if os.name == "nt" else [])}


class GuardedStream:
    """A stream, of text or bytes, whose faults are either no reason to stop or said by its name.

    After a fault it writes to nowhere: what a buffer still holds must not fail once more when Python ends.
    """

    def __init__(self, stream: Any, *, ignored: type[OSError] | tuple[type[OSError], ...]) -> None:
        self._stream = stream
        self._ignored = ignored

    def write(self, data: Any) -> int:
        """Write; InputError if that cannot be done and matters."""
        return self._try(self._stream.write, data) or 0

    def flush(self) -> None:
        """Flush; InputError if that cannot be done and matters."""
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
    """Standard error: that nobody can hear is no reason to end a fit."""
    return GuardedStream(sys.stderr, ignored=OSError)


def results() -> GuardedStream:
    """Standard output for results that end soon: a reader that has seen enough changes nothing."""
    return GuardedStream(sys.stdout, ignored=BrokenPipeError)


def can_show(text: str) -> bool:
    """Whether standard output has all characters of a text; it shows ? for those that it lacks.

    >>> can_show("model.csv")
    True
    """
    try:
        text.encode(_encoding())
    except UnicodeEncodeError:
        return False
    return True


def is_utf8() -> bool:
    """Whether the text of standard output is UTF-8; that of a redirected command on Windows is not."""
    return _encoding() == "utf-8"


def _encoding() -> str:
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name


def documents() -> GuardedStream:
    """Standard output for texts that programs read: always UTF-8, whatever the terminal's encoding is."""
    return GuardedStream(_Utf8(sys.stdout), ignored=BrokenPipeError)


def rows() -> GuardedStream:
    """Standard output for the bytes of many rows; BrokenPipeError ends them when their reader has gone."""
    return GuardedStream(sys.stdout.buffer, ignored=())


class _Utf8:
    """Writes texts to the bytes under a stream, or to the stream itself where there are none."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        under = getattr(self._stream, "buffer", None)
        if under is None:  # such as a StringIO that stands for standard output
            return int(self._stream.write(text))
        self._stream.flush()  # what was written as text comes first
        return int(under.write(utf8(text)))

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return int(self._stream.fileno())


def silence(stream: Any) -> None:
    """Let all that is still written to a stream go nowhere."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def open_closed_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    Without, the next file that is opened would take their place, and messages would be written into it.
    Standard output is opened so that writing to it fails, since its results would be lost.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as the process
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False)
