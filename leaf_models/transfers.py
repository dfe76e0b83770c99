"""Transfer of row blocks to a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Item = TypeVar("Item")


def device_blocks(x: NDArray[np.float32], rows: int, device: torch.device | str) -> Iterator[Tensor]:
    """Yield blocks of ``rows`` rows of ``x (n, d)`` on a device, in order; the last one may be smaller.

    On a CPU they are views. For a CUDA device, the next block is copied from pinned memory on a separate
    stream while the current one is processed.

    >>> x = np.arange(5, dtype=np.float32)[:, None]
    >>> [block.ravel().tolist() for block in device_blocks(x, 2, "cpu")]
    [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """
    device = torch.device(device)
    blocks = (torch.from_numpy(x[start : start + rows]) for start in range(0, len(x), rows))
    if device.type != "cuda":
        return (block.to(device) for block in blocks)
    return _copied_ahead(blocks, device)


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the same items, each requested before its predecessor is yielded.

    >>> list(one_ahead("abc"))
    ['a', 'b', 'c']
    """
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting


def _copied_ahead(blocks: Iterable[Tensor], device: torch.device) -> Iterator[Tensor]:
    """Yield blocks on a CUDA device, whose current stream waits only for each block's own copy."""
    stream = torch.cuda.Stream(device)

    def send(block: Tensor) -> tuple[Tensor, torch.cuda.Event]:
        pinned = block.pin_memory()  # torch keeps it until the copy is done
        with torch.cuda.stream(stream):
            return pinned.to(device, non_blocking=True), stream.record_event()

    for copy, arrived in one_ahead(send(block) for block in blocks):
        present = torch.cuda.current_stream(device)
        present.wait_event(arrived)
        copy.record_stream(present)  # its memory belongs to the other stream, which must not reuse it sooner
        yield copy
