"""Medians and quantiles of weighted values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened

RANK_ROUNDING = 1e-9  # of a level times a number of rows


def median_of_pairs(distances: Tensor, weights: Tensor | None) -> float:
    """Return the median over pairs of different rows, a pair weighing the product of its rows' weights.

    Pairs of equal rows are left out, so that a row of weight 2 counts like two copies of it.
    """
    n = len(distances)
    first, second = torch.triu_indices(n, n, offset=1, device=distances.device)
    upper = distances[first, second]
    different = upper > 0
    if not bool(different.any()):
        return 1.0
    return median(
        upper[different], None if weights is None else (weights[first] * weights[second])[different]
    )


def median(values: Tensor, weights: Tensor | None) -> float:  # (n,), (n,)
    """Return the lower (weighted) median.

    >>> median(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 1.0, 1.0]))
    1.0
    """
    return float(values.median()) if weights is None else quantile(values, 0.5, weights)


def quantile(values: Tensor, level: float, weights: Tensor | None) -> float:  # (n,), (n,)
    """Return the smallest value up to which at least ``level`` of the (weighted) values lie.

    >>> quantile(torch.tensor([4.0, 1.0, 2.0, 3.0]), 0.75, None)
    3.0
    """
    if weights is None:
        rank = math.ceil(level * len(values) - RANK_ROUNDING)
        return float(values.kthvalue(max(1, rank)).values)
    ordered, order = values.sort()
    mass = widened(weights[order]).cumsum(0)
    place = int(torch.searchsorted(mass, mass[-1] * level))
    return float(ordered[min(place, len(ordered) - 1)])
