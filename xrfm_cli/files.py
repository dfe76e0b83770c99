"""Files that appear whole or not at all, and keep what was set on the file that they replace."""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from xrfm_cli.errors import OptionError
from xrfm_cli.windows_names import why_no_file

WAY_OUT = "make room or choose another place"
LEFT_AFTER_S = 3600.0  # without a change: time enough for clocks that differ and systems without locks
NAME_CHARACTERS = 40  # of the file's name in the temporary one: names have a limit of 255 bytes


@contextmanager
def open_whole(path: Path, *, way_out: str = WAY_OUT, is_durable: bool = True) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is complete.

    The bytes go to a temporary file beside it, which is renamed at the end. A file that is replaced passes on
    its permissions, and its owner where that is allowed; a new one has those of the umask. A symbolic link
    stays, and the file that it leads to is written. Temporary files of writers that were killed are deleted
    by the next writer of the same file.

    Args:
        path: the file to write.
        way_out: the last words of an error.
        is_durable: whether to wait until the bytes are on the disk, so that a power cut spares them.

    Raises OptionError, in one line, where the file cannot be written.
    """
    with _named(path, way_out):
        target, before = replaced_file(path)
        if is_durable:  # others are many, in a folder that is cleared as a whole
            _sweep(target)
        unfinished = target.with_name(f".{target.name[:NAME_CHARACTERS]}.{secrets.token_hex(4)}.tmp")
        raw = _UnfinishedFile(unfinished, path, way_out, mode=0o666 if before is None else 0o600)
        _lock(raw.fileno())
    try:
        with io.BufferedWriter(raw) as stream:
            yield stream
            stream.flush()
            with _named(path, way_out):
                if before is not None:
                    _pass_on(before, raw.fileno())
                if is_durable:
                    os.fsync(raw.fileno())
        with _named(path, way_out):
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, is_durable: bool = True) -> None:
    """Write bytes as :func:`open_whole` does."""
    with open_whole(path, is_durable=is_durable) as stream:
        stream.write(data)


def utf8(text: str) -> bytes:
    """A text as UTF-8. Half characters, as in names of files that are no UTF-8, are escaped as in JSON.

    >>> utf8("größe").decode(), utf8("\\udcff")
    ('größe', b'\\\\udcff')
    """
    return text.encode("utf-8", "backslashreplace")


def replaced_file(path: Path) -> tuple[Path, os.stat_result | None]:
    """The file that a path leads to, through links, and its facts; None where there is no such file yet.

    Raises OSError or OptionError for anything that a file cannot replace.
    """
    fault = why_no_file(path)
    if fault is not None:
        raise OptionError(f"{path}: {fault}")
    try:
        before = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        before = None
    if before is not None and stat.S_ISDIR(before.st_mode):
        raise OptionError(f"{path}: is a directory; give the name of a file")
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise OptionError(f"{path}: is a device or a pipe; give the name of a file")
    if before is not None and not os.access(path, os.W_OK):
        raise OptionError(f"{path}: is read-only; change its permissions or give another name")
    return Path(os.path.realpath(path)), before


def _pass_on(before: os.stat_result, descriptor: int) -> None:
    """Give a file the owner and the permissions of another, as far as the system allows it.

    On Windows a file has those of its folder.
    """
    if sys.platform == "win32" or not hasattr(os, "fchown"):
        return
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with suppress(OSError):
            os.fchown(descriptor, owner, group)
    with suppress(OSError):  # after the owner, whose change clears some permissions
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _sweep(target: Path) -> None:
    """Delete the temporary files that killed writers of a file left behind.

    A writer holds a lock on its file until it dies, and an hour has to pass, since some network file systems
    do not share locks. Without locks, as on Windows, everything stays.
    """
    name = re.compile(rf"\.{re.escape(target.name[:NAME_CHARACTERS])}\.[0-9a-f]{{8}}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _delete_if_left(Path(entry))


def _delete_if_left(unfinished: Path) -> None:
    """Delete a temporary file that is old and that nobody holds."""
    with suppress(OSError):
        descriptor = os.open(unfinished, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            is_old = os.fstat(descriptor).st_mtime < time.time() - LEFT_AFTER_S
            if is_old and _lock(descriptor):
                unfinished.unlink()
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Hold a file until it is closed, by whatever end of the process; False where that cannot be."""
    if sys.platform == "win32":
        return False
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


class _UnfinishedFile(io.FileIO):
    """Bytes on their way into a file; errors name the file that they will be."""

    def __init__(self, unfinished: Path, path: Path, way_out: str, *, mode: int) -> None:
        super().__init__(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, mode))
        self._path, self._way_out = path, way_out

    def write(self, data: Any, /) -> int:
        """Write some of the bytes; returns how many."""
        with _named(self._path, self._way_out):
            return super().write(data) or 0


@contextmanager
def _named(path: Path, way_out: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise OptionError(f"{path}: cannot be written ({fault.strerror}); {way_out}") from fault
