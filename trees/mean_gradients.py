"""Gradients averaged over a segment so that they explain a leaf's change along it exactly.

A linear leaf has the same gradient everywhere. Both kernel families are a function of a sum over coordinates,
``k(u, a) = link(sum_j term(u_j - a_j))``. Between two points, the change of ``k`` is the divided difference
of ``link`` times the changes of the terms. Split by coordinate, it adds up by construction, however rough the
kernel is. Quadrature of the gradients is not exact, because they jump at every center.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.agop import apply_feature_matrix, feature_matrix_power
from xrfm_cli.leaf_models.config import LeafConfig
from xrfm_cli.leaf_models.leaf import LeafModel, LinearLeaf, RFMLeaf
from xrfm_cli.leaf_models.terms import cache_blocks

CLOSE = 1e-7  # relative difference of two sums below which the derivative replaces the divided difference


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentChange:
    """A leaf along segments: its values at both ends, and the mean gradients that explain the difference.

    ``stop_values - start_values`` equals ``gradients`` times the segment, summed over coordinates.
    """

    start_values: Tensor  # (b, c) float64
    stop_values: Tensor  # (b, c) float64
    gradients: Tensor  # (b, c, d) float64


def segment_change(leaf: LeafModel, start: Tensor, stop: Tensor) -> SegmentChange:
    """Follow a leaf from the rows ``start (b, d)`` to the rows ``stop (b, d)``, in float64.

    >>> one, two = torch.tensor([[1.0]]), torch.tensor([[2.0]])
    >>> config = LeafConfig(kernel="sum_power", power=1, constant=0.0, bandwidth=1.0)
    >>> leaf = RFMLeaf(config=config, centers=0 * one, coefficients=one, feature_matrix=one[0], bandwidth=1.0)
    >>> segment_change(leaf, one, two).gradients.item()  # exp(-2) - exp(-1)
    -0.2325441579348...
    """
    if isinstance(leaf, LinearLeaf):
        return SegmentChange(
            start_values=leaf.predict(start.double()),
            stop_values=leaf.predict(stop.double()),
            gradients=leaf.gradients(start.double()),
        )
    assert isinstance(leaf, RFMLeaf)
    root = feature_matrix_power(leaf.feature_matrix.double(), leaf.config.agop_power)
    shift = leaf.centers.double().mean(0)
    a = apply_feature_matrix(leaf.centers.double() - shift, root)
    kernel = _kernel(leaf.config, leaf.bandwidth, a.shape[1])
    coefficients = leaf.coefficients.double()
    outputs = coefficients.shape[1]
    start_values, stop_values = (start.new_zeros(len(start), outputs, dtype=torch.float64) for _ in range(2))
    gradients = start.new_zeros(len(start), outputs, a.shape[1], dtype=torch.float64)
    for rows in cache_blocks(len(start), len(a)):
        u, w = (apply_feature_matrix(ends[rows].double() - shift, root) for ends in (start, stop))
        first, last = kernel.sums(u, a), kernel.sums(w, a)
        start_values[rows], stop_values[rows] = (kernel.link(total) @ coefficients for total in (first, last))
        by_metric = kernel.gradients(_divided(kernel, first, last), u, w, a, coefficients)
        gradients[rows] = by_metric * root if root.ndim == 1 else by_metric @ root
    return SegmentChange(
        start_values=start_values + leaf.intercept,
        stop_values=stop_values + leaf.intercept,
        gradients=gradients,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kernel:
    """``k(u, a) = link(sum_j term(|u_j - a_j|))``; a ``term`` of None means the square."""

    term: Callable[[Tensor], Tensor] | None
    link: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]  # the derivative of the link
    is_city_block: bool = False  # the sum is a 1-norm, for which torch has a function

    def sums(self, u: Tensor, a: Tensor) -> Tensor:  # (b, d), (m, d) -> (b, m)
        """Return the sum over coordinates for every pair."""
        if self.term is None:
            squared = u.square().sum(1)[:, None] + a.square().sum(1) - 2 * u @ a.T
            return squared.clamp_(min=0)
        if self.is_city_block:
            return torch.cdist(u, a, p=1.0)
        total = u.new_zeros(len(u), len(a))
        for j in range(a.shape[1]):
            total += self.term((u[:, j, None] - a[:, j]).abs_())
        return total

    def gradients(self, pair: Tensor, u: Tensor, w: Tensor, a: Tensor, coefficients: Tensor) -> Tensor:
        """Return mean gradients ``(b, c, d)`` by ``u``, from the divided differences ``pair (b, m)``."""
        outputs, d = coefficients.shape[1], a.shape[1]
        if self.term is None:
            weighted = (coefficients[:, :, None] * a[:, None, :]).reshape(len(a), outputs * d)
            pulled = (pair @ weighted).reshape(len(u), outputs, d)
            return (pair @ coefficients)[:, :, None] * (u + w)[:, None, :] - 2 * pulled
        out = u.new_zeros(len(u), outputs, d)
        for j in range(d):
            moved = (w[:, j] - u[:, j])[:, None]
            change = self._change(u[:, j, None], w[:, j, None], a[:, j])
            per_unit = change.mul_(pair) @ coefficients / torch.where(moved == 0, 1.0, moved)
            out[:, :, j] = torch.where(moved == 0, 0.0, per_unit)
        return out

    def _change(self, u: Tensor, w: Tensor, a: Tensor) -> Tensor:  # (b, 1), (b, 1), (m,) -> (b, m)
        """Return the change of one coordinate's term from ``u`` to ``w``."""
        if self.is_city_block:  # |w - a| - |u - a| in half the passes
            moved = w - u
            return ((w + u) * moved.sign() - 2 * moved.sign() * a).clamp_(-moved.abs(), moved.abs())
        assert self.term is not None
        return self.term((w - a).abs_()) - self.term((u - a).abs_())


def _kernel(config: LeafConfig, bandwidth: float, d: int) -> _Kernel:
    p, q = config.kernel_p, config.kernel_q
    if config.kernel == "norm":
        power, rate = q / p, bandwidth**-q

        def slope(total: Tensor) -> Tensor:
            value = -power * rate * total.pow(power - 1) * (-rate * total.pow(power)).exp()
            return torch.where(total > 0, value, 0.0)

        return _Kernel(
            term=None if p == 2 else lambda delta: delta if p == 1 else delta.pow_(p),
            link=lambda total: (-rate * total.pow(power)).exp(),
            slope=slope,
            is_city_block=p == 1,
        )
    share, degree, constant = (1 - config.constant) / d, config.power, config.constant
    return _Kernel(
        term=lambda delta: delta.div_(bandwidth).pow_(q).neg_().exp_().mul_(share),
        link=lambda total: (constant + total).pow(degree),
        slope=lambda total: degree * (constant + total).pow(degree - 1),
    )


def _divided(kernel: _Kernel, first: Tensor, last: Tensor) -> Tensor:  # (b, m), (b, m) -> (b, m)
    """Return divided differences of the link; the derivative if the two sums are nearly equal."""
    difference = last - first
    close = difference.abs() <= CLOSE * (first + last)
    ratio = (kernel.link(last) - kernel.link(first)) / torch.where(close, 1.0, difference)
    return torch.where(close, kernel.slope((first + last) / 2), ratio)
