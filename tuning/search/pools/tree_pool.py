"""Worker processes that run the tasks of final models' trees side by side, each with one thread.

The result of a task depends on the task alone, so the model is the same for any number of workers. Tasks of
more rows than MOST_ROWS, and a task that is alone, are run by this process.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.tasks import Task
from xrfm_cli.tuning.search.pools.fork_tasks import ForkTasks
from xrfm_cli.tuning.search.pools.forks import Forks
from xrfm_cli.tuning.search.pools.pool import MEMORY_SHARE, MOST_ROWS, TASKS_PER_WORKER
from xrfm_cli.tuning.search.storage.sealed import seal, unseal

Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True, eq=False)
class TreePool:
    """The workers of final models, and their tasks."""

    count: int
    tasks: ForkTasks[Task[Any]]
    has_started: bool = False

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return TASKS_PER_WORKER * self.count

    def offer(self, task: Task[Any]) -> None:
        """Take a task of few rows; workers start when there are two."""
        tasks = self.tasks
        if task.n_rows > MOST_ROWS or task.key in tasks.results or tasks.forks.is_running(task.key):
            return
        tasks.send(task.key, task)
        if len(tasks.waiting) > 1 and not self.has_started:
            self.has_started = True
            most_rows = max(waiting.most_rows for waiting in tasks.waiting.values())
            kernel = direct_bytes(min(most_rows, MOST_ROWS))
            fitting = int(MEMORY_SHARE * task.memory_bytes / kernel)
            if min(self.count, fitting) > 1:
                tasks.forks.start(min(self.count, fitting), run_sent_task)
            tasks.give()

    def obtain(self, task: Task[Result]) -> Result | None:
        """Wait for a task's result; None if no worker has it."""
        answer = self.tasks.result(task.key)
        return None if answer is None else task.unpack(*unseal(answer))


@contextmanager
def tree_pool(count: int, on_event: OnEvent) -> Iterator[TreePool | None]:
    """End the workers with the context; yield None for one worker, which is this process."""
    if count < 2:
        yield None
        return
    forks = Forks(on_event=on_event)
    try:
        yield TreePool(count=count, tasks=ForkTasks(forks=forks, serialise=pickle.dumps))
    finally:
        forks.close()


def run_sent_task(sent: bytes) -> bytes:
    """Run a task in a worker, with one thread; return nothing if it fails, so that the error appears here."""
    try:
        with compute_threads(1):
            task: Task[Any] = pickle.loads(sent)
            return seal(*task.pack(task.run(ignore_event)))
    except Exception:  # noqa: BLE001 - the main process runs the task again
        return b""
