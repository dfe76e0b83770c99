"""The splits and leaves of final models as tasks of a dask cluster: see :mod:`dask_pool`.

A task is sent with its rows and is named by their hash, so one that runs twice changes nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.trees.tasks import Task
from xrfm_cli.tuning.search.pools.dask_pool import connect, one_at_a_time
from xrfm_cli.tuning.search.pools.dask_tasks import DaskTasks, dask_tasks
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS
from xrfm_cli.tuning.search.pools.tree_pool import run_sent_task
from xrfm_cli.tuning.search.storage.sealed import unseal

Result = TypeVar("Result")

# Messages about workers are stages: see dask_pool.
LOST = "fitting the chosen models; a task was lost with its dask workers, and is run here"
GONE = "fitting the chosen models here, as the dask cluster does not answer any more"


@dataclass(slots=True, kw_only=True, eq=False)
class DaskTrees:
    """The splits and leaves that a cluster computes."""

    tasks: DaskTasks

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return self.tasks.window

    def offer(self, task: Task[Any]) -> None:
        """Submit a task if it has few enough rows for one thread; others run here, with all threads."""
        if task.n_rows <= MOST_ROWS:
            self.tasks.send(task.key, f"xrfm-tree-{task.key}", run_task, pickle.dumps(task))

    def obtain(self, task: Task[Result]) -> Result | None:
        """Wait for a task's result; None if it was not sent or was lost."""
        answer = self.tasks.result(task.key)
        return task.unpack(*unseal(answer)) if answer else None


@contextmanager
def dask_trees(scheduler: str, on_event: OnEvent) -> Iterator[DaskTrees | None]:
    """Connect to the cluster of ``--engine dask``; None if it is gone since the search."""
    try:
        client = connect(scheduler)
    except OptionError:
        on_event(Event(kind="stage", message=GONE))
        yield None
        return
    with dask_tasks(client, on_event, LOST) as tasks:
        yield DaskTrees(tasks=tasks)


def run_task(sent: bytes) -> bytes:
    """Run a task in a worker, with one thread; return its result serialised."""
    with one_at_a_time, threadpool_limits(1):
        return run_sent_task(sent)
