"""Importances of the user's columns with bootstrap intervals, and the AGOP by column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.reports.sensitivity import Sensitivity, normalised
from xrfm_cli.tuning.explain.shares import ColumnShare

REPLICATES = 200
INTERVAL = (0.05, 0.95)


def measure_importances(
    sensitivities: Sequence[Sensitivity], *, generator: torch.Generator
) -> tuple[ColumnShare, ...]:
    """Return the columns' shares of the AGOP's trace, weighted over members, largest first; they sum to one.

    The interval is a percentile bootstrap over sampled rows and, with several members, over members drawn
    by weight; it is widened to contain the share if necessary. A constant model has shares of zero. Members
    with a log target transform count on the log scale.
    """
    columns = sensitivities[0].columns.columns
    weights = _weights(sensitivities)
    shares = sum(w * s.shares().cpu() for w, s in zip(weights.tolist(), sensitivities, strict=True))
    drawn = _drawn_members(weights, generator)
    replicates = torch.zeros(REPLICATES, len(columns), dtype=torch.float64)
    for member, sensitivity in enumerate(sensitivities):
        squares = sensitivity.squares.cpu()
        picked = torch.randint(len(squares), (REPLICATES, len(squares)), generator=generator)
        counts = torch.zeros(REPLICATES, len(squares), dtype=torch.float64)
        counts.scatter_add_(1, picked, torch.ones_like(picked, dtype=torch.float64))
        replicates += drawn[:, member, None] * normalised(counts @ squares)
    assert isinstance(shares, Tensor)
    low, high = torch.quantile(replicates, torch.tensor(INTERVAL, dtype=torch.float64), dim=0)
    low, high = torch.minimum(low, shares), torch.maximum(high, shares)
    order = shares.argsort(descending=True, stable=True).tolist()
    return tuple(
        ColumnShare(column=columns[k], share=float(shares[k]), low=float(low[k]), high=float(high[k]))
        for k in order
    )


def column_agop(sensitivities: Sequence[Sensitivity], columns: Sequence[str]) -> NDArray[np.float64]:
    """Return the AGOP by column ``(k, k)`` for the named columns, weighted over members.

    Entry ``[a, b]`` is the Frobenius norm of the block of the scaled AGOP between the coordinates of
    column ``a`` and those of column ``b``, as a share of the trace. By the Cauchy-Schwarz inequality,
    its square is at most ``[a, a] * [b, b]``.
    """
    total = torch.zeros(len(columns), len(columns), dtype=torch.float64)
    for weight, sensitivity in zip(_weights(sensitivities).tolist(), sensitivities, strict=True):
        if sensitivity.trace == 0:
            continue
        names = sensitivity.columns.columns
        owner = sensitivity.columns.owner[sensitivity.kept.cpu()]
        indicator = torch.stack([(owner == names.index(column)).double() for column in columns])
        blocks = indicator @ sensitivity.matrix.cpu().square() @ indicator.T
        total += weight * blocks.clamp(min=0).sqrt() / sensitivity.trace
    return total.numpy()


def co_sensitivities(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalise a column AGOP by its diagonal, to values between 0 and 1.

    >>> co_sensitivities(np.array([[4.0, 1.0], [1.0, 1.0]])).round(3).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    scale = np.sqrt(np.diag(matrix))
    scale = np.where(scale > 0, scale, np.inf)
    ratio = np.clip(matrix / scale[:, None] / scale[None, :], 0.0, 1.0)
    np.fill_diagonal(ratio, 1.0)
    return ratio


def _weights(sensitivities: Sequence[Sensitivity]) -> Tensor:
    return normalised(torch.tensor([s.weight for s in sensitivities], dtype=torch.float64))


def _drawn_members(weights: Tensor, generator: torch.Generator) -> Tensor:  # -> (replicates, members)
    """Return each member's share of each bootstrap replicate; members are drawn by weight."""
    picked = torch.multinomial(
        weights.expand(REPLICATES, -1), len(weights), replacement=True, generator=generator
    )
    counts = torch.zeros(REPLICATES, len(weights), dtype=torch.float64)
    counts.scatter_add_(1, picked, torch.ones_like(picked, dtype=torch.float64))
    return counts / len(weights)
