"""Seeds for libraries that take only 32 bits."""

from __future__ import annotations

from numpy.random import SeedSequence

LARGEST = 2**32 - 1  # of numpy's RandomState, and so of scikit-learn and Optuna


def small_seed(seed: int) -> int:
    """Return a seed of at most 32 bits: ``seed`` itself if it fits, otherwise a hash of it.

    >>> small_seed(7), 0 <= small_seed(2**32) <= LARGEST, small_seed(2**32) == small_seed(2**33)
    (7, True, False)
    """
    return seed if seed <= LARGEST else int(SeedSequence(seed).generate_state(1)[0])
