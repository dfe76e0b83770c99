"""Parts of a tree's fit that depend on their task alone: any process may run them."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from torch import Tensor

from xrfm_cli.events import OnEvent

Result = TypeVar("Result")


class Task(Protocol[Result]):
    """All that a result depends on."""

    @property
    def key(self) -> str:
        """Return a hash of the task, under which its result is known."""
        ...

    @property
    def n_rows(self) -> int:
        """Return the number of rows that the task works on."""
        ...

    @property
    def most_rows(self) -> int:
        """Return the most rows of a task of the same tree."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Return the byte budget of the fit."""
        ...

    def run(self, on_event: OnEvent) -> Result:
        """Compute the result; ``on_event`` hears of progress."""
        ...

    def pack(self, result: Result) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return a result as facts for JSON and tensors."""
        ...

    def unpack(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Result:
        """Return the result of :meth:`pack`."""
        ...


class TreeWorkers(Protocol):
    """Workers elsewhere that run tasks."""

    @property
    def window(self) -> int:
        """Return how many tasks may be under way, at least 1."""
        ...

    def offer(self, task: Task[Any]) -> None:
        """Begin a task, if the workers take it."""
        ...

    def obtain(self, task: Task[Result]) -> Result | None:
        """Wait for a task's result; None if it must be run here."""
        ...


def content_hash(facts: Mapping[str, Any], *tensors: Tensor | None) -> str:
    """Return a SHA-256 of facts and tensors."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for tensor in tensors:
        if tensor is None:
            digest.update(b"none")
        else:
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.detach().contiguous().numpy().data)
    return digest.hexdigest()


def run_in_order(
    tasks: Iterable[Task[Result]],
    on_event: OnEvent,
    *,
    workers: TreeWorkers | None = None,
    find: Callable[[str], Result | None] | None = None,
    keep: Callable[[str, Result], None] | None = None,
) -> Iterator[Result]:
    """Yield the results of tasks in order, computed by workers or here; both give the same.

    ``find`` returns the result of a key if it is known already; ``keep`` is given all others.
    """
    waiting: deque[tuple[Task[Result], Result | None]] = deque()
    coming = iter(tasks)
    while True:
        while len(waiting) < (1 if workers is None else workers.window):
            task = next(coming, None)
            if task is None:
                break
            found = None if find is None else find(task.key)
            if found is None and workers is not None:
                workers.offer(task)
            waiting.append((task, found))
        if not waiting:
            return
        task, found = waiting.popleft()
        if found is None:
            found = None if workers is None else workers.obtain(task)
            found = task.run(on_event) if found is None else found
            if keep is not None:
                keep(task.key, found)
        yield found
