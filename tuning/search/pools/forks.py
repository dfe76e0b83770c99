"""Worker processes of this machine: forks of this process that answer one request at a time, with one thread.

They share what this process holds without copying it. Only Linux forks safely beside the threads of numerical
libraries; elsewhere :func:`worker_count` allows no workers.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from threadpoolctl import threadpool_limits

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.threads import stay_single_threaded

Answer = Callable[[bytes], bytes]
REFUSED = "the system refuses to start more worker processes; the work goes on with fewer"
LOST = "a worker process ended unexpectedly; the work goes on without it"


def worker_count(wanted: int | None, *, threads: int, device: str) -> int:
    """Return the number of worker processes; 1 means that this process does the work itself.

    By default there is one for each thread. A daemonic process may not have children, and a thread other
    than the main one may have forked while another one held a lock.

    >>> worker_count(4, threads=2, device="cuda")
    1
    """
    may_fork = (
        sys.platform == "linux"
        and hasattr(os, "fork")
        and device == "cpu"
        and not multiprocessing.current_process().daemon
        and threading.current_thread() is threading.main_thread()
    )
    return max(1, threads if wanted is None else wanted) if may_fork else 1


@dataclass(slots=True, kw_only=True, eq=False)
class _Fork:
    """A worker process and the key of the request that it answers."""

    process: BaseProcess
    connection: Connection
    running: Hashable | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Forks:
    """Worker processes, which all answer requests in the same way."""

    on_event: OnEvent
    members: list[_Fork] = field(default_factory=list)

    def start(self, count: int, answer: Answer) -> None:
        """Fork workers, or fewer if the system refuses, for example for lack of memory."""
        for _ in range(count):
            fork = _fork(answer)
            if fork is None:
                self.on_event(Event(kind="fallback", message=REFUSED, count=1))
                return
            self.members.append(fork)

    def has_idle(self) -> bool:
        """Return whether a worker is idle."""
        return any(member.running is None for member in self.members)

    def is_running(self, key: Hashable) -> bool:
        """Return whether a worker answers the request of this key."""
        return any(member.running == key for member in self.members)

    def give(self, key: Hashable, request: bytes) -> None:
        """Send a request to an idle worker, if there is one."""
        for member in list(self.members):
            if member.running is None:
                try:
                    member.connection.send_bytes(request)
                except OSError:
                    self._lose(member)
                    continue
                member.running = key
                return

    def receive(self, timeout_s: float | None) -> Iterator[tuple[Hashable, bytes | None]]:
        """Yield the answers that have arrived, by key; None if the worker was lost.

        Waits for one answer at most this long.
        """
        by_connection = {member.connection: member for member in self.members}
        for connection in wait(list(by_connection), timeout_s):
            member = by_connection[connection]  # type: ignore[index]
            key = member.running
            try:
                answer = member.connection.recv_bytes()
            except (EOFError, OSError):
                self._lose(member)
                if key is not None:
                    yield key, None
                continue
            member.running = None
            yield key, answer

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for member in self.members:
            member.process.kill()
        for member in self.members:
            member.connection.close()
            member.process.join()
        self.members.clear()

    def _lose(self, member: _Fork) -> None:
        self.members.remove(member)
        member.process.kill()
        member.connection.close()
        self.on_event(Event(kind="fallback", message=LOST, count=1))


def _fork(answer: Answer) -> _Fork | None:
    """Fork a worker; None if the system refuses."""
    if sys.platform == "win32":
        raise AssertionError("worker_count() allows no worker there")
    context = multiprocessing.get_context("fork")
    own, other = context.Pipe()
    # A daemon ends with this process.
    process = context.Process(target=_work, args=(answer, other), daemon=True)
    try:
        with _interrupts_held_back(), warnings.catch_warnings():
            # Python warns of any fork beside threads. A worker takes no lock that they may hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
    except OSError:
        own.close()
        return None
    finally:
        other.close()
    return _Fork(process=process, connection=own)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Deliver Ctrl-C after a fork, so that a worker never sees it."""
    if sys.platform == "win32":
        raise AssertionError("worker_count() allows no worker there")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(answer: Answer, connection: Connection) -> None:
    """Answer the requests that arrive, until the other end is closed."""
    if sys.platform == "win32":
        raise AssertionError("worker_count() allows no worker there")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _leave_files(connection.fileno())
    stay_single_threaded()
    with threadpool_limits(1), suppress(EOFError, OSError):
        while True:
            connection.send_bytes(answer(connection.recv_bytes()))


def _leave_files(kept: int) -> None:
    """Close the parent's files, pipes and locks here: they must end with the parent, not with its workers."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (names, one of which is the listing's own)
        if int(name) > 2 and int(name) != kept:
            with suppress(OSError):
                os.close(int(name))
