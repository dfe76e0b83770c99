"""Kernels of several leaves at once, which differ only in their bandwidths.

Euclidean distances are products of all leaves' rows in one operation. Other kernels need a loop over
coordinates, which is one launch per leaf if compiled; those go leaf by leaf through :mod:`kernels`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.kernels.coordinates import plain_centers
from xrfm_cli.leaf_models.kernels.families import (
    Kernel,
    NormKernel,
    euclidean_sums,
    is_zero,
    make_kernel,
    noise_of_squares,
    power_sums,
    root_of_sum,
)
from xrfm_cli.leaf_models.precision import widened
from xrfm_cli.leaf_models.terms import power_


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedKernel:
    """The kernels of ``b`` leaves.

    >>> kernel = BatchedKernel(config=LeafConfig(kernel_p=2.0), bandwidths=(1.0, 2.0))
    >>> kernel.matrices(torch.tensor([[[0.0], [1.0]], [[0.0], [1.0]]]))[:, 0]
    tensor([[1.0000, 0.3679],
            [1.0000, 0.6065]])
    """

    config: LeafConfig
    bandwidths: tuple[float, ...]

    def matrices(self, u: Tensor) -> Tensor:  # (b, n, d) -> (b, n, n)
        """Return the kernel values between the rows of each leaf, with an exact unit diagonal."""
        if is_euclidean(self.config):
            out = power_(_squares(u, u), self.config.kernel_q / 2).mul_(-self._rates(u)).exp_()
        else:
            pairs = zip(self._each(), u, strict=True)
            out = torch.stack([kernel.matrix(rows, plain_centers(rows)) for kernel, rows in pairs])
        out.diagonal(dim1=1, dim2=2).fill_(1.0)
        return out

    def gradient_sums(
        self, u: Tensor, a: Tensor, coefficients: Tensor
    ) -> Tensor:  # (b, s, d), (b, n, d), (b, n, c) -> (b, s, c, d)
        """Return gradients by ``u`` of each leaf's expansion around ``a``, omitting centers at distance 0."""
        if is_euclidean(self.config):
            return self._euclidean_gradient_sums(u, a, coefficients)
        leaves = zip(self._each(), u, a, coefficients, strict=True)
        return torch.stack(
            [
                kernel.gradient_sums(rows, plain_centers(centers), columns)
                for kernel, rows, centers, columns in leaves
            ]
        )

    def _euclidean_gradient_sums(self, u: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
        """Do the same as :meth:`NormKernel.gradient_sums` for each leaf."""
        q, rates = self.config.kernel_q, self._rates(u)
        squares = _squares(u, a)
        zero = is_zero(squares, u, a, 2.0)
        pair = power_(squares.clone(), q / 2 - 1)
        pair.mul_(power_(squares, q / 2).mul_(-rates).exp_()).mul_(-q * rates)
        return euclidean_sums(pair.masked_fill_(zero, 0.0), u, a, coefficients)

    def _each(self) -> list[Kernel]:
        """Return the kernel of each leaf."""
        return [make_kernel(self.config, bandwidth) for bandwidth in self.bandwidths]

    def _rates(self, u: Tensor) -> Tensor:
        """Return ``bandwidth^-q`` of each leaf ``(b, 1, 1)``."""
        kernels = [NormKernel(p=2.0, q=self.config.kernel_q, bandwidth=own) for own in self.bandwidths]
        return u.new_tensor([kernel.rate for kernel in kernels])[:, None, None]


def is_euclidean(config: LeafConfig) -> bool:
    """Return whether a kernel is a function of Euclidean distances.

    >>> is_euclidean(LeafConfig(kernel_p=2.0)), is_euclidean(LeafConfig(kernel_p=1.0))
    (True, False)
    """
    return config.kernel == "norm" and config.kernel_p == 2


def typical_distances(config: LeafConfig, u: Tensor, weights: Tensor) -> list[float]:  # (b, s, d), (b, s)
    """Return the median distance between different rows of each leaf, as :meth:`Kernel.typical_distance`.

    Rows of weight 0 do not count.

    >>> u = torch.tensor([[[0.0], [1.0], [3.0]], [[0.0], [5.0], [5.0]]])
    >>> typical_distances(LeafConfig(), u, torch.ones(2, 3, dtype=torch.float64))
    [2.0, 5.0]
    """
    if is_euclidean(config):
        return _medians_of_pairs(_squares(u, u).sqrt_(), weights)
    p = config.kernel_p if config.kernel == "norm" else 1.0
    sums = torch.stack([power_sums(rows, plain_centers(rows), p) for rows in u])
    if config.kernel == "norm":
        return [root_of_sum(total, p, u.dtype) for total in _medians_of_pairs(sums, weights)]
    return _medians_of_pairs(sums / u.shape[2], weights)


def _squares(u: Tensor, a: Tensor) -> Tensor:  # (b, m, d), (b, n, d) -> (b, m, n)
    """Return squared Euclidean distances, expanded in float64; values within rounding error of 0 are 0."""
    left, right = widened(u), widened(a)
    u_norms, a_norms = left.square().sum(2)[:, :, None], right.square().sum(2)[:, None, :]
    squared = torch.baddbmm(a_norms, left, right.mT, alpha=-2).add_(u_norms)
    bound = (u_norms + a_norms).mul_(noise_of_squares(u.dtype, left.dtype))
    return squared.masked_fill_(squared <= bound, 0.0).to(u.dtype)


def _medians_of_pairs(distances: Tensor, weights: Tensor) -> list[float]:  # (b, s, s), (b, s)
    """Return weighted medians over the pairs of rows that differ; 1 if there is none."""
    s = distances.shape[1]
    first, second = torch.triu_indices(s, s, offset=1, device=distances.device)
    if not len(first):
        return [1.0] * len(distances)
    upper, mass = distances[:, first, second], weights[:, first] * weights[:, second]
    counted = (upper > 0) & (mass > 0)
    ordered, order = upper.masked_fill(~counted, math.inf).sort(dim=1)
    below = mass.masked_fill(~counted, 0.0).gather(1, order).cumsum(1)
    middle = torch.searchsorted(below, below[:, -1:] / 2)
    medians: list[float] = ordered.gather(1, middle)[:, 0].where(counted.any(1), 1.0).tolist()
    return medians
