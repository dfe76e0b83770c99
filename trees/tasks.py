"""Parts of a tree's fit that depend on their task alone: any process may run them.

The tasks of leaves are here, and can be recorded for ``--resume``; those of splits are in :mod:`directions`.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models import LeafConfig, LeafModel, fit_leaf, leaf_from_state

Result = TypeVar("Result")
FittedLeaf = tuple[LeafModel, Sequence[Event]]  # with the events of its fit


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


@dataclass(frozen=True, kw_only=True, eq=False)
class LeafTask:
    """All that a leaf's fit depends on."""

    x: Tensor  # (n, d)
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,)
    config: LeafConfig
    seed: int
    start: Tensor | None  # the feature matrix to start from
    memory_bytes: int

    @cached_property
    def key(self) -> str:
        """Return a hash of the task, under which its result is known."""
        facts = {"config": self.config.to_dict(), "seed": self.seed, "memory": self.memory_bytes}
        return content_hash(facts, self.x, self.y, self.weights, self.start)

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return len(self.x)

    @property
    def most_rows(self) -> int:
        """Return the number of rows."""
        return len(self.x)

    def run(self, on_event: OnEvent) -> FittedLeaf:
        """Fit the leaf; progress is reported at once, other events are returned."""
        heard: list[Event] = []

        def hear(event: Event) -> None:
            if event.kind in ("stage", "progress"):
                on_event(event)
            else:
                heard.append(event)

        leaf = fit_leaf(
            self.x,
            self.y,
            self.config,
            generator=torch.Generator().manual_seed(self.seed),
            weights=self.weights,
            initial_feature_matrix=self.start,
            memory_bytes=self.memory_bytes,
            on_event=hear,
        )
        return leaf, heard

    def pack(self, result: FittedLeaf) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return a fitted leaf as facts and tensors."""
        return pack_leaf(*result)

    def unpack(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> FittedLeaf:
        """Return the leaf of :meth:`pack`."""
        return unpack_leaf(facts, tensors)


class LeafRecords(Protocol):
    """Where fitted leaves are kept, by the keys of their tasks."""

    def find_leaf(self, key: str) -> FittedLeaf | None:
        """Return a leaf; None if it is not there."""

    def keep_leaf(self, key: str, fitted: FittedLeaf) -> None:
        """Keep a leaf."""


def fitted_leaves(
    tasks: Iterable[LeafTask],
    on_event: OnEvent,
    *,
    records: LeafRecords | None = None,
    workers: TreeWorkers | None = None,
) -> Iterator[LeafModel]:
    """Yield the leaves in order, from records, from workers or fitted here; all give the same leaves.

    The events of a leaf are reported when it is its turn.
    """
    results = run_in_order(
        tasks,
        on_event,
        workers=workers,
        find=None if records is None else records.find_leaf,
        keep=None if records is None else records.keep_leaf,
    )
    for leaf, events in results:
        for event in events:
            on_event(event)
        yield leaf


def pack_leaf(leaf: LeafModel, events: Sequence[Event]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return a fitted leaf and the events of its fit as facts for JSON and contiguous tensors."""
    facts, tensors = leaf.state()
    outcome = {"leaf": facts, "events": [asdict(event) for event in events]}
    return outcome, {name: tensor.contiguous() for name, tensor in tensors.items()}


def unpack_leaf(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> FittedLeaf:
    """Return the leaf and the events of :func:`pack_leaf`."""
    return leaf_from_state(facts["leaf"], tensors), tuple(Event(**event) for event in facts["events"])
