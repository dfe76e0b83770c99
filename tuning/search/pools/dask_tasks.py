"""Tasks of a dask cluster whose results are taken in order: leaves of final models, blocks of predictions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.search.pools.dask_pool import RETRIES, check_versions
from xrfm_cli.tuning.search.pools.pool import POLL_S, TASKS_PER_WORKER


@dataclass(slots=True, kw_only=True, eq=False)
class DaskTasks:
    """The tasks that this process has submitted to a cluster."""

    client: Any
    on_event: OnEvent
    lost: str  # the message when a task is lost; the caller then does the work itself
    running: dict[Hashable, Any] = field(default_factory=dict)  # futures

    @property
    def window(self) -> int:
        """Return how many tasks may be under way."""
        return max(1, TASKS_PER_WORKER * self._count())

    def send(self, key: Hashable, name: str, task: Callable[..., bytes], *arguments: Any) -> None:
        """Submit a task under a name that says what its result depends on, if there are workers."""
        if self._count():
            with suppress(OSError, TimeoutError):
                self.running[key] = self.client.submit(task, *arguments, key=name, retries=RETRIES)

    def result(self, key: Hashable) -> bytes | None:
        """Wait for a task's result; None if it was not sent, failed or was lost with its workers."""
        import distributed

        future = self.running.pop(key, None)
        if future is None:
            return None
        try:
            while not future.done():
                if not self._count():
                    raise TimeoutError
                with suppress(TimeoutError), self.client.as_current():
                    distributed.wait(future, timeout=POLL_S)
            return bytes(future.result())
        except Exception:  # noqa: BLE001 - whatever ended the task, the caller does its work
            self.on_event(Event(kind="stage", message=self.lost))
            return None
        finally:
            with suppress(OSError, TimeoutError):
                future.cancel()

    def close(self) -> None:
        """Cancel what is running and leave the cluster."""
        with suppress(OSError, TimeoutError):
            for future in self.running.values():
                future.cancel()
            self.client.close()

    def _count(self) -> int:
        with suppress(OSError, TimeoutError):
            return len(self.client.scheduler_info(n_workers=-1)["workers"])
        return 0


@contextmanager
def dask_tasks(client: Any, on_event: OnEvent, lost: str) -> Iterator[DaskTasks]:
    """Hand out the tasks of a client, and leave the cluster with the context.

    Raises OptionError if a worker has other versions.
    """
    tasks = DaskTasks(client=client, on_event=on_event, lost=lost)
    try:
        check_versions(client, sorted(client.scheduler_info(n_workers=-1)["workers"]))
        yield tasks
    finally:
        tasks.close()
