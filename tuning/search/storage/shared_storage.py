"""Open the storage of a shared study: a database by its URL, or a journal file by its path.

Optuna's own journal locks never expire for a dangling symbolic link, and wait 30 seconds for a killed
process. The lock here names the process that holds it: the lock of a dead process is broken at once, and any
other lock ends the wait with an error.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from xrfm_cli.errors import OptionError
from xrfm_cli.mentions import option

# Raised by Optuna and its drivers for a storage that is unreachable, damaged or emptied by others.
FAULTS = (AssertionError, LookupError, OSError, RuntimeError, StorageInternalError, TypeError, ValueError)
PAUSE_S = 0.3  # before another try at a database whose tables another process is creating
# A wait for another process, as a share of the time left: well within the 5 % by which a limit may be
# exceeded. Writing takes milliseconds, so the shortest wait is long enough too.
WAIT_SHARE, SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.04, 2.0, 30.0
STALE_S = 60.0  # a lock of this age is broken: locks are held for milliseconds, clocks differ by seconds
WATCHED_S = 1.0  # it must also be seen unchanged for this long, whatever the clocks say
LONGEST_PAUSE_S = 0.1  # between two tries at a lock
READ_S = 1.0  # a lock is read within milliseconds
IS_WINDOWS = os.name == "nt"
FIRST_BYTES = b'{"op_code"'  # of every line of a journal


class BusyStorageError(OSError):
    """Another process holds the lock of a journal and does not release it."""


def wait_for_others_s(seconds_left: float) -> float:
    """Return how long to wait for another writer, given the seconds left (inf without a limit).

    >>> wait_for_others_s(10.0), wait_for_others_s(100.0), wait_for_others_s(float("inf"))
    (2.0, 4.0, 30.0)
    """
    return min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, WAIT_SHARE * seconds_left))


def open_storage(storage: str, *, wait_s: float, on_repair: Callable[[str], None]) -> BaseStorage:
    """Open a database by its URL, or a journal file by its path.

    Args:
        storage: the URL or the path.
        wait_s: how long to wait for another process that writes.
        on_repair: receives a message if an unfinished last line of a journal was left out.

    Raises OptionError for a path that cannot be a journal, and one of FAULTS or an error of the database's
    driver if the storage cannot be opened.
    """
    if "://" not in storage:
        return _open_journal(Path(storage), wait_s, on_repair)
    arguments = {"connect_args": {"timeout": wait_s}} if storage.startswith("sqlite") else {}
    until = time.monotonic() + wait_s
    while True:
        try:
            return RDBStorage(storage, engine_kwargs=arguments)
        except Exception as fault:  # drivers and SQLAlchemy raise many classes of their own
            # If two processes create the tables of a new database at once, one has to try again.
            if time.monotonic() > until or not _is_about_tables(fault):
                raise
        time.sleep(PAUSE_S)


def _is_about_tables(fault: BaseException) -> bool:
    cause = f"{fault} {fault.__cause__}".lower()
    return "constraint" in cause or "already exists" in cause or "locked" in cause


def _open_journal(path: Path, wait_s: float, on_repair: Callable[[str], None]) -> JournalStorage:
    """Open or create a journal file; a file of any other kind is never written to."""
    if not path.parent.is_dir():
        raise OptionError(f"{option('storage', path)}: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise OptionError(f"{option('storage', path)}: is a folder. Name a file in it.")
    if path.exists():
        if not path.is_file():
            raise OptionError(f"{option('storage', path)}: is not a regular file. Name one.")
        _check_lines(path)
    try:
        return JournalStorage(Journal(path, wait_s=wait_s, on_repair=on_repair))
    except (AssertionError, LookupError, StorageInternalError, TypeError, ValueError) as fault:
        fact = "this version of Optuna cannot read this journal. Give a new file."
        raise OptionError(f"{option('storage', path)}: {fact}") from fault


def _check_lines(path: Path) -> None:
    """Refuse a file that is not a journal or has a damaged line; its last line may be unfinished."""
    with path.open("rb") as file:
        first = file.read(len(FIRST_BYTES))
        if first not in (b"", FIRST_BYTES):
            raise OptionError(
                f"{option('storage', path)}: is not an Optuna journal. Give a new file, or a URL such as "
                "sqlite:///tuning.db."
            )
        file.seek(0)
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") and not _is_operation(line):
                raise OptionError(
                    f"{option('storage', path)}: line {number:,} is damaged. Move the file away to begin a "
                    "new study, or delete that line and all after it."
                )


def _is_operation(line: bytes) -> bool:
    try:
        operation = json.loads(line)
    except ValueError:
        return False
    return isinstance(operation, dict) and "op_code" in operation


class Journal(JournalFileBackend):
    """Optuna's journal file with a lock that times out; a damaged line is a storage error."""

    def __init__(self, path: Path, *, wait_s: float, on_repair: Callable[[str], None]) -> None:
        super().__init__(str(path), JournalLock(path, wait_s=wait_s, on_repair=on_repair))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the operations from a number on."""
        try:
            yield from super().read_logs(log_number_from)
        except ValueError as fault:
            raise StorageInternalError("the journal has a damaged line") from fault


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a lock, and since when."""

    text: str  # "PID MACHINE TOKEN"; other text in locks of Optuna's own classes
    since_ns: int  # by the file system's clock

    @property
    def shown(self) -> str:
        """Return the process in words."""
        number, _, rest = self.text.partition(" ")
        host = rest.partition("/")[0]
        return f"process {number} of {host}" if number.isdigit() and host else "another process"

    @property
    def is_dead(self) -> bool:
        """Return whether it is a process of this machine that has ended."""
        number, _, rest = self.text.partition(" ")
        if not number.isdigit() or rest.partition(" ")[0] != _machine():
            return False
        try:
            return not psutil.pid_exists(int(number))
        except OverflowError:  # no process has such a number
            return True


class JournalLock(JournalFileOpenLock):
    """An exclusive file beside a journal that names the process holding it.

    After it is acquired, an unfinished last line of the journal is cut: a process was killed while writing,
    and a line after it would make the journal unreadable. Raises BusyStorageError if the lock is not released
    in time.
    """

    def __init__(self, path: Path, *, wait_s: float, on_repair: Callable[[str], None]) -> None:
        self._journal, self._lock = path, path.with_name(f"{path.name}.lock")
        self._wait_s, self._on_repair = wait_s, on_repair
        self._text = f"{os.getpid()} {_machine()} {uuid4().hex}"

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        seen: Holder | None = None
        since, pause_s = time.monotonic(), 0.001
        while not self._take():
            holder = self._holder()
            if holder != seen:
                seen, since = holder, time.monotonic()
            waited_s = time.monotonic() - since
            if holder is not None and (holder.is_dead or _is_stale(holder, waited_s)):
                self._break(holder)
            elif waited_s > self._wait_s:
                shown = "another process" if holder is None else holder.shown
                raise BusyStorageError(
                    f"{self._lock} is held by {shown}. Try again, or delete that file if no such "
                    "process is running."
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        try:
            if _cut_unfinished_line(self._journal):
                self._on_repair(
                    f"{self._journal}: its last line was unfinished, as a process was killed while writing, "
                    "and was left out"
                )
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Remove the lock if this process still holds it."""
        holder = self._holder()
        if holder is not None and holder.text == self._text:
            _when_others_let(lambda: self._lock.unlink(missing_ok=True))

    def _take(self) -> bool:
        try:
            number = os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        except PermissionError:
            if not IS_WINDOWS:
                raise
            return False  # it is being deleted
        with os.fdopen(number, "w") as file:
            file.write(self._text)
        return True

    def _holder(self) -> Holder | None:
        return _read_holder(self._lock)

    def _break(self, holder: Holder) -> None:
        """Remove the lock of a dead process; if several try, one succeeds."""
        aside = self._lock.with_name(f"{self._lock.name}.{uuid4().hex}")
        try:
            _when_others_let(lambda: self._lock.rename(aside))
        except FileNotFoundError:
            return
        if _read_holder(aside) != holder:  # another process has already broken it and taken it
            _when_others_let(lambda: aside.rename(self._lock))
        else:
            _when_others_let(aside.unlink)


def _when_others_let(act: Callable[[], object]) -> None:
    """Delete or rename a lock; on Windows this fails while another process reads it."""
    until = time.monotonic() + READ_S
    while True:
        try:
            act()
            return
        except PermissionError:
            if not IS_WINDOWS or time.monotonic() > until:
                raise
        time.sleep(0.001)


def _read_holder(lock: Path) -> Holder | None:
    """Return the holder of a lock file, or of a link as Optuna makes it; None if there is none."""
    try:
        since_ns = lock.lstat().st_mtime_ns
        text = str(lock.readlink()) if lock.is_symlink() else lock.read_text(errors="replace")
    except FileNotFoundError:
        return None
    except PermissionError:
        if not IS_WINDOWS:
            raise
        return None  # it is being deleted
    return Holder(text, since_ns)


def _is_stale(holder: Holder, waited_s: float) -> bool:
    return waited_s > WATCHED_S and time.time() - holder.since_ns / 1e9 > STALE_S


def _machine() -> str:
    """Return the name of this machine and of the PID namespace within it."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}/{namespace}"


def _cut_unfinished_line(path: Path) -> bool:
    """Cut what follows the last line break of a file; return whether there was anything."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return False
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return False
        file.seek(0)
        kept = 0
        for line in file:
            kept += len(line) if line.endswith(b"\n") else 0
    os.truncate(path, kept)
    return True
