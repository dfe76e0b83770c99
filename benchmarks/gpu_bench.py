"""The device, clock, rows and hyperparameters that the sections of ``gpu_check.py`` share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xrfm_cli.leaf_models import LeafConfig

COLUMNS, UPDATES, AGOP_ROWS, RIDGE = 50, 3, 4_096, 1e-2
KERNEL_NAMES = {1.0: "p = 1", 2.0: "p = 2"}
# Predictions of the same model on two devices differ by rounding alone: float32 has 7 digits, and sums of
# terms of both signs lose some. Relative to the deviation of the predictions.
SAME_MODEL, SAME_FIT, TRITON = 1e-3, 2e-2, 1e-5


@dataclass(frozen=True)
class Bench:
    """Where the sections run, and where their measurements go."""

    device: str  # "cuda" or "cpu"
    suite: Path | None  # the folder of real tables
    record: Callable[..., object]  # Recorder.add

    @property
    def is_small(self) -> bool:
        """Return whether only the script is tested."""
        return self.device == "cpu"

    def size(self, full: int, small: int) -> int:
        """Return a size for this device."""
        return small if self.is_small else full

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], object], *, times: int = 1) -> float:
        """Return the fewest seconds of several runs, the device idle before and after each."""
        best = float("inf")
        for _ in range(times):
            self.wait()
            began = time.perf_counter()
            run()
            self.wait()
            best = min(best, time.perf_counter() - began)
        return best

    def peak_bytes(self) -> int:
        """Return the most memory of the device in use since :meth:`forget_peak`."""
        return torch.cuda.max_memory_allocated() if self.device == "cuda" else 0

    def forget_peak(self) -> None:
        """Free cached memory and begin to measure the peak anew."""
        if self.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def memory_bytes(self) -> int:
        """Return the memory that fits may use."""
        return torch.cuda.mem_get_info()[1] if self.device == "cuda" else 4 << 30


def rows(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return standardised rows and a smooth target of a few columns with noise, on the CPU."""
    source = np.random.default_rng([n, d, seed])
    x = source.standard_normal((n, d)).astype(np.float32)
    y = np.tanh(x[:, :1] + x[:, 1:2]) + 0.5 * x[:, :1] * x[:, 2:3] + 0.1 * source.standard_normal((n, 1))
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))


def leaf_config(p: float, *, iterations: int = UPDATES) -> LeafConfig:
    """Return pinned hyperparameters, the bandwidth near the median distance of standardised rows."""
    bandwidth = 1.1 * COLUMNS if p == 1 else 1.4 * COLUMNS**0.5
    return LeafConfig(
        kernel_p=p, kernel_q=1.0, bandwidth=bandwidth, ridge=RIDGE, iterations=iterations, agop_rows=AGOP_ROWS
    )


def source_of(seed: int) -> torch.Generator:
    """Return a generator; draws are made on the CPU for every device."""
    return torch.Generator().manual_seed(seed)


def apart(found: Tensor, expected: Tensor) -> float:
    """Return the root mean square difference over the deviation of the expected values."""
    expected = expected.cpu().double()
    return float((found.cpu().double() - expected).square().mean().sqrt() / expected.std().clamp(min=1e-12))
