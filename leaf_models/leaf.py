"""Fitted leaves: values that predict, differentiate and can be stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from xrfm_cli.datasets.errors import ModelFileError
from xrfm_cli.leaf_models.agop import apply_metric, metric_power, unit_scale
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.coordinates import Centers, prepare_centers
from xrfm_cli.leaf_models.kernels import Kernel, make_kernel

# Rows are predicted in blocks of this many, the last one filled up with zeros: matrix products round
# differently for other shapes, and a row's prediction must not depend on the rows around it.
BLOCK_ROWS = 256


class LeafModel(Protocol):
    """What a tree asks of its leaves."""

    @property
    def centers(self) -> Tensor:
        """Training rows that the leaf keeps ``(m, d)``."""
        ...

    def predict(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c)
        """Predictions."""
        ...

    def gradients(self, x: Tensor) -> Tensor:  # (n, d) -> (n, c, d)
        """Derivatives of the predictions by the inputs."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """JSON facts and tensors from which the leaf can be built again."""
        ...


def expand(kernel_block: Tensor, columns: Tensor) -> Tensor:  # (b, m), (c, m) -> (b, c)
    """``kernel_block @ columns.T``, one output at a time, summed in float64.

    A matrix-vector product rounds a row in the same way wherever it stands in the block; a product with
    several columns does not. Coefficients of both signs are large where the ridge is small: a sum of them in
    float32 keeps few digits, and which ones depends on the number of threads.
    """
    wide = kernel_block.double()
    return torch.stack([wide @ column for column in columns.double()], dim=1).to(kernel_block.dtype)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RFMLeaf:
    """A Recursive Feature Machine: a kernel machine under a learned metric.

    ``f(x) = k(M^a x, M^a centers) coefficients``. Radhakrishnan et al., Science 383 (2024).
    """

    config: LeafConfig
    centers: Tensor  # (m, d)
    coefficients: Tensor  # (m, c)
    metric: Tensor  # (d,) diagonal or (d, d) full
    bandwidth: float  # effective: an adaptive one is already multiplied by the median distance
    jitter: float = 0.0  # what the solver had to add to the diagonal

    def predict(self, x: Tensor) -> Tensor:
        """Predictions ``(n, c)`` for rows ``x (n, d)``; a row's value does not depend on other rows."""
        transform, kernel, a = self._prepared()
        columns = self.coefficients.T.contiguous()
        out = torch.empty(len(x), len(columns), dtype=x.dtype, device=x.device)
        block = torch.zeros(BLOCK_ROWS, x.shape[1], dtype=x.dtype, device=x.device)
        for start in range(0, len(x), BLOCK_ROWS):
            rows = min(BLOCK_ROWS, len(x) - start)
            block[:rows] = x[start : start + rows]
            block[rows:] = 0
            out[start : start + rows] = expand(kernel.matrix(transform(block), a), columns)[:rows]
        return out

    def gradients(self, x: Tensor) -> Tensor:
        """Derivatives ``(n, c, d)`` at rows ``x (n, d)``, leaving out centers at distance zero."""
        transform, kernel, a = self._prepared()
        out = torch.empty(len(x), self.coefficients.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        for start in range(0, len(x), BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, len(x)))
            sums = kernel.gradient_sums(transform(x[rows]), a, self.coefficients).mul_(transform.scale)
            root = transform.root
            out[rows] = sums * root if root.ndim == 1 else sums @ root
        return out

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """JSON facts and tensors."""
        facts = {"config": self.config.to_dict(), "bandwidth": self.bandwidth, "jitter": self.jitter}
        return facts, {"centers": self.centers, "coefficients": self.coefficients, "metric": self.metric}

    @classmethod
    def from_state(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RFMLeaf:
        """Build again what :meth:`state` described."""
        bandwidth = float(facts["bandwidth"])
        if not 0 < bandwidth < math.inf:
            raise ModelFileError(f"a leaf has the bandwidth {bandwidth}. Fit the model again.")
        return cls(
            config=LeafConfig.from_dict(facts["config"]),
            centers=tensors["centers"].contiguous(),
            coefficients=tensors["coefficients"].contiguous(),
            metric=tensors["metric"].contiguous(),
            bandwidth=bandwidth,
            jitter=float(facts["jitter"]),
        )

    def _prepared(self) -> tuple[_Transform, Kernel, Centers]:
        """What every block of rows needs: the way into the kernel's coordinates, the kernel, the centers."""
        # Kernels depend on differences alone; around the centers' mean coordinates keep the most digits.
        root, shift = metric_power(self.metric, self.config.agop_power), self.centers.mean(0)
        moved = apply_metric(self.centers - shift, root)
        transform = _Transform(root=root, shift=shift, scale=unit_scale(moved))
        kernel = make_kernel(self.config, self.bandwidth * transform.scale)
        return transform, kernel, prepare_centers(moved.mul_(transform.scale))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Transform:
    """From inputs to the coordinates that the kernel sees."""

    root: Tensor  # (d,) or (d, d), a power of the metric
    shift: Tensor  # (d,)
    scale: float  # a power of two that keeps distances within float32

    def __call__(self, x: Tensor) -> Tensor:  # (n, d) -> (n, d)
        return apply_metric(x - self.shift, self.root).mul_(self.scale)
