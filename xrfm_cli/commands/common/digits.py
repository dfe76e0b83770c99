"""Round predictions to the digits that mean something."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT_DIGITS = 9  # enough to tell any two float32 numbers apart
DIGITS_OF_DEVIATION = 6  # other thread counts already change the third digit of the deviation
MOST_DECIMALS = 22  # up to here a power of ten is exact


def rounded(values: NDArray[np.float64], deviation: float = 0.0) -> NDArray[np.float64]:
    """Round each value to nine significant digits, but at least to a millionth of the target's deviation.

    The second rule keeps targets that vary little around a large number.

    >>> rounded(np.array([14840.517971942512, 0.1 + 0.2, 0.0])).tolist()
    [14840.518, 0.3, 0.0]
    >>> rounded(np.array([1.7e9 + 1 / 3]), deviation=100.0).tolist()
    [1700000000.3333]
    """
    exponents = np.zeros(values.shape)
    np.floor(np.log10(np.abs(values), where=values != 0, out=exponents), out=exponents)
    decimals = SIGNIFICANT_DIGITS - 1 - exponents
    if 0 < deviation < np.inf:
        decimals = np.maximum(decimals, DIGITS_OF_DEVIATION - np.floor(np.log10(deviation)))
    up, down = (10.0 ** np.clip(sign * decimals, 0, MOST_DECIMALS) for sign in (1, -1))
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = np.round(values * up / down) / up * down
    return np.where(np.isfinite(shifted) & (np.abs(decimals) <= MOST_DECIMALS), shifted, values)
