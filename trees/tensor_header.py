"""The header of tensors in the format of safetensors: names, types, shapes and places. Needs no torch."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

MAX_HEADER_BYTES = 100_000_000  # safetensors has the same limit
TYPES = ("I16", "F32", "F64", "I64")
MAX_SIDES = 2  # dimensions of a tensor: a vector or a matrix


def read_header(stream: BinaryIO, size: int) -> dict[str, Any]:
    """Read types, shapes and places by name from the beginning of tensors of ``size`` bytes.

    Raises ValueError for a header that describes no tensors, before memory is allocated for them.
    """
    length = int.from_bytes(stream.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise ValueError(f"a header of {length:,} bytes")
    try:
        header = json.loads(stream.read(length))
    except (RecursionError, ValueError):
        header = None
    fault = _fault(header, size)
    if fault:
        raise ValueError(fault)
    return dict(header)


def _fault(header: Any, size: int) -> str | None:
    """Return what is wrong with the header; its readers check that the shapes agree with the bytes."""
    try:
        for name, facts in header.items():
            shape = facts["shape"]
            if facts["dtype"] not in TYPES:
                return f"tensor '{name}' has the type {facts['dtype']!r}"
            if len(shape) > MAX_SIDES or any(type(side) is not int or side > size for side in shape):
                return f"tensor '{name}' has the shape {shape!r}"
    except (AttributeError, LookupError, TypeError, ValueError):
        return "a header that describes no tensors"
    return None
