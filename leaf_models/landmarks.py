"""Leaves of fewer centers, fitted to the predictions of the whole leaf.

The whole leaf has averaged the noise of the targets away. So a leaf with some of its rows as centers comes
closer to it than it would by learning from the targets. This is distillation (Hinton, Vinyals, Dean, arXiv
1503.02531), which for a kernel machine is a least-squares problem.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from xrfm_cli.leaf_models.kernels.coordinates import prepare_centers
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.leaf_models.solvers.nystrom import solve_nystrom

RIDGE = 1e-3  # predictions have no noise, so the ridge only keeps the coefficients within float32


def with_landmarks(
    leaf: RFMLeaf, landmarks: Tensor, weights: Tensor | None = None, *, memory_bytes: int
) -> RFMLeaf:
    """Return a leaf with some of the centers that predicts nearly the same at all of them.

    Args:
        leaf: a leaf whose rows are all centers ``(n, d)``.
        landmarks: row numbers ``(m,)`` of the centers to keep.
        weights: of the rows ``(n,)``; a row of weight 2 counts like two.
        memory_bytes: bounds the kernel values that are kept between steps.

    >>> import torch
    >>> x = torch.linspace(-1, 1, 60)[:, None]
    >>> from xrfm_cli.leaf_models import LeafConfig, fit_leaf
    >>> leaf = fit_leaf(x, x.square(), LeafConfig(bandwidth=1.0), generator=torch.Generator().manual_seed(0))
    >>> few = with_landmarks(leaf, torch.arange(0, 60, 6), memory_bytes=1 << 20)
    >>> len(few.centers), bool((few.predict(x) - leaf.predict(x)).abs().mean() < 0.05)
    (10, True)
    """
    values = leaf.predict(leaf.centers) - leaf.intercept
    _, kernel, rows = leaf.prepare()
    few = prepare_centers(rows.rows[landmarks])
    found = solve_nystrom(kernel, rows.rows, values, few, RIDGE, weights, memory_bytes=memory_bytes)
    return replace(leaf, centers=leaf.centers[landmarks], coefficients=found.coefficients)
