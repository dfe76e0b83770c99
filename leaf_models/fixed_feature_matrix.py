"""Many kernels under one feature matrix: distances are computed once, and each try is one solve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.kernels.coordinates import prepare_centers
from xrfm_cli.leaf_models.kernels.families import Kernel, make_kernel
from xrfm_cli.leaf_models.row_blocks import expand
from xrfm_cli.leaf_models.steps import DISTANCE_ROWS, KERNEL_ROWS, draw_rows, place_rows, solve_by_loss

# Hyperparameters that may vary within a kernel family without changing its bases.
FREE = {
    "norm": {"kernel_q", "bandwidth", "ridge"},
    "sum_power": {"power", "ridge"},
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixedFeatureMatrix:
    """Training and validation rows under one feature matrix, ready for any variation in :data:`FREE`.

    One matrix of distances serves every bandwidth, exponent and ridge. The validation rows must be unseen by
    the feature matrix: on rows it was learned from, closed-form leave-one-out would be optimistic.
    """

    config: LeafConfig
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,)
    own: Tensor  # (n, n) bases of the kernel between training rows
    others: Tensor  # (m, n) and between validation rows and training rows
    kernel_bandwidth: float  # the bandwidth of ``config`` in the feature matrix's coordinates

    @classmethod
    def prepare(
        cls,
        x: Tensor,
        y: Tensor,
        others: Tensor,
        config: LeafConfig,
        feature_matrix: Tensor,
        *,
        generator: torch.Generator,
        weights: Tensor | None = None,
    ) -> FixedFeatureMatrix:
        """Compute the bases for training rows ``x (n, d)`` of positive weight and ``others (m, d)``.

        ``generator`` draws the rows whose pairs give the median distance of an adaptive bandwidth.
        """
        scale_rows = draw_rows(len(x), DISTANCE_ROWS, generator)
        placed = place_rows(x, weights, config, feature_matrix, scale_rows, None)
        kernel = make_kernel(config, placed.kernel_bandwidth)
        return cls(
            config=config,
            y=y,
            weights=weights,
            own=_bases(kernel, placed.u, placed.u),
            others=_bases(kernel, placed.transform(others), placed.u),
            kernel_bandwidth=placed.kernel_bandwidth,
        )

    def predict(self, config: LeafConfig, ridges: list[float]) -> Iterator[Tensor]:  # (m, c) each
        """Yield predictions for the validation rows with the kernel of ``config`` and each of several ridges.

        Raises ValueError for a configuration that differs in more than :data:`FREE`.
        """
        free = FREE.get(config.kernel, set())
        fixed = {name: value for name, value in config.to_dict().items() if name not in free}
        if any(getattr(self.config, name) != value for name, value in fixed.items()):
            raise ValueError(f"only {', '.join(sorted(free))} may differ under one feature matrix")
        kernel = make_kernel(config, self.kernel_bandwidth * config.bandwidth / self.config.bandwidth)
        own, others = kernel.of_bases(self.own), kernel.of_bases(self.others)
        own.fill_diagonal_(1.0)
        for number, ridge in enumerate(ridges):
            matrix = own if number == len(ridges) - 1 else own.clone()
            solution = solve_by_loss(matrix, self.y, self.weights, config, ridge, polish=False)
            yield expand(others, solution.coefficients.T.contiguous()).add_(solution.intercept)


def _bases(kernel: Kernel, rows: Tensor, centers: Tensor) -> Tensor:  # (m, d), (n, d) -> (m, n)
    prepared = prepare_centers(centers)
    out = rows.new_empty(len(rows), len(centers))
    for start in range(0, len(rows), KERNEL_ROWS):
        block = slice(start, start + KERNEL_ROWS)
        out[block] = kernel.bases(rows[block], prepared)
    return out
