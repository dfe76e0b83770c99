"""Worker processes that run steps of a search side by side, each with one thread.

A step's result depends on the step alone (:func:`run_step`), so the pool changes only when results are known.
Workers are forks of this process: they share its rows and encoded folds without copying them. If forking is
not safe, :func:`worker_count` allows one worker, and the search runs its steps itself.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from ctypes import c_bool
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS
from xrfm_cli.tuning.search.run_step import fold_matrices, run_and_collect
from xrfm_cli.tuning.search.step import Step, StepResult
from xrfm_cli.tuning.search.storage.step_file import from_bytes, to_bytes

MEMORY_SHARE = 0.5  # share of the byte budget, for kernel matrices of all workers together
POLL_S = 0.1  # how often a waiting search looks at its clock
StepKey = tuple[Hashable, ...]  # everything that a step's result depends on besides the problem
REFUSED = "the system refuses to start more worker processes; the search goes on with fewer"
LOST = "a worker process ended unexpectedly; the search continues without it"


def worker_count(wanted: int | None, *, threads: int, device: str) -> int:
    """Return the number of worker processes; 1 means that the search runs its steps itself.

    By default there is one for each thread. Only Linux forks safely beside the threads of numerical
    libraries. A daemonic process may not have children, and a thread other than the main one may have forked
    while another one held a lock.

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


def fitting_workers(count: int, problem: Problem) -> int:
    """Return how many of the workers the memory and the table allow."""
    rows = min(MOST_ROWS, problem.plan.rung_sizes[-1])
    return max(1, min(count, int(MEMORY_SHARE * problem.memory_bytes / direct_bytes(rows))))


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    """A worker process and the step that it runs."""

    process: BaseProcess
    connection: Connection
    running: StepKey | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class StepPool:
    """The workers of a search, and results that have not been asked for yet."""

    problem: Problem
    on_event: OnEvent
    late: Any  # shared flag: the time limit is near
    workers: list[_Worker] = field(default_factory=list)
    results: dict[StepKey, StepResult] = field(default_factory=dict)
    lost: set[StepKey] = field(default_factory=set)  # steps whose worker ended

    def takes(self, step: Step) -> bool:
        """Return whether a step is run by workers."""
        return bool(self.workers) and is_short(self.problem, step)

    def has_room(self) -> bool:
        """Return whether a worker is idle."""
        return any(worker.running is None for worker in self.workers)

    def known(self, step: Step) -> StepResult | None:
        """Return the result of a step if it is there."""
        return self.results.get(key_of(step))

    def offer(self, step: Step) -> None:
        """Give a step to an idle worker, unless it is known, running or was lost."""
        key = key_of(step)
        if key in self.results or key in self.lost or any(w.running == key for w in self.workers):
            return
        for worker in self.workers:
            if worker.running is None:
                # Whether it is late is read from the shared flag, as a function cannot be sent.
                sent = pickle.dumps((replace(step, is_late=None), step.is_late is not None))
                try:
                    worker.connection.send_bytes(sent)
                except OSError:
                    self._lose(worker)
                    continue
                worker.running = key
                return

    def obtain(self, step: Step, *, look_ahead: Callable[[], None]) -> StepResult | None:
        """Wait for the result of a step; None if its worker was lost, and the caller must run it.

        ``look_ahead`` offers further steps to idle workers. It is called whenever one may be idle.
        """
        key = key_of(step)
        while key not in self.results:
            self.offer(step)
            if key in self.lost or not self.workers:
                return None
            look_ahead()
            if step.is_late is not None:
                self.late.value = step.is_late()
            self._receive(POLL_S)
        look_ahead()
        return self.results[key]

    def forget(self, trial: int) -> None:
        """Drop the results of a trial that has ended."""
        for key in [key for key in self.results if key[0] == trial]:
            del self.results[key]

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.connection.close()
            worker.process.join()
        self.workers.clear()

    def _receive(self, timeout_s: float) -> None:
        """Take the results that have arrived; wait for one at most this long."""
        by_connection = {worker.connection: worker for worker in self.workers}
        for connection in wait(list(by_connection), timeout_s):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                result = from_bytes(worker.connection.recv_bytes(), self.problem.data.device)
            except (EOFError, OSError, ValueError):
                self._lose(worker)
                continue
            assert worker.running is not None
            self.results[worker.running], worker.running = result, None

    def _lose(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        if worker.running is not None:
            self.lost.add(worker.running)
        worker.process.kill()
        worker.connection.close()
        self.on_event(Event(kind="fallback", message=LOST, count=1))


def is_short(problem: Problem, step: Step) -> bool:
    """Return whether a step has few enough rows for one thread."""
    rows = problem.plan.rung_sizes[-1] if step.rows is None else step.rows
    return rows <= MOST_ROWS


def run_in_worker(problem: Problem, step: Step) -> bytes:
    """Run a step and return its serialised result; encoding is not part of the step's seconds."""
    fold_matrices(problem, step.fold, step.candidate)
    return to_bytes(run_and_collect(problem, step, on_event=ignore_event, clock=time.monotonic))


def key_of(step: Step) -> StepKey:
    """Return what identifies a step, first its trial."""
    start = None if step.start is None else step.start.cpu().contiguous().numpy().tobytes()
    return (step.trial, step.fold, step.rung, step.candidate, step.rows, step.iterations, start)


@contextmanager
def step_pool(problem: Problem, count: int, on_event: OnEvent) -> Iterator[StepPool | None]:
    """Start workers and end them with the context; yield None for one worker, which is this process."""
    count = fitting_workers(count, problem)
    if count < 2:
        yield None
        return
    pool = StepPool(problem=problem, on_event=on_event, late=RawValue(c_bool, False))
    try:
        for _ in range(count):
            worker = _start_worker(pool)
            if worker is None:
                on_event(Event(kind="fallback", message=REFUSED, count=1))
                break
            pool.workers.append(worker)
        yield pool
    finally:
        pool.close()


def _start_worker(pool: StepPool) -> _Worker | None:
    """Fork a worker; None if the system refuses, for example for lack of memory."""
    if sys.platform == "win32":
        raise AssertionError("worker_count() allows no worker there")
    context = multiprocessing.get_context("fork")
    own, other = context.Pipe()
    # A daemon ends with this process.
    process = context.Process(target=_work, args=(pool.problem, other, pool.late), daemon=True)
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
    return _Worker(process=process, connection=own)


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


def _work(problem: Problem, connection: Connection, late: Any) -> None:
    """Run the steps that arrive, until the other end is closed."""
    if sys.platform == "win32":
        raise AssertionError("worker_count() allows no worker there")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _leave_files(connection.fileno())
    torch.set_num_threads(1)
    with threadpool_limits(1), suppress(EOFError, OSError):
        while True:
            step, may_be_late = pickle.loads(connection.recv_bytes())
            if may_be_late:
                step = replace(step, is_late=lambda: bool(late.value))
            connection.send_bytes(run_in_worker(problem, step))


def _leave_files(kept: int) -> None:
    """Close the parent's files, pipes and locks here: they must end with the parent, not with its workers."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  (names, one of which is the listing's own)
        if int(name) > 2 and int(name) != kept:
            with suppress(OSError):
                os.close(int(name))
