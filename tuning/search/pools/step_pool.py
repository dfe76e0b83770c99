"""Worker processes that run steps of a search side by side, each with one thread.

A step's result depends on the step alone (:func:`run_step`), so the pool changes only when results are known.
Workers are forks of this process (:mod:`forks`): they share its rows and encoded folds.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from ctypes import c_bool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.sharedctypes import RawValue
from typing import Any

from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.pools.forks import Forks
from xrfm_cli.tuning.search.pools.pool import MEMORY_SHARE, MOST_ROWS, POLL_S
from xrfm_cli.tuning.search.run_step import fold_matrices, run_and_collect
from xrfm_cli.tuning.search.step import Step, StepResult
from xrfm_cli.tuning.search.storage.step_file import from_bytes, to_bytes

StepKey = tuple[Hashable, ...]  # everything that a step's result depends on besides the problem


def fitting_workers(count: int, problem: Problem) -> int:
    """Return how many of the workers the memory and the table allow."""
    rows = min(MOST_ROWS, problem.plan.rung_sizes[-1])
    return max(1, min(count, int(MEMORY_SHARE * problem.memory_bytes / direct_bytes(rows))))


@dataclass(slots=True, kw_only=True, eq=False)
class StepPool:
    """The workers of a search, and results that have not been asked for yet."""

    problem: Problem
    forks: Forks
    late: Any  # shared flag: the time limit is near
    results: dict[StepKey, StepResult] = field(default_factory=dict)
    lost: set[Hashable] = field(default_factory=set)  # steps whose worker ended

    @property
    def workers(self) -> list[Any]:
        """Return the workers that have not ended."""
        return self.forks.members

    def takes(self, step: Step) -> bool:
        """Return whether a step is run by workers."""
        return bool(self.workers) and is_short(self.problem, step)

    def has_room(self) -> bool:
        """Return whether a worker is idle."""
        return self.forks.has_idle()

    def known(self, step: Step) -> StepResult | None:
        """Return the result of a step if it is there."""
        return self.results.get(key_of(step))

    def offer(self, step: Step) -> None:
        """Give a step to an idle worker, unless it is known, running or was lost."""
        key = key_of(step)
        if key in self.results or key in self.lost or self.forks.is_running(key) or not self.has_room():
            return
        # Whether it is late is read from the shared flag, as a function cannot be sent.
        self.forks.give(key, pickle.dumps((replace(step, is_late=None), step.is_late is not None)))

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

    def _receive(self, timeout_s: float) -> None:
        """Take the results that have arrived; wait for one at most this long."""
        for key, answer in self.forks.receive(timeout_s):
            if answer is None:
                self.lost.add(key)
            else:
                assert isinstance(key, tuple)
                self.results[key] = from_bytes(answer, self.problem.data.device)


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
    pool = StepPool(problem=problem, forks=Forks(on_event=on_event), late=RawValue(c_bool, False))
    try:
        pool.forks.start(count, partial(_answer, problem, pool.late))
        yield pool
    finally:
        pool.forks.close()


def _answer(problem: Problem, late: Any, request: bytes) -> bytes:
    """Run a step that was sent to this worker."""
    step, may_be_late = pickle.loads(request)
    if may_be_late:
        step = replace(step, is_late=lambda: bool(late.value))
    return run_in_worker(problem, step)
