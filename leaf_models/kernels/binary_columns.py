"""Binary columns, such as one-hot columns: their part of a kernel is a matrix product.

A term of ``|u_j - a_ij|`` takes two values in such a column, so the sum over all of them needs no loop over
columns. Tables with categories consist mostly of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import widened

FIRST_ROWS = 64  # checked first: most columns have more than two values among them, so the rest is not read
# Weights are rounded to this many bits of their sum, so that all sums are exact in any order.
BITS = {torch.float32: 22, torch.float64: 51}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BinaryColumns:
    """The binary columns of the centers, and each center's value there."""

    columns: Tensor  # (k,) numbers of the binary columns
    others: Tensor  # (d - k,) numbers of the other columns
    low: Tensor  # (k,)
    gap: Tensor  # (k,) high - low, positive
    high_and_one: Tensor  # (m, k + 1) 1.0 where a center has the high value, then a column of ones

    @property
    def is_high(self) -> Tensor:
        """Return 1.0 where a center has the high value ``(m, k)``."""
        return self.high_and_one[:, :-1]

    def since(self, start: int) -> BinaryColumns:
        """Return the same for the centers from ``start`` on."""
        return replace(self, high_and_one=self.high_and_one[start:])

    def places(self, u: Tensor) -> tuple[Tensor, Tensor]:  # (b, d) -> (b, k), (b,)
        """Return 1.0 where a row has the high value, and which rows have a third value somewhere."""
        values = u[:, self.columns]
        high = values == self.low + self.gap
        strange = ~(high | (values == self.low)).all(1)
        return high.to(u.dtype), strange


def find_binary_columns(a: Tensor) -> BinaryColumns:  # (m, d)
    """Find the binary columns.

    >>> find_binary_columns(torch.tensor([[0.0, 1.0], [1.0, 2.0], [1.0, 3.0]])).columns
    tensor([0])
    """
    head = a[:FIRST_ROWS]
    low, high = head.amin(0), head.amax(0)
    if not bool(((head == low) | (head == low + (high - low))).all(0).any()):
        return no_binary_columns(a)
    low, high = a.amin(0), a.amax(0)
    gap = high - low
    # Rows are compared with low + gap, so the high value must equal that sum exactly.
    two = ((a == low) | (a == low + gap)).all(0) & (gap > 0)
    columns = two.nonzero()[:, 0]
    return BinaryColumns(
        columns=columns,
        others=(~two).nonzero()[:, 0],
        low=low[columns],
        gap=gap[columns],
        high_and_one=torch.cat([a[:, columns] == (low + gap)[columns], a.new_ones(len(a), 1)], dim=1),
    )


def no_binary_columns(a: Tensor) -> BinaryColumns:
    """Return the same for centers whose columns do not count as binary, without looking at them."""
    none = a.new_empty(0)
    return BinaryColumns(
        columns=torch.empty(0, dtype=torch.long, device=a.device),
        others=torch.arange(a.shape[1], device=a.device),
        low=none,
        gap=none,
        high_and_one=a.new_ones(len(a), 1),
    )


def differing_sum(two: BinaryColumns, high: Tensor, weight: Tensor) -> Tensor:  # (b, k), (k,) -> (b, m)
    """Return ``sum_j weight_j [row and center differ in column j]``, exact for the rounded weights.

    Equal rows are at exactly zero, and the result does not depend on threads or other rows.
    """
    weight = rounded_weights(weight)
    # z_u + z_a - 2 z_u z_a, weighted
    left = torch.cat([high * (-2 * weight), (high @ weight)[:, None]], dim=1)
    return torch.addmm((two.is_high @ weight)[None, :], left, two.high_and_one.T)


def rounded_weights(weight: Tensor) -> Tensor:
    """Round weights to multiples of a power of two that leaves room for their sums."""
    total = float(widened(weight.abs()).sum())
    if total == 0 or not math.isfinite(total):
        return weight
    quantum = 2.0 ** (math.frexp(total)[1] - BITS[weight.dtype])
    return (widened(weight) / quantum).round().mul(quantum).to(weight.dtype)


def slope_sums(
    two: BinaryColumns, high: Tensor, pair: Tensor, coefficients: Tensor, slope: Tensor
) -> Tensor:  # (b, k), (b, m), (m, c), (k,) -> (b, c, k)
    """Return ``sum_i pair_bi coefficients_io slope_j sign(u_bj - a_ij)``, with the slope at the gap."""
    wide_pair, is_high = widened(pair), widened(two.is_high)
    sums = []
    for column in widened(coefficients.T):
        weighted = wide_pair * column
        from_high = weighted @ is_high
        every = weighted.sum(1, keepdim=True)
        sums.append((high * (every - from_high) - (1 - high) * from_high) * slope)
    return torch.stack(sums, dim=1).to(pair.dtype)
