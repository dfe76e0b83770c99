"""Seeds for libraries that take 32 bits."""

from __future__ import annotations

from numpy.random import SeedSequence

LARGEST = 2**32 - 1  # that numpy's RandomState takes, and with it scikit-learn and Optuna


def small_seed(seed: int) -> int:
    """A seed of at most 32 bits: the seed itself where it is one, or else a digest of it.

    >>> small_seed(7), 0 <= small_seed(2**32) <= LARGEST, small_seed(2**32) == small_seed(2**33)
    (7, True, False)
    """
    return seed if seed <= LARGEST else int(SeedSequence(seed).generate_state(1)[0])
