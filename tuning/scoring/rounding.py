"""Rounding of losses, so that comparisons do not depend on the number of threads."""

from __future__ import annotations

import numpy as np

SIGNIFICANT_DIGITS = 7  # the last bits differ between thread counts


def rounded(value: float) -> float:
    """Return a loss rounded for comparisons.

    >>> rounded(0.123456789)
    0.1234568
    """
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if np.isfinite(value) else float("inf")
