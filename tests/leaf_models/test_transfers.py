"""Blocks of rows reach a device complete, in order and unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from xrfm_cli.leaf_models.transfers import device_blocks, one_ahead

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
sizes = pytest.mark.parametrize(
    ("n", "rows"), [(0, 4), (1, 4), (4, 4), (5, 4), (8, 4), (1_000, 1), (1_000, 333)]
)


def table(n: int) -> np.ndarray:
    return np.random.default_rng(n).standard_normal((n, 3)).astype(np.float32)


@sizes
def test_blocks_are_the_slices(n: int, rows: int) -> None:
    x = table(n)
    blocks = list(device_blocks(x, rows, "cpu"))
    slices = [x[start : start + rows] for start in range(0, n, rows)]
    assert [block.numpy().tobytes() for block in blocks] == [part.tobytes() for part in slices]
    assert [block.shape for block in blocks] == [part.shape for part in slices]


def test_on_a_cpu_nothing_is_copied() -> None:
    x = table(10)
    addresses = [block.data_ptr() for block in device_blocks(x, 4, torch.device("cpu"))]
    assert addresses == [x[start:].ctypes.data for start in (0, 4, 8)]


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_the_next_item_is_asked_for_before_the_present_one_is_used(n: int) -> None:
    told: list[str] = []

    def items() -> Iterator[int]:
        for number in range(n):
            told.append(f"ask {number}")
            yield number

    for number in one_ahead(items()):
        told.append(f"use {number}")
    expected = [f"use {number}" for number in range(n)]
    assert [event for event in told if event.startswith("use")] == expected
    for number in range(n - 1):
        assert told.index(f"ask {number + 1}") < told.index(f"use {number}")
        if number + 2 < n:
            assert told.index(f"ask {number + 2}") > told.index(f"use {number}")


@needs_cuda
@pytest.mark.gpu
@sizes
def test_blocks_reach_the_gpu_whole_and_in_order(n: int, rows: int) -> None:
    x = table(n)
    sums = []
    for start, block in zip(range(0, n, rows), device_blocks(x, rows, "cuda"), strict=True):
        busy = torch.randn(500, 500, device="cuda")
        for _ in range(20):  # what runs on the present stream must not meet the next copy
            busy = busy @ busy / 500
        assert block.is_cuda
        sums.append(block + 0 * busy.sum())
        assert torch.equal(block.cpu(), torch.from_numpy(x[start : start + rows]))
    if n:
        assert torch.equal(torch.cat(sums).cpu(), torch.from_numpy(x))
