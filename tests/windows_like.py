"""Run the command without features that Windows lacks; open files cannot be deleted or replaced.

Run as ``python tests/windows_like.py ARGUMENTS [+ ARGUMENTS ...]``, each a command of xrfm. How Windows
writes paths, names errors and reads the console it cannot tell: Python still knows that it runs on Linux.
"""

from __future__ import annotations

# What is not used here has other parts on Windows; those for Linux need what is hidden below.
# psutil brings subprocess.
import asyncio  # noqa: F401
import errno
import mmap
import multiprocessing.connection  # noqa: F401
import os
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import filelock  # noqa: F401
import psutil  # noqa: F401

MODULES = ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty")
# What libraries have chosen when they were imported stays: statvfs (shutil), posix_spawn (subprocess, from
# Python 3.13) and fchmod (old versions of filelock).
NAMES: dict[Any, str] = {
    os: "chown fchown fork forkpty geteuid getgid getloadavg getuid killpg lchown mkfifo mknod nice "
    "sched_getaffinity sched_setaffinity setsid sysconf wait WNOHANG",
    mmap: "MADV_DONTNEED",
    signal: "SIGALRM SIGHUP SIGKILL SIGQUIT SIGUSR1 alarm pthread_sigmask setitimer",
    time: "tzset",
}


def hide() -> None:
    """Remove what Windows lacks, and refuse what it refuses."""
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for module, names in NAMES.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    os.symlink = _refuse_link
    sys.addaudithook(_refuse_open_files)


def _refuse_link(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "A required privilege is not held by the client")


def _refuse_open_files(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to delete, to rename and to replace a file that this process has open or mapped."""
    if event == "os.remove":
        touched = [(arguments[0], arguments[1])]
    elif event == "os.rename":
        touched = [(arguments[0], arguments[2]), (arguments[1], arguments[3])]
    else:
        return
    taken = open_files()
    for name, folder in touched:
        base = Path(f"/proc/self/fd/{folder}").readlink() if folder >= 0 else Path.cwd()
        try:
            found = (base / os.fsdecode(name)).lstat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_ino in taken:
            raise PermissionError(errno.EACCES, "The file is open", os.fsdecode(name))


def open_files() -> set[int]:
    """Return the inode numbers of the files that this process has open or mapped."""
    numbers = {int(line.split()[4]) for line in Path("/proc/self/maps").read_text().splitlines()}
    for link in Path("/proc/self/fd").iterdir():
        try:
            numbers.add(link.stat().st_ino)
        except OSError:  # it was open to list this folder, or leads to nothing
            continue
    return numbers - {0}


def commands(words: list[str]) -> list[list[str]]:
    """Split the arguments into command lines at ``+``."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == "+":
            found.append([])
        else:
            found[-1].append(word)
    return found


if __name__ == "__main__":
    hide()
    from xrfm_cli.main import main, run

    *first, sys.argv[1:] = commands(sys.argv[1:])
    for words in first:
        status = run(words)
        if status:
            sys.exit(status)
    main()
