"""Losses are compared to the digits that do not depend on the number of threads."""

from __future__ import annotations

import numpy as np

SIGNIFICANT_DIGITS = 7  # losses are compared to this many: the last bits differ between thread counts


def rounded(value: float) -> float:
    """A loss to the digits in which it may decide.

    >>> rounded(0.123456789)
    0.1234568
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if np.isfinite(value) else float("inf")
