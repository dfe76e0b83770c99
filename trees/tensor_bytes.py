"""The bytes of tensors in the format of safetensors, one piece at a time, as models may be very large."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from xrfm_cli.datasets.scratch import forget_mapped

if TYPE_CHECKING:
    from torch import Tensor

ALIGNMENT = 8  # bytes; the header is padded with blanks
TYPES = ("I64", "F64", "F32", "I16")  # in the order of the file: tensors begin at multiples of their size
PIECE_BYTES = 1 << 24  # written at a time


def tensor_pieces(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """Yield the bytes that ``safetensors.torch.save`` gives for the same tensors.

    >>> import torch
    >>> from safetensors.torch import save
    >>> tensors = {"b": torch.ones(3), "a": torch.arange(2), "none": torch.empty(0, 3)}
    >>> tensors["c"] = torch.zeros(1, 2, dtype=torch.float64)
    >>> tensors["half"] = torch.ones(3, dtype=torch.int16)
    >>> b"".join(tensor_pieces(tensors)) == save(tensors)
    True
    """
    types = {name: _type_name(tensor) for name, tensor in tensors.items()}
    names = sorted(tensors, key=lambda name: (TYPES.index(types[name]), name.encode()))
    facts, start = {}, 0
    for name in names:
        end = start + tensors[name].nbytes
        facts[name] = {
            "dtype": types[name],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
        start = end
    header = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    yield len(header).to_bytes(8, "little") + header
    read_bytes = 0
    for name in names:
        if not tensors[name].nbytes:
            continue
        content = tensors[name].detach().cpu().contiguous().view(-1).numpy().data.cast("B")
        for place in range(0, len(content), PIECE_BYTES):
            piece = content[place : place + PIECE_BYTES]
            yield piece
            read_bytes += len(piece)
            if read_bytes >= PIECE_BYTES:  # a large model has ten thousands of small tensors
                forget_mapped(trims=False)
                read_bytes = 0


def _type_name(tensor: Tensor) -> str:
    import torch

    names = {torch.int16: "I16", torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
    return names[tensor.dtype]
