"""The interface of worker pools, which :mod:`step_pool` and :mod:`dask_pool` have."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Protocol

from xrfm_cli.tuning.search.step import Step, StepResult

# Rows of the largest steps that workers run. Larger matrices use several threads well, and one early model is
# worth more to a search than several late ones: benchmarks/workers.py.
MOST_ROWS = 3_000
MEMORY_SHARE = 0.5  # share of the byte budget, for kernel matrices of all workers together
TASKS_PER_WORKER = 2  # of tasks whose results are taken in order: one that runs, and one that waits
POLL_S = 0.1  # how often a waiting search looks at its clock


class Pool(Protocol):
    """The interface that a search needs of its workers."""

    @property
    def workers(self) -> Sized:
        """Return the workers; there may be none."""
        ...

    def takes(self, step: Step) -> bool:
        """Return whether a step is run by workers."""
        ...

    def has_room(self) -> bool:
        """Return whether a worker is idle."""
        ...

    def known(self, step: Step) -> StepResult | None:
        """Return the result of a step if it is there."""
        ...

    def offer(self, step: Step) -> None:
        """Give a step to an idle worker, unless it is known, running or was lost."""
        ...

    def obtain(self, step: Step, *, look_ahead: Callable[[], None]) -> StepResult | None:
        """Wait for the result of a step; None if it was lost, and the caller must run it."""
        ...

    def forget(self, trial: int) -> None:
        """Drop the results of a trial that has ended."""
        ...
