"""The file of a fitted leaf in a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from xrfm_cli.events import Event
from xrfm_cli.leaf_models import LeafModel, leaf_from_state
from xrfm_cli.tuning.search.storage.sealed import seal, unseal

LEAF_ENDING = ".leaf"


def leaf_to_bytes(leaf: LeafModel, events: Sequence[Event]) -> bytes:
    """Serialise a fitted leaf and the events of its fit."""
    facts, tensors = leaf.state()
    told = {"leaf": facts, "events": [asdict(event) for event in events]}
    return seal(told, {name: tensor.contiguous() for name, tensor in tensors.items()})


def leaf_from_bytes(data: bytes) -> tuple[LeafModel, tuple[Event, ...]]:
    """Deserialise the bytes written by :func:`leaf_to_bytes`; raise ValueError for any others."""
    facts, tensors = unseal(data)
    return leaf_from_state(facts["leaf"], tensors), tuple(Event(**event) for event in facts["events"])
