"""Weighted ensembles by greedy selection on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CLOSE = 2.0  # standard errors of a difference, within which a prediction may be as good as the best
MOST_CLOSE = 5  # members to which an ensemble grows for the sake of those
SPREAD_SHARE = 0.5  # of the weights, that all of them have alike
SIGNIFICANT_DIGITS = 7  # losses are compared to this many: the last bits differ between thread counts


def greedy_weights(
    predictions: Sequence[Array], loss: Callable[[Array], float], *, rounds: int = 25, max_members: int = 8
) -> list[float]:
    """Weights, adding to one, of the average with the least loss found by greedy selection.

    Starting from the best single prediction, each round adds (again) the one that lowers the loss of the
    average most; the best average of all rounds wins, the smallest of equals.

    >>> truth = np.array([0.0, 1.0])
    >>> close, far = np.array([0.5, 1.0]), np.array([-0.5, 1.0])
    >>> greedy_weights([close, far], lambda p: float(((p - truth) ** 2).mean()))
    [0.5, 0.5]

    Caruana et al., Ensemble selection from libraries of models, ICML 2004.
    """
    counts = np.zeros(len(predictions), dtype=int)
    total = np.zeros_like(predictions[0])
    best_loss, best_counts = np.inf, counts
    for size in range(1, rounds + 1):
        full = (counts > 0).sum() >= max_members
        allowed = [k for k in range(len(predictions)) if not full or counts[k]]
        losses = [rounded(loss((total + predictions[k]) / size)) for k in allowed]
        chosen = allowed[int(np.argmin(losses))]
        counts = counts.copy()
        counts[chosen] += 1
        total = total + predictions[chosen]
        if min(losses) < best_loss:
            best_loss, best_counts = min(losses), counts
    return (best_counts / best_counts.sum()).tolist()


def spread_weights(
    weights: Sequence[float], losses: Array, left_out: Mapping[int, Array], *, max_members: int
) -> list[float]:  # losses (k,), left_out (parts,) of each
    """Half of the weights spread evenly over the predictions that may be as good as the best.

    Greedy selection takes differences at their face value, even those that a few rows make. Whether a
    prediction may be as good is told by the jackknife: the standard error of its difference from the best,
    from the losses without one part of the rows. ``left_out`` has these of the best and of the others that
    are to be compared. Those without weight take part, the better ones first, until there are
    ``max_members`` or `MOST_CLOSE`.

    >>> losses, noisy = np.array([1.0, 1.1]), {0: np.array([1.0, 1.0]), 1: np.array([0.9, 1.3])}
    >>> spread_weights([1.0, 0.0], losses, noisy, max_members=8)
    [0.75, 0.25]

    Efron: The jackknife, the bootstrap and other resampling plans, SIAM 1982.
    """
    room = min(max_members, MOST_CLOSE) - sum(weight > 0 for weight in weights)
    ranked = sorted(left_out, key=lambda k: (losses[k], k))
    close: list[int] = []
    for k in ranked:
        differences = left_out[k] - left_out[ranked[0]]
        error = np.sqrt((len(differences) - 1) * differences.var())
        is_close = k == ranked[0] or (error > 0 and losses[k] - losses[ranked[0]] <= CLOSE * error)
        if is_close and (weights[k] > 0 or room > 0):
            close.append(k)
            room -= weights[k] == 0
    if not close:
        return list(weights)
    share = SPREAD_SHARE / len(close)
    return [(1 - SPREAD_SHARE) * weight + share * (k in close) for k, weight in enumerate(weights)]


def rounded(value: float) -> float:
    """A loss to the digits in which it may decide.

    >>> rounded(0.123456789)
    0.1234568
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if np.isfinite(value) else float("inf")
