"""Columns with two values, such as one-hot columns: their part of a kernel is a matrix product.

A term that depends on ``|u_j - a_ij|`` alone takes two values in such a column, so the sum over all of them
needs no pass for each column. Tables with categories consist of little else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened

# Weights are rounded to so many bits of their sum: every sum of them is then exact, whatever its order.
BITS = {torch.float32: 22, torch.float64: 51}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BinaryColumns:
    """Which columns of the centers have two values, and which value each center has there."""

    columns: Tensor  # (k,) numbers of the columns with two values
    others: Tensor  # (d - k,) numbers of the others
    low: Tensor  # (k,)
    gap: Tensor  # (k,) high - low, positive
    high_and_one: Tensor  # (m, k + 1) 1.0 where a center has the high value, then a column of ones

    @property
    def is_high(self) -> Tensor:
        """1.0 where a center has the high value ``(m, k)``."""
        return self.high_and_one[:, :-1]

    def since(self, start: int) -> BinaryColumns:
        """The same for the centers from one on."""
        return replace(self, high_and_one=self.high_and_one[start:])

    def places(self, u: Tensor) -> tuple[Tensor, Tensor]:  # (b, d) -> (b, k), (b,)
        """1.0 where a row has the high value, and the rows that have a third value somewhere."""
        values = u[:, self.columns]
        high = values == self.low + self.gap
        strange = ~(high | (values == self.low)).all(1)
        return high.to(u.dtype), strange


def find_binary_columns(a: Tensor) -> BinaryColumns:  # (m, d)
    """Look for columns with two values.

    >>> find_binary_columns(torch.tensor([[0.0, 1.0], [1.0, 2.0], [1.0, 3.0]])).columns
    tensor([0])
    """
    low, high = a.amin(0), a.amax(0)
    gap = high - low
    # The high value must be found again as low + gap: both sides are compared in this form.
    two = ((a == low) | (a == low + gap)).all(0) & (gap > 0)
    columns = two.nonzero()[:, 0]
    return BinaryColumns(
        columns=columns,
        others=(~two).nonzero()[:, 0],
        low=low[columns],
        gap=gap[columns],
        high_and_one=torch.cat([a[:, columns] == (low + gap)[columns], a.new_ones(len(a), 1)], dim=1),
    )


def differing_sum(two: BinaryColumns, high: Tensor, weight: Tensor) -> Tensor:  # (b, k), (k,) -> (b, m)
    """``sum_j weight_j [row and center have different values in column j]``, exact for the rounded weights.

    Equal rows are at exactly zero, and neither threads nor neighbours show.
    """
    weight = _rounded(weight)
    # z_u + z_a - 2 z_u z_a, weighted
    left = torch.cat([high * (-2 * weight), (high @ weight)[:, None]], dim=1)
    return torch.addmm((two.is_high @ weight)[None, :], left, two.high_and_one.T)


def _rounded(weight: Tensor) -> Tensor:
    """Weights as multiples of a power of two that leaves room for their sums."""
    total = float(widened(weight.abs()).sum())
    if total == 0 or not math.isfinite(total):
        return weight
    quantum = 2.0 ** (math.frexp(total)[1] - BITS[weight.dtype])
    return (widened(weight) / quantum).round().mul(quantum).to(weight.dtype)


def slope_sums(
    two: BinaryColumns, high: Tensor, pair: Tensor, coefficients: Tensor, slope: Tensor
) -> Tensor:  # (b, k), (b, m), (m, c), (k,) -> (b, c, k)
    """``sum_i pair_bi coefficients_io slope_j sign(u_bj - a_ij)``, the slope being that at the gap."""
    wide_pair, is_high = widened(pair), widened(two.is_high)
    sums = []
    for column in widened(coefficients.T):
        weighted = wide_pair * column
        from_high = weighted @ is_high
        every = weighted.sum(1, keepdim=True)
        sums.append((high * (every - from_high) - (1 - high) * from_high) * slope)
    return torch.stack(sums, dim=1).to(pair.dtype)
