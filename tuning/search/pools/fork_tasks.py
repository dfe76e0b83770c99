"""Tasks of worker processes whose results are taken in order: leaves of final models, blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from xrfm_cli.tuning.search.pools.forks import Forks

Task = TypeVar("Task")


@dataclass(slots=True, kw_only=True, eq=False)
class ForkTasks(Generic[Task]):
    """Processes, the tasks that wait for one, and the results that have not been asked for yet.

    A task is serialised when a process takes it. An empty answer says that the task failed.
    """

    forks: Forks
    serialise: Callable[[Task], bytes]
    waiting: dict[Hashable, Task] = field(default_factory=dict)
    results: dict[Hashable, bytes] = field(default_factory=dict)

    def send(self, key: Hashable, task: Task) -> None:
        """Give a task to an idle process, at once or later."""
        self.waiting[key] = task
        self.give()

    def give(self) -> None:
        """Give waiting tasks to the processes that are idle."""
        while self.waiting and self.forks.has_idle():
            key = next(iter(self.waiting))
            self.forks.give(key, self.serialise(self.waiting.pop(key)))

    def result(self, key: Hashable) -> bytes | None:
        """Wait for a task's result; None if no process has it, or if it failed or was lost."""
        while key not in self.results and self.forks.is_running(key):
            for answered, answer in self.forks.receive(None):
                if answer:
                    self.results[answered] = answer
            self.give()
        self.waiting.pop(key, None)
        return self.results.pop(key, None)
