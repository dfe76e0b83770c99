"""The kernel families, as values that compute blocks of kernels and of gradient sums.

A kernel sees inputs that the metric has already been applied to: ``u (b, d)`` are the rows of a block
and ``a (m, d)`` the centers. Blocks are the caller's business; nothing here allocates more than a few
``(b, m)`` matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xrfm_cli.leaf_models.config import LeafConfig

CACHE_ELEMENTS = 1 << 18  # elements of a (b, m) block that stay in a core's cache through several passes


class Kernel(Protocol):
    """A positive definite function of two rows, with its derivative by the first."""

    def matrix(self, u: Tensor, a: Tensor) -> Tensor:  # (b, d), (m, d) -> (b, m)
        """Kernel values between rows and centers."""
        ...

    def gradient_sums(self, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:  # -> (b, c, d)
        """Gradients by ``u`` of ``k(u, a) @ coefficients``, leaving out centers at distance zero."""
        ...

    def typical_distance(self, a: Tensor) -> float:
        """Median off-diagonal distance between rows, the scale of an adaptive bandwidth."""
        ...


def make_kernel(config: LeafConfig, bandwidth: float) -> Kernel:
    """The kernel that a configuration names, at an effective bandwidth."""
    if config.kernel == "norm":
        return NormKernel(p=config.kernel_p, q=config.kernel_q, bandwidth=bandwidth)
    return SumPowerKernel(q=config.kernel_q, power=config.power, constant=config.constant, bandwidth=bandwidth)


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
        pair = r.pow(self.q - self.p).masked_fill_(r == 0, 0.0)
        pair.mul_(self._from_distances(r)).mul_(-self.q / self.bandwidth**self.q)
        if self.p == 2:
            return _euclidean_sums(pair, u, a, coefficients)
        return _coordinate_sums(pair, u, a, coefficients, self._coordinate_slope)

    def typical_distance(self, a: Tensor) -> float:
        """Median p-norm distance between different rows of ``a``."""
        return _median_of_pairs(self._distances(a, a))

    def _from_distances(self, r: Tensor) -> Tensor:
        scaled = r * (1.0 / self.bandwidth)
        if self.q != 1:
            scaled.pow_(self.q)
        return scaled.neg_().exp_()

    def _distances(self, u: Tensor, a: Tensor) -> Tensor:
        return euclidean_distances(u, a) if self.p == 2 else torch.cdist(u, a, p=self.p)

    def _coordinate_slope(self, delta: Tensor) -> Tensor:
        """``|delta|^(p-1) sign(delta)`` in place, zero at zero."""
        if self.p == 1:
            return delta.sign_()
        sign = delta.sign()
        return delta.abs_().pow_(self.p - 1).masked_fill_(sign == 0, 0.0).mul_(sign)


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPowerKernel:
    """``(c0 + (1 - c0)/d * sum_j exp(-(|u_j - v_j| / bandwidth)^q))^power``.

    Additive over coordinates for ``power = 1``, with interactions up to order ``power`` otherwise.

    >>> SumPowerKernel(q=1.0, power=2, constant=0.0, bandwidth=1.0).matrix(torch.zeros(1, 2), torch.ones(1, 2))
    tensor([[0.1353]])
    """

    q: float
    power: int
    constant: float
    bandwidth: float

    def matrix(self, u: Tensor, a: Tensor) -> Tensor:
        """Kernel values ``(b, m)``."""
        out = torch.empty(len(u), len(a), dtype=u.dtype, device=u.device)
        columns = a.T.contiguous()
        for rows in cache_blocks(len(u), len(a)):
            out[rows] = self._base(u[rows], columns).pow_(self.power)
        return out

    def gradient_sums(self, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
        """Gradients ``(b, c, d)`` of the kernel expansion by ``u``."""
        share = (1 - self.constant) / a.shape[1]
        out = torch.empty(len(u), coefficients.shape[1], a.shape[1], dtype=u.dtype, device=u.device)
        columns = a.T.contiguous()
        for rows in cache_blocks(len(u), len(a)):
            block = u[rows]
            pair = self._base(block, columns).pow_(self.power - 1).mul_(self.power * share)
            for j in range(a.shape[1]):
                out[rows, :, j] = self._slope(block[:, j, None] - columns[j]).mul_(pair) @ coefficients
        return out

    def typical_distance(self, a: Tensor) -> float:
        """Median over pairs of the mean distance along a coordinate."""
        return _median_of_pairs(torch.cdist(a, a, p=1.0) / a.shape[1])

    def _base(self, u: Tensor, columns: Tensor) -> Tensor:
        total = torch.full(
            (len(u), columns.shape[1]), self.constant * len(columns) / max(1 - self.constant, 1e-12), dtype=u.dtype
        ).to(u.device)
        for j in range(len(columns)):
            term = (u[:, j, None] - columns[j]).abs_().mul_(1.0 / self.bandwidth)
            total.add_((term if self.q == 1 else term.pow_(self.q)).neg_().exp_())
        return total.mul_((1 - self.constant) / len(columns))

    def _slope(self, delta: Tensor) -> Tensor:
        """Derivative of ``exp(-(|delta| / L)^q)``, zero at zero."""
        sign = delta.sign()
        if self.q == 1:
            return delta.abs_().mul_(-1 / self.bandwidth).exp_().mul_(sign).mul_(-1 / self.bandwidth)
        scaled = delta.abs_().mul_(1 / self.bandwidth)
        value = scaled.pow(self.q).neg_().exp_()
        slope = scaled.pow_(self.q - 1).masked_fill_(sign == 0, 0.0)
        return slope.mul_(value).mul_(sign).mul_(-self.q / self.bandwidth)


def euclidean_distances(u: Tensor, a: Tensor) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Euclidean distances by one matrix product; what rounding cannot tell from zero is zero.

    The expansion ``|u|^2 + |a|^2 - 2 u.a`` loses digits when rows are close together and far from the
    origin, so ``r^2 <= 8 eps (|u|^2 + |a|^2)`` counts as zero.
    """
    u_norms, a_norms = u.square().sum(1), a.square().sum(1)
    squared = torch.addmm(a_norms[None, :], u, a.T, alpha=-2)
    squared.add_(u_norms[:, None])
    noise = 8 * torch.finfo(u.dtype).eps
    # squared <= noise * (|u|^2 + |a|^2), one block at a time: the bound is a matrix of its own
    for rows in cache_blocks(len(u), len(a)):
        block = squared[rows]
        bound = (u_norms[rows, None] + a_norms[None, :]).mul_(noise)
        block.masked_fill_(block <= bound, 0.0).sqrt_()
    return squared


def cache_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose ``(b, columns)`` blocks stay in cache."""
    step = max(8, CACHE_ELEMENTS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _euclidean_sums(pair: Tensor, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
    """``sum_i pair_bi coefficients_io (u_b - a_i)`` for every output in one product."""
    outputs, d = coefficients.shape[1], a.shape[1]
    weighted = (coefficients[:, :, None] * a[:, None, :]).reshape(len(a), outputs * d)
    pulled = (pair @ weighted).reshape(len(u), outputs, d)
    return (pair @ coefficients)[:, :, None] * u[:, None, :] - pulled


def _coordinate_sums(pair: Tensor, u: Tensor, a: Tensor, coefficients: Tensor, slope) -> Tensor:  # type: ignore[no-untyped-def]
    """``sum_i pair_bi coefficients_io slope(u_bj - a_ij)``, one coordinate at a time."""
    out = torch.empty(len(u), coefficients.shape[1], a.shape[1], dtype=u.dtype, device=u.device)
    columns = a.T.contiguous()
    for rows in cache_blocks(len(u), len(a)):
        block, factor = u[rows], pair[rows]
        for j in range(a.shape[1]):
            out[rows, :, j] = slope(block[:, j, None] - columns[j]).mul_(factor) @ coefficients
    return out


def _median_of_pairs(distances: Tensor) -> float:
    n = len(distances)
    if n < 2:
        return 1.0
    upper = distances[tuple(torch.triu_indices(n, n, offset=1, device=distances.device))]
    median = float(upper.median())
    if median > 0:
        return median
    # More than half of the pairs coincide: the scale is that of the pairs that differ.
    different = upper[upper > 0]
    return float(different.median()) if len(different) else 1.0


def is_finite(value: float) -> bool:
    """Whether a scale can be used."""
    return math.isfinite(value) and value > 0
