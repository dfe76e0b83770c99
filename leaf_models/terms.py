"""Functions of one difference that kernels sum: values, slopes and powers in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

CACHE_ELEMENTS = 1 << 18  # elements of a (b, m) block that stay in a core's cache through several passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A function of one absolute difference: ``|delta|^exponent`` or ``exp(-(|delta| / scale)^exponent)``.

    >>> Term(kind="power", exponent=2.0).value(torch.tensor([3.0]))
    tensor([9.])
    """

    kind: Literal["power", "decay"]
    exponent: float
    scale: float = 1.0

    @property
    def at_zero(self) -> float:
        """Return the value at difference zero."""
        return 0.0 if self.kind == "power" else 1.0

    @property
    def slope_factor(self) -> float:
        """Return the factor that :meth:`slope` omits from the derivative."""
        return self.exponent if self.kind == "power" else -self.exponent / self.scale

    @property
    def _rate(self) -> float:
        """Return ``1 / scale``, limited to float32: infinity times a difference of zero would be NaN."""
        return min(1.0 / self.scale, torch.finfo(torch.float32).max)

    def value(self, size: Tensor) -> Tensor:
        """Compute the function of absolute differences, in place."""
        if self.kind == "power":
            return power_(size, self.exponent)
        return power_(size.mul_(self._rate), self.exponent).neg_().exp_()

    def slope(self, delta: Tensor) -> Tensor:
        """Compute the derivative by the difference over :attr:`slope_factor`, in place; zero at zero."""
        sign = delta.sign()
        if self.kind == "power":
            below = power_(delta.abs_(), self.exponent - 1)
        else:
            logs = delta.abs_().mul_(self._rate).log_()
            powers = (logs * self.exponent).exp_()
            below = logs.mul_(self.exponent - 1).sub_(powers).exp_()
        return below.masked_fill_(sign == 0, 0.0).mul_(sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The kernel as a function of a sum: ``exp(-rate s^exponent)`` or ``(constant + rate s)^exponent``.

    The exponent of the second kind is an integer; a sum that rounding made negative counts as zero.
    """

    kind: Literal["decay", "raised"]
    exponent: float
    rate: float
    constant: float = 0.0

    def value(self, total: Tensor) -> Tensor:
        """Return the kernel of sums, which must not be negative."""
        if self.kind == "decay":
            return (-self.rate * total.pow(self.exponent)).exp()
        return (self.constant + self.rate * total).pow(self.exponent)

    def slope(self, total: Tensor) -> Tensor:
        """Return the derivative by the sum; zero at zero for a decay.

        >>> link = Link(kind="raised", exponent=2, rate=0.5)
        >>> link.value(torch.tensor([4.0])), link.slope(torch.tensor([4.0]))
        (tensor([4.]), tensor([2.]))
        """
        if self.kind == "decay":
            below = total.pow(self.exponent - 1)
            return torch.where(total > 0, -self.exponent * self.rate * below * self.value(total), 0.0)
        return self.exponent * self.rate * (self.constant + self.rate * total).pow(self.exponent - 1)


def power_(x: Tensor, exponent: float) -> Tensor:
    """Compute ``x ** exponent`` in place, for non-negative x.

    Integer exponents use products, others use logarithms. torch's own power rounds an element differently at
    the end of a block, and a row must not depend on its block.

    >>> power_(torch.tensor([0.0, 4.0]), 0.5), power_(torch.tensor([2.0]), 5)
    (tensor([0., 2.]), tensor([32.]))
    """
    if exponent == 0.5:
        return x.sqrt_()
    if exponent < 0 or exponent != int(exponent):
        return x.log_().mul_(exponent).exp_()
    if exponent == 0:
        return x.fill_(1.0)
    base = x.clone() if exponent > 1 else x
    for _ in range(int(exponent) - 1):
        x.mul_(base)
    return x


def cache_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of rows whose ``(b, columns)`` blocks stay in cache."""
    step = max(8, CACHE_ELEMENTS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
