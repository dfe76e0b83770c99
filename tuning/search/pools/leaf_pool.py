"""Worker processes that fit the leaves of final models side by side, each with one thread.

A leaf depends on its task alone, so the model is the same for any number of workers. Leaves of more rows than
MOST_ROWS, and a leaf that is alone, are fitted by this process with all threads.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.leaf_tasks import FittedLeaf, LeafTask
from xrfm_cli.tuning.search.pools.forks import Forks
from xrfm_cli.tuning.search.pools.pool import MEMORY_SHARE, MOST_ROWS
from xrfm_cli.tuning.search.storage.leaf_file import leaf_from_bytes, leaf_to_bytes

WINDOW_PER_WORKER = 2  # a leaf that is fitted, and one that waits


@dataclass(slots=True, kw_only=True, eq=False)
class LeafPool:
    """The workers, the tasks that wait for one, and the leaves that have not been asked for yet."""

    count: int
    forks: Forks
    has_started: bool = False
    waiting: deque[LeafTask] = field(default_factory=deque)
    fitted: dict[Hashable, bytes] = field(default_factory=dict)

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return WINDOW_PER_WORKER * self.count

    def offer(self, task: LeafTask) -> None:
        """Take a task of few rows; workers start when there are two."""
        if len(task.x) > MOST_ROWS or task.key in self.fitted or self.forks.is_running(task.key):
            return
        self.waiting.append(task)
        if len(self.waiting) > 1 and not self.has_started:
            self.has_started = True
            kernel = direct_bytes(max(len(waiting.x) for waiting in self.waiting))
            fitting = int(MEMORY_SHARE * task.memory_bytes / kernel)
            if min(self.count, fitting) > 1:
                self.forks.start(min(self.count, fitting), fit_sent_leaf)
        self._give()

    def obtain(self, task: LeafTask) -> FittedLeaf | None:
        """Wait for a task's result; None if no worker has it."""
        while task.key not in self.fitted and self.forks.is_running(task.key):
            for key, answer in self.forks.receive(None):
                if answer:
                    self.fitted[key] = answer
            self._give()
        if task in self.waiting:
            self.waiting.remove(task)
        answer = self.fitted.pop(task.key, None)
        return None if answer is None else leaf_from_bytes(answer)

    def _give(self) -> None:
        while self.waiting and self.forks.has_idle():
            task = self.waiting.popleft()
            self.forks.give(task.key, pickle.dumps(task))


@contextmanager
def leaf_pool(count: int, on_event: OnEvent) -> Iterator[LeafPool | None]:
    """End the workers with the context; yield None for one worker, which is this process."""
    if count < 2:
        yield None
        return
    pool = LeafPool(count=count, forks=Forks(on_event=on_event))
    try:
        yield pool
    finally:
        pool.forks.close()


def fit_sent_leaf(sent: bytes) -> bytes:
    """Fit a leaf in a worker, with one thread; return nothing if it fails, so that its error is told here."""
    heard: list[Event] = []
    try:
        with compute_threads(1):
            leaf = pickle.loads(sent).fit(heard.append)
    except Exception:  # noqa: BLE001 - the main process fits the leaf again
        return b""
    return leaf_to_bytes(leaf, [event for event in heard if event.kind not in ("stage", "progress")])
