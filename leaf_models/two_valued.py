"""Columns with two values, such as one-hot columns: their part of a kernel is a matrix product.

A term that depends on ``|u_j - a_ij|`` alone takes two values in such a column, so the sum over all of them
needs no pass for each column. Tables with categories consist of little else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Products with few columns round a row by its place in the block; with so many they do not.
FEW_CENTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoValued:
    """Which columns of the centers have two values, and which value each center has there."""

    columns: Tensor  # (k,) numbers of the columns with two values
    others: Tensor  # (d - k,) numbers of the others
    low: Tensor  # (k,)
    gap: Tensor  # (k,) high - low, positive
    is_high: Tensor  # (m, k) 1.0 where a center has the high value

    def places(self, u: Tensor) -> tuple[Tensor, Tensor]:  # (b, d) -> (b, k), (b,)
        """1.0 where a row has the high value, and the rows that have a third value somewhere."""
        values = u[:, self.columns]
        high = values == self.low + self.gap
        strange = ~(high | (values == self.low)).all(1)
        return high.to(u.dtype), strange


def find_two_valued(a: Tensor) -> TwoValued:  # (m, d)
    """Look for columns with two values.

    >>> find_two_valued(torch.tensor([[0.0, 1.0], [1.0, 2.0], [1.0, 3.0]])).columns
    tensor([0])
    """
    low, high = a.amin(0), a.amax(0)
    gap = high - low
    # The high value must be found again as low + gap: both sides are compared in this form.
    two = ((a == low) | (a == low + gap)).all(0) & (gap > 0)
    columns = two.nonzero()[:, 0]
    return TwoValued(
        columns=columns,
        others=(~two).nonzero()[:, 0],
        low=low[columns],
        gap=gap[columns],
        is_high=(a[:, columns] == (low + gap)[columns]).to(a.dtype),
    )


def equal_sum(two: TwoValued, high: Tensor, gain: Tensor) -> Tensor:  # (b, k), (k,) -> (b, m)
    """``sum_j gain_j [row and center have the same value in column j]``."""
    centers = two.is_high
    if len(centers) < FEW_CENTERS:
        centers = torch.cat([centers, centers.new_zeros(FEW_CENTERS - len(centers), centers.shape[1])])
    # 2 z_u z_a - z_a, weighted; in float64, for a float32 sum would depend on the number of threads.
    wide, centers, gains = high.double(), centers.double(), gain.double()
    product = torch.addmm((centers @ gains)[None, :].neg(), wide * (2 * gains), centers.T)
    return product[:, : len(two.is_high)].add_((gains.sum() - wide @ gains)[:, None]).to(high.dtype)


def slope_sums(
    two: TwoValued, high: Tensor, pair: Tensor, coefficients: Tensor, slope: Tensor
) -> Tensor:  # (b, k), (b, m), (m, c), (k,) -> (b, c, k)
    """``sum_i pair_bi coefficients_io slope_j sign(u_bj - a_ij)``, the slope being that at the gap."""
    wide_pair, is_high = pair.double(), two.is_high.double()
    sums = []
    for column in coefficients.T.double():
        weighted = wide_pair * column
        from_high = weighted @ is_high
        every = weighted.sum(1, keepdim=True)
        sums.append((high * (every - from_high) - (1 - high) * from_high) * slope)
    return torch.stack(sums, dim=1).to(pair.dtype)
