"""Worker processes that fit the leaves of final models side by side, each with one thread.

A leaf depends on its task alone, so the model is the same for any number of workers. Leaves of more rows than
MOST_ROWS, and a leaf that is alone, are fitted by this process with all threads.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.leaf_tasks import FittedLeaf, LeafTask
from xrfm_cli.tuning.search.pools.fork_tasks import ForkTasks
from xrfm_cli.tuning.search.pools.forks import Forks
from xrfm_cli.tuning.search.pools.pool import MEMORY_SHARE, MOST_ROWS, TASKS_PER_WORKER
from xrfm_cli.tuning.search.storage.leaf_file import leaf_from_bytes, leaf_to_bytes


@dataclass(slots=True, kw_only=True, eq=False)
class LeafPool:
    """The workers of final models, and their tasks."""

    count: int
    tasks: ForkTasks[LeafTask]
    has_started: bool = False

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return TASKS_PER_WORKER * self.count

    def offer(self, task: LeafTask) -> None:
        """Take a task of few rows; workers start when there are two."""
        tasks = self.tasks
        if len(task.x) > MOST_ROWS or task.key in tasks.results or tasks.forks.is_running(task.key):
            return
        tasks.send(task.key, task)
        if len(tasks.waiting) > 1 and not self.has_started:
            self.has_started = True
            kernel = direct_bytes(max(len(waiting.x) for waiting in tasks.waiting.values()))
            fitting = int(MEMORY_SHARE * task.memory_bytes / kernel)
            if min(self.count, fitting) > 1:
                tasks.forks.start(min(self.count, fitting), fit_sent_leaf)
            tasks.give()

    def obtain(self, task: LeafTask) -> FittedLeaf | None:
        """Wait for a task's result; None if no worker has it."""
        answer = self.tasks.result(task.key)
        return None if answer is None else leaf_from_bytes(answer)


@contextmanager
def leaf_pool(count: int, on_event: OnEvent) -> Iterator[LeafPool | None]:
    """End the workers with the context; yield None for one worker, which is this process."""
    if count < 2:
        yield None
        return
    forks = Forks(on_event=on_event)
    try:
        yield LeafPool(count=count, tasks=ForkTasks(forks=forks, serialise=pickle.dumps))
    finally:
        forks.close()


def fit_sent_leaf(sent: bytes) -> bytes:
    """Fit a leaf in a worker, with one thread; return nothing if it fails, so that its error is told here."""
    heard: list[Event] = []
    try:
        with compute_threads(1):
            leaf = pickle.loads(sent).fit(heard.append)
    except Exception:  # noqa: BLE001 - the main process fits the leaf again
        return b""
    return leaf_to_bytes(leaf, [event for event in heard if event.kind not in ("stage", "progress")])
