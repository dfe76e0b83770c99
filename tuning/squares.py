"""A feature matrix to start from: what squares of the target depend on.

A kernel machine that weighs many columns alike sees sums of columns and, with enough rows, products of two.
A product of three moves no mean by any one or two of its columns, so the first AGOP has nothing of them, and
later ones have less. But where its columns are large the target spreads: its squares do depend on each column
by itself. Directions of the spread belong to those that a mean can depend on, as sliced average variance
estimation says: Cook and Weisberg, Journal of the American Statistical Association 86 (1991). Yin and Li,
Annals of Statistics 39 (2011), average outer products of gradients over transformed targets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from xrfm_cli.leaf_models import LeafConfig, fit_leaf

SQUARES = 2_000_000  # the "rung" of the random generators
MOST_ROWS = 4_000  # a larger fit would take as long as the solves that follow
UPDATES = 2  # the first finds the columns, the second forgets the others


def squares_matrix(
    x: Tensor, y: Tensor, weights: Tensor | None, config: LeafConfig, *, generator: torch.Generator
) -> Tensor:
    """Return the feature matrix of a leaf that learns the squares of the normal scores of ``y`` (n, 1)."""
    drawn = torch.randperm(len(x), generator=generator)[:MOST_ROWS].sort().values.to(x.device)
    squares = normal_scores(y[drawn]).square()
    learner = replace(config, loss="squared", iterations=UPDATES)
    leaf = fit_leaf(
        x[drawn],
        (squares - squares.mean()) / squares.std().clamp(min=torch.finfo(y.dtype).tiny),
        learner,
        generator=generator,
        weights=None if weights is None else weights[drawn],
    )
    return leaf.feature_matrix


def normal_scores(y: Tensor) -> Tensor:  # (n, 1) -> (n, 1)
    """Return normal quantiles of the ranks, which no outlier moves; equal targets have equal scores.

    >>> [round(score, 2) for score in normal_scores(torch.tensor([[3.0], [1.0], [90.0]]))[:, 0].tolist()]
    [0.0, -0.97, 0.97]
    """
    from scipy.stats import rankdata

    ranks = (rankdata(y[:, 0].cpu().numpy()) - 0.5) / len(y)
    return torch.special.ndtri(torch.from_numpy(np.asarray(ranks))).to(y)[:, None]
