"""A feature matrix to start from: the AGOP of squares of the target.

A kernel machine with equal weights for many columns learns sums of columns and, with enough rows, products of
two. The mean of a product of three columns does not depend on any one or two of them, so the first AGOP does
not show them, and later ones show them even less. But the variance of the target is larger where the columns
are large: its squares depend on each column by itself. The directions of the variance are among those that
the mean can depend on, as in sliced average variance estimation: Cook and Weisberg, Journal of the American
Statistical Association 86 (1991). Yin and Li, Annals of Statistics 39 (2011), average outer products of
gradients over transformed targets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from xrfm_cli.leaf_models import LeafConfig, fit_leaf

SQUARES = 2_000_000  # the "rung" of the random generators
MOST_ROWS = 4_000  # a larger fit would take as long as the solves that follow
UPDATES = 2  # the first update finds the columns, the second removes the others


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
    """Return normal quantiles of the ranks, which are robust to outliers; equal targets have equal scores.

    >>> [round(score, 2) for score in normal_scores(torch.tensor([[3.0], [1.0], [90.0]]))[:, 0].tolist()]
    [0.0, -0.97, 0.97]
    """
    from scipy.stats import rankdata

    ranks = (rankdata(y[:, 0].cpu().numpy()) - 0.5) / len(y)
    return torch.special.ndtri(torch.from_numpy(np.asarray(ranks))).to(y)[:, None]
