"""Gradients averaged over a segment so that they explain a leaf's change along it exactly.

A linear leaf has the same gradient everywhere. Both kernel families are a function of a sum over coordinates,
``k(u, a) = link(sum_j term(u_j - a_j))``. Between two points, the change of ``k`` is the divided difference
of ``link`` times the changes of the terms. Split by coordinate, it adds up by construction, however rough the
kernel is. Quadrature of the gradients is not exact, because they jump at every center.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.agop import apply_feature_matrix, feature_matrix_power
from xrfm_cli.leaf_models.kernels.families import make_kernel
from xrfm_cli.leaf_models.leaf import LeafModel, LinearLeaf, RFMLeaf
from xrfm_cli.leaf_models.terms import Link, Term, cache_blocks

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
    >>> from xrfm_cli.leaf_models import LeafConfig
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
    term, link = make_kernel(leaf.config, leaf.bandwidth).parts(a.shape[1])
    coefficients = leaf.coefficients.double()
    outputs = coefficients.shape[1]
    start_values, stop_values = (start.new_zeros(len(start), outputs, dtype=torch.float64) for _ in range(2))
    gradients = start.new_zeros(len(start), outputs, a.shape[1], dtype=torch.float64)
    for rows in cache_blocks(len(start), len(a)):
        u, w = (apply_feature_matrix(ends[rows].double() - shift, root) for ends in (start, stop))
        first, last = _sums(term, u, a), _sums(term, w, a)
        start_values[rows], stop_values[rows] = (link.value(total) @ coefficients for total in (first, last))
        by_metric = _mean_gradients(term, _divided(link, first, last), u, w, a, coefficients)
        gradients[rows] = by_metric * root if root.ndim == 1 else by_metric @ root
    return SegmentChange(
        start_values=start_values + leaf.intercept,
        stop_values=stop_values + leaf.intercept,
        gradients=gradients,
    )


def _sums(term: Term, u: Tensor, a: Tensor) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Return the sum of the terms of all coordinates, for every pair."""
    if _is_square(term):
        squared = u.square().sum(1)[:, None] + a.square().sum(1) - 2 * u @ a.T
        return squared.clamp_(min=0)
    if _is_size(term):
        return torch.cdist(u, a, p=1.0)
    total = u.new_zeros(len(u), len(a))
    for j in range(a.shape[1]):
        total += term.value((u[:, j, None] - a[:, j]).abs_())
    return total


def _mean_gradients(
    term: Term, pair: Tensor, u: Tensor, w: Tensor, a: Tensor, coefficients: Tensor
) -> Tensor:  # (b, m), (b, d), (b, d), (m, d), (m, c) -> (b, c, d)
    """Return mean gradients between ``u`` and ``w``, from divided differences ``pair`` of the link."""
    outputs, d = coefficients.shape[1], a.shape[1]
    if _is_square(term):
        weighted = (coefficients[:, :, None] * a[:, None, :]).reshape(len(a), outputs * d)
        pulled = (pair @ weighted).reshape(len(u), outputs, d)
        return (pair @ coefficients)[:, :, None] * (u + w)[:, None, :] - 2 * pulled
    out = u.new_zeros(len(u), outputs, d)
    for j in range(d):
        moved = (w[:, j] - u[:, j])[:, None]
        change = _change(term, u[:, j, None], w[:, j, None], a[:, j])
        per_unit = change.mul_(pair) @ coefficients / torch.where(moved == 0, 1.0, moved)
        out[:, :, j] = torch.where(moved == 0, 0.0, per_unit)
    return out


def _change(term: Term, u: Tensor, w: Tensor, a: Tensor) -> Tensor:  # (b, 1), (b, 1), (m,) -> (b, m)
    """Return the change of one coordinate's term from ``u`` to ``w``."""
    if _is_size(term):  # |w - a| - |u - a| in half the passes
        moved = w - u
        return ((w + u) * moved.sign() - 2 * moved.sign() * a).clamp_(-moved.abs(), moved.abs())
    return term.value((w - a).abs_()) - term.value((u - a).abs_())


def _divided(link: Link, first: Tensor, last: Tensor) -> Tensor:  # (b, m), (b, m) -> (b, m)
    """Return divided differences of the link; the derivative if the two sums are nearly equal."""
    difference = last - first
    close = difference.abs() <= CLOSE * (first + last)
    ratio = (link.value(last) - link.value(first)) / torch.where(close, 1.0, difference)
    return torch.where(close, link.slope((first + last) / 2), ratio)


def _is_square(term: Term) -> bool:
    return term.kind == "power" and term.exponent == 2


def _is_size(term: Term) -> bool:
    return term.kind == "power" and term.exponent == 1
