"""Atomic file writing that keeps the permissions and owner of the replaced file."""

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
from xrfm_cli.remote import send
from xrfm_cli.urls import is_copy
from xrfm_cli.windows_names import why_no_file

WAY_OUT = "make room or choose another place"
LEFT_AFTER_S = 3600.0  # unchanged for an hour: allows for differing clocks and file systems without locks
NAME_CHARACTERS = 40  # of the file's name used in the temporary name: file names are limited to 255 bytes


@contextmanager
def open_whole(path: Path, *, way_out: str = WAY_OUT, is_durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to a temporary file in the same folder, which is renamed at the end. The new file keeps the
    permissions of a replaced file, and its owner if allowed; otherwise the umask applies. A symbolic link
    stays, and its destination is written. Temporary files left by killed writers are deleted by the next
    writer of the same file. The copy of a URL is uploaded at the end.

    Args:
        path: the file to write.
        way_out: the end of an error message, which says what to do.
        is_durable: whether to wait until the bytes are on disk, so that they survive a power cut.

    Raises OptionError, in one line, if the file cannot be written.
    """
    with _named(path, way_out):
        if is_copy(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        target, before = replaced_file(path)
        if is_durable:  # there are many non-durable files, in a folder that is cleared as a whole
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
        if is_copy(path):
            send(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, is_durable: bool = True) -> None:
    """Write bytes atomically, as :func:`open_whole` does."""
    with open_whole(path, is_durable=is_durable) as stream:
        stream.write(data)


def utf8(text: str) -> bytes:
    """Encode text as UTF-8; lone surrogates, as in file names that are not UTF-8, are escaped as in JSON.

    >>> utf8("größe").decode(), utf8("\\udcff")
    ('größe', b'\\\\udcff')
    """
    return text.encode("utf-8", "backslashreplace")


def replaced_file(path: Path) -> tuple[Path, os.stat_result | None]:
    """Return the destination of a path, through links, and its stat result; None if it does not exist yet.

    Raises OSError or OptionError if the destination cannot be replaced by a file.
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
    """Copy the owner and permissions of a replaced file, as far as the system allows.

    On Windows, a file inherits those of its folder.
    """
    if sys.platform == "win32" or not hasattr(os, "fchown"):
        return
    for owner, group in ((before.st_uid, -1), (-1, before.st_gid)):
        with suppress(OSError):
            os.fchown(descriptor, owner, group)
    with suppress(OSError):  # after the owner, since changing it clears some permissions
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _sweep(target: Path) -> None:
    """Delete the temporary files that killed writers of this file left behind.

    A writer locks its file until it exits. An hour must also have passed, since some network file systems do
    not share locks. Without locks, as on Windows, nothing is deleted.
    """
    name = re.compile(rf"\.{re.escape(target.name[:NAME_CHARACTERS])}\.[0-9a-f]{{8}}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _delete_if_left(Path(entry))


def _delete_if_left(unfinished: Path) -> None:
    """Delete a temporary file that is old and not locked."""
    with suppress(OSError):
        descriptor = os.open(unfinished, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        try:
            is_old = os.fstat(descriptor).st_mtime < time.time() - LEFT_AFTER_S
            if is_old and _lock(descriptor):
                unfinished.unlink()
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed or the process ends; return False if that is not possible."""
    if sys.platform == "win32":
        return False
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


class _UnfinishedFile(io.FileIO):
    """A temporary file whose errors name the file that it will become."""

    def __init__(self, unfinished: Path, path: Path, way_out: str, *, mode: int) -> None:
        super().__init__(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, mode))
        self._path, self._way_out = path, way_out

    def write(self, data: Any, /) -> int:
        """Write some of the bytes and return how many."""
        with _named(self._path, self._way_out):
            return super().write(data) or 0


@contextmanager
def _named(path: Path, way_out: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise OptionError(f"{path}: cannot be written ({fault.strerror}); {way_out}") from fault
