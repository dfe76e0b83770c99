"""The leaves of final models as tasks of a dask cluster: see :mod:`dask_pool`.

A task is sent with its rows and is named by their hash, so one that runs twice changes nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from threadpoolctl import threadpool_limits

from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.leaf_tasks import FittedLeaf, LeafTask
from xrfm_cli.tuning.search.pools.dask_pool import RETRIES, check_versions, connect, one_at_a_time
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS
from xrfm_cli.tuning.search.pools.step_pool import POLL_S
from xrfm_cli.tuning.search.storage.leaf_file import leaf_from_bytes, leaf_to_bytes

TASKS_PER_WORKER = 2  # one that runs and one that waits
# Messages about workers are stages: see dask_pool.
LOST = "fitting the chosen models; a leaf was lost with its dask workers, and is fitted here"
GONE = "fitting the chosen models here, as the dask cluster does not answer any more"


@dataclass(slots=True, kw_only=True, eq=False)
class DaskLeaves:
    """The leaves that a cluster fits."""

    client: Any
    on_event: OnEvent
    running: dict[str, Any] = field(default_factory=dict)  # futures by the keys of their tasks

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return max(1, TASKS_PER_WORKER * self._count())

    def offer(self, task: LeafTask) -> None:
        """Submit a task if it has few enough rows for one thread; others run here, with all threads."""
        if len(task.x) > MOST_ROWS or not self._count():
            return
        name = f"xrfm-leaf-{task.key}"
        with suppress(OSError, TimeoutError):
            self.running[task.key] = self.client.submit(
                fit_sent_leaf, pickle.dumps(task), key=name, retries=RETRIES
            )

    def obtain(self, task: LeafTask) -> FittedLeaf | None:
        """Wait for a task's result; None if it was not sent or was lost."""
        import distributed

        future = self.running.pop(task.key, None)
        if future is None:
            return None
        try:
            while not future.done():
                if not self._count():
                    raise TimeoutError
                with suppress(TimeoutError), self.client.as_current():
                    distributed.wait(future, timeout=POLL_S)
            return leaf_from_bytes(future.result())
        except Exception:  # noqa: BLE001 - whatever ended the task, this process fits the leaf itself
            self.on_event(Event(kind="stage", message=LOST))
            return None
        finally:
            with suppress(OSError, TimeoutError):
                future.cancel()

    def _count(self) -> int:
        with suppress(OSError, TimeoutError):
            return len(self.client.scheduler_info(n_workers=-1)["workers"])
        return 0


@contextmanager
def dask_leaves(scheduler: str, on_event: OnEvent) -> Iterator[DaskLeaves | None]:
    """Connect to the cluster of ``--engine dask``; None if it is gone since the search."""
    try:
        client = connect(scheduler)
    except OptionError:
        on_event(Event(kind="stage", message=GONE))
        yield None
        return
    try:
        check_versions(client, sorted(client.scheduler_info(n_workers=-1)["workers"]))
        yield DaskLeaves(client=client, on_event=on_event)
    finally:
        with suppress(OSError, TimeoutError):
            client.close()


def fit_sent_leaf(sent: bytes) -> bytes:
    """Fit a leaf in a worker, with one thread; return it serialised."""
    heard: list[Event] = []
    with one_at_a_time, compute_threads(1), threadpool_limits(1):
        leaf = pickle.loads(sent).fit(heard.append)
    return leaf_to_bytes(leaf, [event for event in heard if event.kind not in ("stage", "progress")])
