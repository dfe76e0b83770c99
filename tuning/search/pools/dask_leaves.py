"""The leaves of final models as tasks of a dask cluster: see :mod:`dask_pool`.

A task is sent with its rows and is named by their hash, so one that runs twice changes nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.trees.leaf_tasks import FittedLeaf, LeafTask
from xrfm_cli.tuning.search.pools.dask_pool import connect, one_at_a_time
from xrfm_cli.tuning.search.pools.dask_tasks import DaskTasks, dask_tasks
from xrfm_cli.tuning.search.pools.leaf_pool import fit_sent_leaf
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS
from xrfm_cli.tuning.search.storage.leaf_file import leaf_from_bytes

# Messages about workers are stages: see dask_pool.
LOST = "fitting the chosen models; a leaf was lost with its dask workers, and is fitted here"
GONE = "fitting the chosen models here, as the dask cluster does not answer any more"


@dataclass(slots=True, kw_only=True, eq=False)
class DaskLeaves:
    """The leaves that a cluster fits."""

    tasks: DaskTasks

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return self.tasks.window

    def offer(self, task: LeafTask) -> None:
        """Submit a task if it has few enough rows for one thread; others run here, with all threads."""
        if len(task.x) <= MOST_ROWS:
            self.tasks.send(task.key, f"xrfm-leaf-{task.key}", fit_task, pickle.dumps(task))

    def obtain(self, task: LeafTask) -> FittedLeaf | None:
        """Wait for a task's result; None if it was not sent or was lost."""
        answer = self.tasks.result(task.key)
        return leaf_from_bytes(answer) if answer else None


@contextmanager
def dask_leaves(scheduler: str, on_event: OnEvent) -> Iterator[DaskLeaves | None]:
    """Connect to the cluster of ``--engine dask``; None if it is gone since the search."""
    try:
        client = connect(scheduler)
    except OptionError:
        on_event(Event(kind="stage", message=GONE))
        yield None
        return
    with dask_tasks(client, on_event, LOST) as tasks:
        yield DaskLeaves(tasks=tasks)


def fit_task(sent: bytes) -> bytes:
    """Fit a leaf in a worker, with one thread; return it serialised."""
    with one_at_a_time, threadpool_limits(1):
        return fit_sent_leaf(sent)
