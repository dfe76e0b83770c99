"""The file of a fitted leaf in a checkpoint: its SHA-256, a line of JSON, then safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from xrfm_cli.events import Event
from xrfm_cli.leaf_models import LeafModel, leaf_from_state

LEAF_ENDING = ".leaf"


def leaf_to_bytes(leaf: LeafModel, events: Sequence[Event]) -> bytes:
    """Serialise a fitted leaf and the events of its fit."""
    facts, tensors = leaf.state()
    line = json.dumps({"leaf": facts, "events": [asdict(event) for event in events]}).encode()
    rest = line + b"\n" + save_tensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def leaf_from_bytes(data: bytes) -> tuple[LeafModel, tuple[Event, ...]]:
    """Deserialise the bytes written by :func:`leaf_to_bytes`; raise ValueError for any others."""
    digest, _, rest = data.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise ValueError("its hash does not match")
    line, _, blob = rest.partition(b"\n")
    facts = json.loads(line)
    # Cloned for the alignment of computed tensors, as in step files.
    tensors = {name: tensor.clone() for name, tensor in load_tensors(blob).items()}
    return leaf_from_state(facts["leaf"], tensors), tuple(Event(**event) for event in facts["events"])
