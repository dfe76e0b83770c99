"""Scale numbers by powers of two to order one, so that their squares neither overflow nor underflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def to_order_one(values: Array) -> tuple[Array, int]:
    """Divide values by a power of two so that the largest is between 0.5 and 1; also return the exponent.

    Powers of two preserve all digits, so sums of squares of ordinary values are identical to the last bit.

    >>> scaled, exponent = to_order_one(np.array([3e200, -4e200]))
    >>> f"{np.ldexp(np.sqrt((scaled**2).sum()), exponent):.3g}"
    '5e+200'
    """
    exponent = exponent_of(values)
    return np.ldexp(values, -exponent), exponent


def exponent_of(*arrays: Array) -> int:
    """Return the exponent of the largest magnitude in all arrays; 0 if all are zero or empty.

    >>> exponent_of(np.array([0.75]), np.array([-5.0])), exponent_of(np.zeros(2))
    (3, 0)
    """
    largest = max((float(np.abs(values).max()) for values in arrays if values.size), default=0.0)
    return int(np.frexp(largest)[1])


def scaled_back(value: float, exponent: int) -> float:
    """Multiply a number of order one by a power of two, clipped to the range of finite floats.

    >>> scaled_back(0.75, 2), scaled_back(1.0, 5_000)
    (3.0, 1.7976931348623157e+308)
    """
    with np.errstate(over="ignore", under="ignore"):
        scaled = float(np.ldexp(value, exponent))
    return float(np.clip(scaled, -np.finfo(np.float64).max, np.finfo(np.float64).max))
