"""Start processes in tests: they receive signals, have a time limit and never outlive their test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

LIMIT_S = 120.0
PIPE = subprocess.PIPE
ByteProcess = subprocess.Popen[bytes]
XRFM = (sys.executable, "-m", "xrfm_cli")
HEARD = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]
KILLED: signal.Signals = getattr(
    signal, "SIGKILL", signal.SIGTERM
)  # on Windows SIGTERM cannot be heard either


@contextmanager
def started(
    command: Sequence[object],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    text: bool = True,
    **streams: Any,
) -> Iterator[subprocess.Popen[Any]]:
    """Start a process with pipes; the end of the context ends it and its children.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environment: variables beside those of this process.
        text: whether its streams are text.
        streams: ``stdin``, ``stdout`` and ``stderr`` where they are no pipes.
    """
    with _nothing_ignored():
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=os.environ | (environment or {}),
            text=text,
            encoding="utf-8" if text else None,
            start_new_session=True,  # so that it can be ended with its children
            **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),
        )
    with process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process and all processes that it started."""
    if sys.platform == "win32":  # there are no groups of processes
        with suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, KILLED)


def run_process(
    command: Sequence[object],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    data: Any = None,
    text: bool = True,
    limit_s: float = LIMIT_S,
) -> subprocess.CompletedProcess[Any]:
    """Run a process to its end, with ``data`` on its standard input; TimeoutExpired if it takes too long."""
    stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
    with started(command, folder=folder, environment=environment, text=text, stdin=stdin) as process:
        out, err = process.communicate(data, timeout=limit_s)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_python(code: str, *arguments: object, **options: Any) -> str:
    """Run Python code in a separate process and return its standard output."""
    done = run_process([sys.executable, "-c", code, *arguments], **options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@contextmanager
def _nothing_ignored() -> Iterator[None]:
    """Let a child receive the signals that this process ignores, as under nohup and in background jobs.

    A signal that is ignored stays so in a child; one that has a handler gets the default there.
    """
    ignored = [number for number in HEARD if signal.getsignal(number) is signal.SIG_IGN]
    try:
        for number in ignored:
            signal.signal(number, lambda *_: None)
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
