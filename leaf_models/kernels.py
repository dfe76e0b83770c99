"""The kernel families, as values that compute blocks of kernels and of gradient sums.

A kernel sees inputs that the metric has already been applied to: ``u (b, d)`` are the rows of a block
and ``a (m, d)`` the centers. Blocks are the caller's business; nothing here allocates more than a few
``(b, m)`` matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.two_valued import FEW_CENTERS, equal_sum, find_two_valued, slope_sums

CACHE_ELEMENTS = 1 << 18  # elements of a (b, m) block that stay in a core's cache through several passes


class Kernel(Protocol):
    """A positive definite function of two rows, with its derivative by the first."""

    def matrix(self, u: Tensor, a: Tensor) -> Tensor:  # (b, d), (m, d) -> (b, m)
        """Kernel values between rows and centers."""
        ...

    def gradient_sums(self, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:  # -> (b, c, d)
        """Gradients by ``u`` of ``k(u, a) @ coefficients``, leaving out centers at distance zero."""
        ...

    def typical_distance(self, a: Tensor, weights: Tensor | None = None) -> float:
        """Median distance between different rows, the scale of an adaptive bandwidth."""
        ...


def make_kernel(config: LeafConfig, bandwidth: float) -> Kernel:
    """The kernel that a configuration names, at an effective bandwidth."""
    if config.kernel == "norm":
        return NormKernel(p=config.kernel_p, q=config.kernel_q, bandwidth=bandwidth)
    return SumPowerKernel(
        q=config.kernel_q, power=config.power, constant=config.constant, bandwidth=bandwidth
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NormKernel:
    """``exp(-(||u - v||_p / bandwidth)^q)`` for ``0 < q <= p <= 2``.

    >>> NormKernel(p=1.0, q=1.0, bandwidth=1.0).matrix(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[0.1353]])

    Beaglehole et al., arXiv 2508.10053 (2025).
    """

    p: float
    q: float
    bandwidth: float

    def matrix(self, u: Tensor, a: Tensor) -> Tensor:
        """Kernel values ``(b, m)``."""
        return self._from_distances(self._distances(u, a))

    def gradient_sums(self, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
        """Gradients ``(b, c, d)`` of the kernel expansion by ``u``."""
        r = self._distances(u, a)
        # The factor -(q / L^q) k r^(q-p) of a pair; pairs at distance zero are left out.
        pair = power_(r.clone(), self.q - self.p).masked_fill_(_is_zero(r, u, a, self.p), 0.0)
        pair.mul_(self._from_distances(r)).mul_(-self.q / self.bandwidth**self.q)
        if self.p == 2:
            return _euclidean_sums(pair, u, a, coefficients)
        return _coordinate_sums(pair, u, a, coefficients, self._coordinate_slope)

    def typical_distance(self, a: Tensor, weights: Tensor | None = None) -> float:
        """Median p-norm distance between different rows of ``a``."""
        return _median_of_pairs(self._distances(a, a), weights)

    def _from_distances(self, r: Tensor) -> Tensor:
        scaled = r * (1.0 / self.bandwidth)
        return power_(scaled, self.q).neg_().exp_()

    def _distances(self, u: Tensor, a: Tensor) -> Tensor:
        return euclidean_distances(u, a) if self.p == 2 else p_norm_distances(u, a, self.p)

    def _coordinate_slope(self, delta: Tensor) -> Tensor:
        """``|delta|^(p-1) sign(delta)`` in place, zero at zero."""
        if self.p == 1:
            return delta.sign_()
        sign = delta.sign()
        return power_(delta.abs_(), self.p - 1).masked_fill_(sign == 0, 0.0).mul_(sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPowerKernel:
    """``(c0 + (1 - c0)/d * sum_j exp(-(|u_j - v_j| / bandwidth)^q))^power``.

    Additive over coordinates for ``power = 1``, with interactions up to order ``power`` otherwise.

    >>> kernel = SumPowerKernel(q=1.0, power=2, constant=0.0, bandwidth=1.0)
    >>> kernel.matrix(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[0.1353]])
    """

    q: float
    power: int
    constant: float
    bandwidth: float

    def matrix(self, u: Tensor, a: Tensor) -> Tensor:
        """Kernel values ``(b, m)``."""
        return power_(self._bases(u, a), self.power)

    def gradient_sums(self, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
        """Gradients ``(b, c, d)`` of the kernel expansion by ``u``."""
        share = (1 - self.constant) / a.shape[1]
        pair = power_(self._bases(u, a), self.power - 1).mul_(self.power * share)
        pair.masked_fill_(_is_zero(p_norm_distances(u, a, 1.0), u, a, 1.0), 0.0)
        return _coordinate_sums(pair, u, a, coefficients, self._slope)

    def typical_distance(self, a: Tensor, weights: Tensor | None = None) -> float:
        """Median over pairs of the mean distance along a coordinate."""
        return _median_of_pairs(p_norm_distances(a, a, 1.0) / a.shape[1], weights)

    def _bases(self, u: Tensor, a: Tensor) -> Tensor:
        """The bases of the power ``(b, m)``."""
        two = find_two_valued(a)
        high, strange = two.places(u)
        columns = a.T.contiguous()
        apart = torch.exp(-((two.gap / self.bandwidth) ** self.q))  # a term where the values differ
        out = equal_sum(two, high, 1 - apart).add_(apart.sum())
        for rows in cache_blocks(len(u), len(a)):
            self._add_terms(out[rows], u[rows], columns, two.others.tolist())
        if bool(strange.any()):
            rare = u[strange]
            total = torch.zeros(len(rare), len(a), dtype=u.dtype, device=u.device)
            out[strange] = self._add_terms(total, rare, columns, range(len(columns)))
        # Rounding may take a sum of nearly nothing below zero.
        return out.clamp_(min=0).mul_((1 - self.constant) / len(columns)).add_(self.constant)

    def _add_terms(self, total: Tensor, u: Tensor, columns: Tensor, chosen: Iterable[int]) -> Tensor:
        for j in chosen:
            term = (u[:, j, None] - columns[j]).abs_().mul_(1.0 / self.bandwidth)
            total.add_(power_(term, self.q).neg_().exp_())
        return total

    def _slope(self, delta: Tensor) -> Tensor:
        """Derivative of ``exp(-(|delta| / L)^q)``, zero at zero."""
        sign = delta.sign()
        if self.q == 1:
            return delta.abs_().mul_(-1 / self.bandwidth).exp_().mul_(sign).mul_(-1 / self.bandwidth)
        # With s = |delta| / L, the value s^(q-1) exp(-s^q) is exp((q - 1) log s - s^q).
        logs = delta.abs_().mul_(1 / self.bandwidth).log_()
        powers = (logs * self.q).exp_()
        slope = logs.mul_(self.q - 1).sub_(powers).exp_().masked_fill_(sign == 0, 0.0)
        return slope.mul_(sign).mul_(-self.q / self.bandwidth)


def power_(x: Tensor, exponent: float) -> Tensor:
    """``x ** exponent`` in place, for x of 0 or more.

    By products for whole exponents and by logarithms for others: torch's own power rounds an element
    differently at the end of a block, and a row must not depend on the block it is in.

    >>> power_(torch.tensor([0.0, 4.0]), 0.5), power_(torch.tensor([2.0]), 5)
    (tensor([0., 2.]), tensor([32.]))
    """
    if exponent < 0 or exponent != int(exponent):
        return x.log_().mul_(exponent).exp_()
    if exponent == 0:
        return x.fill_(1.0)
    base = x.clone() if exponent > 1 else x
    for _ in range(int(exponent) - 1):
        x.mul_(base)
    return x


def euclidean_distances(u: Tensor, a: Tensor) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Euclidean distances by one matrix product; what rounding cannot tell from zero is zero.

    The expansion ``|u|^2 + |a|^2 - 2 u.a`` loses digits when rows are close together and far from the
    origin, so it is computed in float64, and squares of float32's own precision count as zero.
    """
    if len(a) < FEW_CENTERS:
        padded = torch.cat([a, a.new_zeros(FEW_CENTERS - len(a), a.shape[1])])
        return euclidean_distances(u, padded)[:, : len(a)].contiguous()
    # Expanded in float64: float32 loses the digits of short distances, and which ones depends on the threads.
    left, right = u.double(), a.double()
    u_norms, a_norms = left.square().sum(1), right.square().sum(1)
    squared = torch.addmm(a_norms[None, :], left, right.T, alpha=-2).add_(u_norms[:, None])
    noise = 8 * max(torch.finfo(u.dtype).eps ** 2, torch.finfo(torch.float64).eps)
    for rows in cache_blocks(len(u), len(a)):
        block = squared[rows]
        bound = (u_norms[rows, None] + a_norms[None, :]).mul_(noise)
        block.masked_fill_(block <= bound, 0.0).sqrt_()
    return squared.to(u.dtype)


def p_norm_distances(u: Tensor, a: Tensor, p: float) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Distances in the p-norm; columns with two values enter by one matrix product.

    What rounding cannot tell from zero is zero.
    """
    two = find_two_valued(a)
    if not len(two.columns):
        return torch.cdist(u, a, p=p)
    high, strange = two.places(u)
    weight = two.gap**p
    total = equal_sum(two, high, weight).neg_().add_(weight.sum())  # what differs, to the power of p
    if len(two.others):
        others = torch.cdist(u[:, two.others], a[:, two.others], p=p)
        total.add_(power_(others, p))
    noise = 8 * torch.finfo(u.dtype).eps
    bound = (u.abs().pow(p).sum(1)[:, None] + a.abs().pow(p).sum(1)[None, :]).mul_(noise)
    total.masked_fill_(total <= bound, 0.0)
    power_(total, 1 / p)
    if bool(strange.any()):
        total[strange] = torch.cdist(u[strange], a, p=p)
    return total


def _is_zero(r: Tensor, u: Tensor, a: Tensor, p: float) -> Tensor:  # (b, m), (b, d), (m, d) -> (b, m)
    """Which distances rounding cannot tell from zero.

    A full metric is applied by a matrix product, after which equal rows may differ in their last digits.
    """
    noise = 8 * torch.finfo(u.dtype).eps
    return r <= (u.norm(p=p, dim=1)[:, None] + a.norm(p=p, dim=1)[None, :]).mul_(noise)


def cache_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose ``(b, columns)`` blocks stay in cache."""
    step = max(8, CACHE_ELEMENTS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _euclidean_sums(pair: Tensor, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
    """``sum_i pair_bi coefficients_io (u_b - a_i)``, in float64 since its two parts nearly cancel."""
    wide_pair, wide_u, wide_a = pair.double(), u.double(), a.double()
    sums = [
        (weighted := wide_pair * column).sum(1, keepdim=True) * wide_u - weighted @ wide_a
        for column in coefficients.T.double()
    ]
    return torch.stack(sums, dim=1).to(u.dtype)


def _coordinate_sums(
    pair: Tensor, u: Tensor, a: Tensor, coefficients: Tensor, slope: Callable[[Tensor], Tensor]
) -> Tensor:
    """``sum_i pair_bi coefficients_io slope(u_bj - a_ij)`` for an odd function ``slope``.

    Columns with two values go through one product, the others one at a time.
    """
    coefficients = coefficients.double()  # of both signs: their sums cancel
    out = torch.empty(len(u), coefficients.shape[1], a.shape[1], dtype=u.dtype, device=u.device)
    two = find_two_valued(a)
    high, strange = two.places(u)
    if len(two.columns):
        out[:, :, two.columns] = slope_sums(two, high, pair, coefficients, slope(two.gap.clone()))

    def sums(entries: Tensor, column: Tensor, pairs: Tensor) -> Tensor:  # (b, 1), (m,), (b, m) -> (b, c)
        return (slope(entries - column).mul_(pairs).double() @ coefficients).to(u.dtype)

    columns = a.T.contiguous()
    for rows in cache_blocks(len(u), len(a)):
        for j in two.others.tolist():
            out[rows, :, j] = sums(u[rows, j, None], columns[j], pair[rows])
    if bool(strange.any()):
        for j in two.columns.tolist():
            out[strange, :, j] = sums(u[strange, j, None], columns[j], pair[strange])
    return out


def _median_of_pairs(distances: Tensor, weights: Tensor | None) -> float:
    """Median over the pairs of rows that differ, a pair weighing the product of its rows' weights.

    Pairs of equal rows are left out, so that a row of weight 2 counts like two copies of it.
    """
    n = len(distances)
    first, second = torch.triu_indices(n, n, offset=1, device=distances.device)
    upper = distances[first, second]
    different = upper > 0
    if not bool(different.any()):
        return 1.0
    if weights is None:
        return float(upper[different].median())
    ordered, order = upper[different].sort()
    mass = (weights[first] * weights[second])[different][order].double().cumsum(0)
    return float(ordered[int(torch.searchsorted(mass, mass[-1] / 2))])
