"""Records of fitted leaves, so that a fit that was killed does not fit them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models import LeafConfig, LeafModel, LeafRows


class LeafRecords(Protocol):
    """Where fitted leaves are kept, by a hash of what they depend on."""

    def find_leaf(self, key: str) -> tuple[LeafModel, Sequence[Event]] | None:
        """Return a leaf with the events of its fit; None if it is not there."""

    def keep_leaf(self, key: str, leaf: LeafModel, events: Sequence[Event]) -> None:
        """Keep a leaf with the events of its fit."""


def leaf_key(
    rows: LeafRows, config: LeafConfig, *, seed: int, start: Tensor | None, memory_bytes: int
) -> str:
    """Return a hash of what a fitted leaf depends on: its rows, hyperparameters, seed and start."""
    facts = {"config": config.to_dict(), "seed": seed, "memory": memory_bytes}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for tensor in (rows.x, rows.y, rows.weights, start):
        if tensor is None:
            digest.update(b"none")
        else:
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.detach().contiguous().numpy().data)
    return digest.hexdigest()


def recorded(records: LeafRecords, key: str, fit: Callable[..., LeafModel], on_event: OnEvent) -> LeafModel:
    """Return the leaf of a key, or fit and keep it; the events of its fit are told either way."""
    found = records.find_leaf(key)
    if found is not None:
        leaf, events = found
        for event in events:
            on_event(event)
        return leaf
    heard: list[Event] = []

    def hear(event: Event) -> None:
        heard.append(event)
        on_event(event)

    leaf = fit(on_event=hear)
    records.keep_leaf(key, leaf, heard)
    return leaf
