"""The form of a checkpoint's results: the SHA-256 of the rest, a line of JSON, then safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor


def seal(facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """Serialise facts and contiguous tensors."""
    rest = json.dumps(facts).encode() + b"\n" + save_tensors(tensors)
    return hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest


def unseal(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Deserialise the bytes written by :func:`seal`; raise ValueError for any others.

    >>> import torch
    >>> unseal(seal({"rows": 2}, {"x": torch.ones(2)}))
    ({'rows': 2}, {'x': tensor([1., 1.])})
    """
    digest, _, rest = data.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise ValueError("its hash does not match")
    line, _, blob = rest.partition(b"\n")
    # Clone for the memory alignment of computed tensors: linear algebra libraries choose their loops, and
    # so the last bits, by alignment.
    return json.loads(line), {name: tensor.clone() for name, tensor in load_tensors(blob).items()}
