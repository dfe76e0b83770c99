"""The fits of a tree's leaves as tasks, which can be recorded for ``--resume`` or run elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models import LeafConfig, LeafModel, fit_leaf


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
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for tensor in (self.x, self.y, self.weights, self.start):
            if tensor is None:
                digest.update(b"none")
            else:
                digest.update(repr(tuple(tensor.shape)).encode())
                digest.update(tensor.detach().contiguous().numpy().data)
        return digest.hexdigest()

    def fit(self, on_event: OnEvent) -> LeafModel:
        """Fit the leaf."""
        return fit_leaf(
            self.x,
            self.y,
            self.config,
            generator=torch.Generator().manual_seed(self.seed),
            weights=self.weights,
            initial_feature_matrix=self.start,
            memory_bytes=self.memory_bytes,
            on_event=on_event,
        )


FittedLeaf = tuple[LeafModel, Sequence[Event]]  # with the events of its fit


class LeafRecords(Protocol):
    """Where fitted leaves are kept, by the keys of their tasks."""

    def find_leaf(self, key: str) -> FittedLeaf | None:
        """Return a leaf; None if it is not there."""

    def keep_leaf(self, key: str, leaf: LeafModel, events: Sequence[Event]) -> None:
        """Keep a leaf with the events of its fit."""


class LeafWorkers(Protocol):
    """Workers elsewhere that fit leaves."""

    @property
    def window(self) -> int:
        """Return how many tasks may be under way, at least 1."""

    def offer(self, task: LeafTask) -> None:
        """Begin a task, if the workers take it."""

    def obtain(self, task: LeafTask) -> FittedLeaf | None:
        """Wait for a task's result; None if it must be run here."""


def fitted_leaves(
    tasks: Iterable[LeafTask],
    on_event: OnEvent,
    *,
    records: LeafRecords | None = None,
    workers: LeafWorkers | None = None,
) -> Iterator[LeafModel]:
    """Yield the leaves in order, from records, from workers or fitted here; all give the same leaves.

    The events of a leaf are told when it is its turn.
    """
    waiting: deque[tuple[LeafTask, FittedLeaf | None]] = deque()
    coming = iter(tasks)
    while True:
        while len(waiting) < (1 if workers is None else workers.window):
            task = next(coming, None)
            if task is None:
                break
            found = None if records is None else records.find_leaf(task.key)
            if found is None and workers is not None:
                workers.offer(task)
            waiting.append((task, found))
        if not waiting:
            return
        task, found = waiting.popleft()
        if found is None:
            found = None if workers is None else workers.obtain(task)
            found = found or _fitted_here(task, on_event)
            if records is not None:
                records.keep_leaf(task.key, *found)
        leaf, events = found
        for event in events:
            on_event(event)
        yield leaf


def _fitted_here(task: LeafTask, on_event: OnEvent) -> FittedLeaf:
    """Fit a leaf in this process; progress is told at once."""
    heard: list[Event] = []

    def hear(event: Event) -> None:
        if event.kind in ("stage", "progress"):
            on_event(event)
        else:
            heard.append(event)

    return task.fit(hear), heard
