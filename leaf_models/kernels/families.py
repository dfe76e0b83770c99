"""The kernel families, as values that compute blocks of kernels and of gradient sums.

A kernel's inputs are already in the feature matrix's coordinates: ``u (b, d)`` are the rows of a block and
``a (m, d)`` the centers, prepared or not. The caller splits rows into blocks; nothing here allocates more
than a few ``(b, m)`` matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.kernels.coordinates import (
    Centers,
    coordinate_slopes,
    coordinate_sums,
    exponential_sums,
    has_loops,
    kernel_values_,
    prepare_centers,
)
from xrfm_cli.leaf_models.kernels.quantiles import median_of_pairs
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.terms import Link, Term, cache_blocks, power_

LARGEST_LOG = 88.0  # exp of it is about the largest float32
MOST_LOG_ROOT = 300.0  # of a distance: its products with bandwidths and scales stay within float64
SMALLEST_PLAIN_P = 1 / 32  # for smaller p the integer power 1 / p would need too many products
# Products with fewer columns round a row differently depending on its position in the block.
FEW_CENTERS = 16
WEIGHTED_CENTERS = 1 << 22  # block size in numbers: 32 MiB


class Kernel(Protocol):
    """A positive definite function of two rows, with its derivative by the first."""

    def matrix(self, u: Tensor, a: Tensor | Centers) -> Tensor:  # (b, d), (m, d) -> (b, m)
        """Return kernel values between rows and centers."""
        ...

    def bases(self, u: Tensor, a: Tensor | Centers) -> Tensor:  # (b, d), (m, d) -> (b, m)
        """Return the values that the kernel is a function of; they do not depend on its exponents."""
        ...

    def of_bases(self, bases: Tensor) -> Tensor:  # (b, m) -> (b, m)
        """Return the kernel values of the bases, which are not changed."""
        ...

    def parts(self, columns: int) -> tuple[Term, Link]:
        """Return the sum over this many coordinates and its link, which together are the kernel."""
        ...

    def gradient_sums(self, u: Tensor, a: Tensor | Centers, coefficients: Tensor) -> Tensor:  # -> (b, c, d)
        """Return gradients by ``u`` of ``k(u, a) @ coefficients``, omitting centers at distance zero."""
        ...

    def typical_distance(self, a: Tensor, weights: Tensor | None = None) -> float:
        """Return the median distance between different rows, the scale of an adaptive bandwidth."""
        ...


def make_kernel(config: LeafConfig, bandwidth: float) -> Kernel:
    """Return the configured kernel at an effective bandwidth."""
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

    def matrix(self, u: Tensor, a: Tensor | Centers) -> Tensor:
        """Return kernel values ``(b, m)``."""
        if self.p == 2:
            return kernel_values_(power_sums(u, a, self.p), self.q / self.p, self.rate)
        return exponential_sums(Term(kind="power", exponent=self.p), u, a, self.q / self.p, self.rate)

    def parts(self, columns: int) -> tuple[Term, Link]:
        """Return ``||u - v||_p^p``, and the exponential of a power of it."""
        link = Link(kind="decay", exponent=self.q / self.p, rate=self.rate)
        return Term(kind="power", exponent=self.p), link

    def bases(self, u: Tensor, a: Tensor | Centers) -> Tensor:
        """Return distances to the power p ``(b, m)``, independent of ``q`` and the bandwidth."""
        return power_sums(u, a, self.p)

    def of_bases(self, bases: Tensor) -> Tensor:
        """Return kernel values ``(b, m)``."""
        return kernel_values_(bases.clone(), self.q / self.p, self.rate)

    def gradient_sums(self, u: Tensor, a: Tensor | Centers, coefficients: Tensor) -> Tensor:
        """Return gradients ``(b, c, d)`` of the kernel expansion by ``u``."""
        centers = prepare_centers(a)
        sums = power_sums(u, centers, self.p)  # r^p
        zero = is_zero(sums, u, centers.rows, self.p)
        # The factor -(q / L^q) k r^(q-p) of a pair; pairs at distance zero are omitted.
        pair = kernel_values_(sums, self.q / self.p, self.rate, derived=True).masked_fill_(zero, 0.0)
        pair.mul_(-self.q * self.rate)
        if self.p == 2:  # two matrix products; other exponents need a loop over coordinates
            return euclidean_sums(pair, u, centers.rows, coefficients)
        # The slope of |delta|^p has a factor p that the kernel's own derivative lacks.
        term = Term(kind="power", exponent=self.p)
        return coordinate_slopes(term, u, centers, pair.div_(self.p), coefficients)

    def typical_distance(self, a: Tensor, weights: Tensor | None = None) -> float:
        """Return the median p-norm distance between different rows of ``a``."""
        return root_of_sum(median_of_pairs(power_sums(a, a, self.p), weights), self.p, a.dtype)

    @property
    def rate(self) -> float:
        """Return ``bandwidth^-q``, limited to float32: infinity times a distance of zero would be NaN."""
        return math.exp(min(-self.q * math.log(self.bandwidth), LARGEST_LOG))


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

    def matrix(self, u: Tensor, a: Tensor | Centers) -> Tensor:
        """Return kernel values ``(b, m)``."""
        return power_(self.bases(u, a), self.power)

    def parts(self, columns: int) -> tuple[Term, Link]:
        """Return the sum of decays, and a power of its weighted mean."""
        rate = (1 - self.constant) / columns
        return self._term, Link(kind="raised", exponent=self.power, rate=rate, constant=self.constant)

    def bases(self, u: Tensor, a: Tensor | Centers) -> Tensor:
        """Return the bases of the power ``(b, m)``, independent of the power."""
        total = coordinate_sums(self._term, u, a).clamp_(min=0)  # rounding may make it negative
        return total.mul_((1 - self.constant) / u.shape[1]).add_(self.constant)

    def of_bases(self, bases: Tensor) -> Tensor:
        """Return kernel values ``(b, m)``."""
        return power_(bases.clone(), self.power)

    def gradient_sums(self, u: Tensor, a: Tensor | Centers, coefficients: Tensor) -> Tensor:
        """Return gradients ``(b, c, d)`` of the kernel expansion by ``u``."""
        centers = prepare_centers(a)
        pair = power_(self.bases(u, centers), self.power - 1)
        pair.mul_(self.power * (1 - self.constant) / u.shape[1])
        pair.masked_fill_(is_zero(power_sums(u, centers, 1.0), u, centers.rows, 1.0), 0.0)
        return coordinate_slopes(self._term, u, centers, pair, coefficients)

    def typical_distance(self, a: Tensor, weights: Tensor | None = None) -> float:
        """Return the median over pairs of the mean distance along a coordinate."""
        return median_of_pairs(power_sums(a, a, 1.0) / a.shape[1], weights)

    @property
    def _term(self) -> Term:
        return Term(kind="decay", exponent=self.q, scale=self.bandwidth)


def power_sums(u: Tensor, a: Tensor | Centers, p: float) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Return ``||u - a||_p^p``, ``0 < p <= 2``: sums of powers of differences.

    >>> power_sums(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), 2.0)
    tensor([[25.]])
    """
    if p == 2 and not has_loops(u):
        return _expanded_squares(u, prepare_centers(a).rows)
    return coordinate_sums(Term(kind="power", exponent=p), u, a)


def _expanded_squares(u: Tensor, a: Tensor) -> Tensor:
    """Return squared Euclidean distances by one matrix product; values within rounding error of 0 are 0.

    The expansion ``|u|^2 + |a|^2 - 2 u.a`` loses digits when rows are close together and far from the
    origin, so it is computed in float64, and squares below float32's precision count as zero.
    """
    if len(a) < FEW_CENTERS:
        padded = torch.cat([a, a.new_zeros(FEW_CENTERS - len(a), a.shape[1])])
        return _expanded_squares(u, padded)[:, : len(a)].contiguous()
    left, right = widened(u), widened(a)
    u_norms, a_norms = left.square().sum(1), right.square().sum(1)
    squared = torch.addmm(a_norms[None, :], left, right.T, alpha=-2).add_(u_norms[:, None])
    noise = noise_of_squares(u.dtype, left.dtype)
    for rows in cache_blocks(len(u), len(a)):
        bound = (u_norms[rows, None] + a_norms[None, :]).mul_(noise)
        squared[rows].masked_fill_(squared[rows] <= bound, 0.0)
    return squared.to(u.dtype)


def noise_of_squares(dtype: torch.dtype, wide: torch.dtype) -> float:
    """Return the share of the squared norms below which squared distances in ``wide`` are rounding error."""
    return 8 * max(torch.finfo(dtype).eps ** 2, torch.finfo(wide).eps)


def root_of_sum(total: float, p: float, dtype: torch.dtype = torch.float32) -> float:
    """Return ``total ** (1 / p)`` of a sum of p-th powers, positive and finite for any small ``p``.

    Powers are monotonic, so the root of the median sum is the median distance.

    >>> root_of_sum(25.0, 2.0), root_of_sum(2.0, 1e-9) == root_of_sum(3.0, 1e-9)
    (5.0, True)
    """
    if p >= SMALLEST_PLAIN_P:
        root = float(power_(torch.tensor([total], dtype=dtype), 1 / p))
        if 0 < root < math.inf:
            return root
    return math.exp(max(-MOST_LOG_ROOT, min(math.log(total) / p, MOST_LOG_ROOT)))


def is_zero(
    sums: Tensor, u: Tensor, a: Tensor, p: float
) -> Tensor:  # (*batch, b, m), (*batch, b, d), (*batch, m, d) -> (*batch, b, m)
    """Return which distances to the power p are zero up to rounding.

    A full feature matrix is applied by a matrix product, after which equal rows may differ in the last
    digits.
    """
    noise = (8 * torch.finfo(u.dtype).eps) ** p
    sizes = [rows.abs().pow(p).sum(-1).mul_(noise) for rows in (u, a)]
    return sums <= sizes[0][..., :, None] + sizes[1][..., None, :]


def euclidean_sums(
    pair: Tensor, u: Tensor, a: Tensor, coefficients: Tensor
) -> Tensor:  # (*batch, b, m), (*batch, b, d), (*batch, m, d), (*batch, m, c) -> (*batch, b, c, d)
    """Return ``sum_i pair_bi coefficients_io (u_b - a_i)``, in float64 since its two parts nearly cancel.

    The centers are multiplied by the coefficients, not the pairs, so that several outputs are one product.
    """
    wide_pair, wide_u, wide_a, wide = widened(pair), widened(u), widened(a), widened(coefficients)
    sums = (wide_pair @ wide)[..., None] * wide_u[..., None, :]
    outputs = max(1, WEIGHTED_CENTERS // max(1, wide_a.numel()))  # per block
    for start in range(0, wide.shape[-1], outputs):
        some = slice(start, start + outputs)
        weighted = (wide[..., some, None] * wide_a[..., None, :]).flatten(-2)
        sums[..., some, :] -= (wide_pair @ weighted).unflatten(-1, (-1, wide_a.shape[-1]))
    return sums.to(u.dtype)
