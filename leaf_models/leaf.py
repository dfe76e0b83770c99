"""Fitted leaves: values that predict, differentiate and can be stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from xrfm_cli.datasets.errors import ModelFileError
from xrfm_cli.leaf_models.agop import apply_metric, metric_power
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.coordinates import Centers, prepare_centers
from xrfm_cli.leaf_models.kernels import Kernel, make_kernel
from xrfm_cli.leaf_models.precision import widened

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
    wide = widened(kernel_block)
    return torch.stack([wide @ column for column in widened(columns)], dim=1).to(kernel_block.dtype)


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
        root, kernel, shift, a = self._prepared()
        columns = self.coefficients.T.contiguous()
        out = torch.empty(len(x), len(columns), dtype=x.dtype, device=x.device)
        block = torch.zeros(BLOCK_ROWS, x.shape[1], dtype=x.dtype, device=x.device)
        for start in range(0, len(x), BLOCK_ROWS):
            rows = min(BLOCK_ROWS, len(x) - start)
            block[:rows] = x[start : start + rows]
            block[rows:] = 0
            u = apply_metric(block - shift, root)
            out[start : start + rows] = expand(kernel.matrix(u, a), columns)[:rows]
        return out

    def gradients(self, x: Tensor) -> Tensor:
        """Derivatives ``(n, c, d)`` at rows ``x (n, d)``, leaving out centers at distance zero."""
        root, kernel, shift, a = self._prepared()
        out = torch.empty(len(x), self.coefficients.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        for start in range(0, len(x), BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, len(x)))
            sums = kernel.gradient_sums(apply_metric(x[rows] - shift, root), a, self.coefficients)
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

    def _prepared(self) -> tuple[Tensor, Kernel, Tensor, Centers]:
        """Metric root, kernel, shift and the centers in the metric's coordinates."""
        root = metric_power(self.metric, self.config.agop_power)
        # Kernels depend on differences alone; around the centers' mean the expansion of squared
        # distances loses the fewest digits.
        shift = self.centers.mean(0)
        a = prepare_centers(apply_metric(self.centers - shift, root))
        return root, make_kernel(self.config, self.bandwidth), shift, a
