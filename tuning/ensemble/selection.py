"""Weighted ensembles by greedy selection on out-of-fold predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.scoring.rounding import rounded

Array = NDArray[np.float64]


def greedy_weights(
    predictions: Sequence[Array],
    loss: Callable[[Array], float],
    *,
    rounds: int = 25,
    max_members: int = 8,
    fits: Callable[[list[int]], bool] = lambda members: True,
) -> list[float]:
    """Return weights, adding to one, of the average with the least loss found by greedy selection.

    Starting from the best single prediction, each round adds (possibly again) the one that lowers the loss of
    the average most. The best average of all rounds wins, the smallest of equals. Only members that ``fits``
    accepts together are chosen; if it accepts none alone, any one is.

    >>> y_true = np.array([0.0, 1.0])
    >>> close, far = np.array([0.5, 1.0]), np.array([-0.5, 1.0])
    >>> greedy_weights([close, far], lambda p: float(((p - y_true) ** 2).mean()))
    [0.5, 0.5]

    Caruana et al., Ensemble selection from libraries of models, ICML 2004.
    """
    counts = np.zeros(len(predictions), dtype=int)
    alone = [k for k in range(len(predictions)) if fits([k])] or list(range(len(predictions)))
    total = np.zeros_like(predictions[0])
    best_loss, best_counts = np.inf, counts
    for size in range(1, rounds + 1):
        full = (counts > 0).sum() >= max_members
        chosen_so_far = np.flatnonzero(counts).tolist()
        allowed = [
            k for k in alone if counts[k] or not (full or (chosen_so_far and not fits([*chosen_so_far, k])))
        ]
        losses = [rounded(loss((total + predictions[k]) / size)) for k in allowed]
        chosen = allowed[int(np.argmin(losses))]
        counts = counts.copy()
        counts[chosen] += 1
        total = total + predictions[chosen]
        if min(losses) < best_loss:
            best_loss, best_counts = min(losses), counts
    return (best_counts / best_counts.sum()).tolist()


def choose_candidates(kinds: Sequence[Hashable], *, best: int, of_each_kind: int) -> list[int]:
    """Return the ranks of the trials that an ensemble is chosen from: the best, and the best of each kind.

    A long search ends with many near copies of its best trial, which make similar errors.

    >>> choose_candidates(["a", "a", "a", "b", "c", "b"], best=2, of_each_kind=1)
    [0, 1, 3, 4]
    """
    seen: Counter[Hashable] = Counter()
    pool = []
    for place, kind in enumerate(kinds):
        seen[kind] += 1
        if place < best or seen[kind] <= of_each_kind:
            pool.append(place)
    return pool
