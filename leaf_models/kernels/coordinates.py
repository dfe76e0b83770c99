"""Sums over coordinates of a function of one difference, for every pair of a row and a center.

Every kernel but the Euclidean one is a function of such a sum. Binary columns go through one matrix product
(:mod:`binary_columns`); the others go to the implementation chosen by :func:`backend`. For float32 these are
compiled loops on a CPU, if the package was built with a compiler, and Triton kernels on a CUDA device, if
Triton is installed; otherwise torch, a column at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled import sums as compiled
from xrfm_cli.leaf_models.compiled.loops import is_compiled
from xrfm_cli.leaf_models.kernels.binary_columns import (
    BinaryColumns,
    differing_sum,
    find_binary_columns,
    no_binary_columns,
    slope_sums,
)
from xrfm_cli.leaf_models.precision import has_float64, wide_dtype, widened
from xrfm_cli.leaf_models.terms import Link, Term, cache_blocks, power_

EXPANDED_ROWS = 256  # block size for sums over binary columns, which are held in memory


@cache
def triton_module() -> ModuleType | None:
    """Return the Triton kernels if usable; without them torch does the same with more memory traffic."""
    try:
        from xrfm_cli.leaf_models.kernels import triton_kernels
    except ImportError:
        return None
    return triton_kernels if triton_kernels.is_usable() else None


def backend(*tensors: Tensor) -> Literal["compiled", "triton", "torch"]:
    """Return the implementation that sums over these tensors; the only place that decides.

    >>> backend(torch.zeros(1, dtype=torch.float64))
    'torch'
    """
    if all(tensor.dtype == torch.float32 for tensor in tensors):
        devices = {tensor.device.type for tensor in tensors}
        if devices == {"cpu"} and is_compiled():
            return "compiled"
        if devices == {"cuda"} and triton_module() is not None:
            return "triton"
    return "torch"


def has_loops(*tensors: Tensor) -> bool:
    """Return whether the compiled loops accept these tensors."""
    return backend(*tensors) == "compiled"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Centers:
    """Centers, prepared for comparison with many blocks of rows."""

    rows: Tensor  # (m, d)
    two: BinaryColumns
    columns: Tensor  # (d - k, m) the columns that are not binary, one after the other

    def since(self, start: int) -> Centers:
        """Return the centers from ``start`` on."""
        return Centers(rows=self.rows[start:], two=self.two.since(start), columns=self.columns[:, start:])


def prepare_centers(a: Tensor | Centers) -> Centers:
    """Prepare the centers ``(m, d)`` once for all blocks of rows."""
    if isinstance(a, Centers):
        return a
    two = find_binary_columns(a)
    return Centers(rows=a, two=two, columns=a.T[two.others].contiguous())


def plain_centers(a: Tensor) -> Centers:  # (m, d)
    """Prepare centers without looking at their values: no column counts as binary.

    So nothing waits for the device, and sums over few columns and centers take one launch.

    >>> plain_centers(torch.zeros(3, 2)).columns.shape
    torch.Size([2, 3])
    """
    two = no_binary_columns(a)
    return Centers(rows=a, two=two, columns=a.T.contiguous())


def coordinate_sums(term: Term, u: Tensor, a: Tensor | Centers) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Return ``sum_j term(|u_bj - a_ij|)``.

    >>> coordinate_sums(Term(kind="power", exponent=1.0), torch.zeros(1, 2), torch.tensor([[1.0, 2.0]]))
    tensor([[3.]])
    """
    centers = prepare_centers(a)
    two, m = centers.two, len(centers.rows)
    if not len(two.columns):
        return _add_sums(term, u, centers.columns, u.new_zeros(len(u), m))
    total, strange = _binary_sums(term, u, two)
    _add_sums(term, u[:, two.others], centers.columns, total)
    if bool(strange.any()):
        rare = u[strange]
        total[strange] = _add_sums(term, rare, centers.rows.T.contiguous(), u.new_zeros(len(rare), m))
    return total


def expanded_sums(
    term: Term, link: Link, u: Tensor, centers: Centers, weights: Tensor
) -> Tensor:  # (b, d), (c, m) -> (b, c)
    """Return ``sum_i weights_oi link(s_bi)`` of the sums ``s`` of :func:`coordinate_sums`, by compiled loops.

    No kernel value is written to memory, and a row's sums do not depend on other rows. They are summed in
    float64: see :func:`xrfm_cli.leaf_models.row_blocks.expand`.
    """
    two = centers.two
    if not len(two.columns):
        return compiled.expand(term, link, u, centers.columns, None, weights).to(u.dtype)
    out = u.new_empty(len(u), len(weights))
    strange = torch.zeros(len(u), dtype=torch.bool)
    wide = widened(weights)
    for start in range(0, len(u), EXPANDED_ROWS):
        block = slice(start, start + EXPANDED_ROWS)
        begin, strange[block] = _binary_sums(term, u[block], two)
        out[block] = compiled.expand(term, link, u[block][:, two.others], centers.columns, begin, wide)
    if bool(strange.any()):
        columns = centers.rows.T.contiguous()
        out[strange] = compiled.expand(term, link, u[strange], columns, None, wide).to(u.dtype)
    return out


def coordinate_slopes(
    term: Term, u: Tensor, a: Tensor | Centers, pair: Tensor, coefficients: Tensor
) -> Tensor:  # (b, d), (m, d), (b, m), (m, c) -> (b, c, d)
    """Return ``sum_i pair_bi coefficients_io slope(u_bj - a_ij)``, with the slope of the term.

    >>> u, a, one = torch.tensor([[3.0]]), torch.tensor([[1.0]]), torch.ones(1, 1)
    >>> coordinate_slopes(Term(kind="power", exponent=2.0), u, a, one, one)
    tensor([[[4.]]])
    """
    centers = prepare_centers(a)
    two = centers.two
    if not len(two.columns):
        return _slopes(term, u, centers.columns, pair, coefficients)
    out = u.new_empty(len(u), coefficients.shape[1], u.shape[1])
    high, strange = two.places(u)
    at_gap = term.slope(two.gap.clone()) * term.slope_factor
    out[:, :, two.columns] = slope_sums(two, high, pair, coefficients, at_gap)
    if len(two.others):
        out[:, :, two.others] = _slopes(term, u[:, two.others], centers.columns, pair, coefficients)
    if bool(strange.any()):
        out[strange] = _slopes(term, u[strange], centers.rows.T.contiguous(), pair[strange], coefficients)
    return out


def exponential_sums(
    term: Term, u: Tensor, a: Tensor | Centers, exponent: float, rate: float
) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """Return ``exp(-rate * s^exponent)`` of the sums ``s`` of :func:`coordinate_sums`.

    >>> u, a = torch.zeros(1, 2), torch.tensor([[1.0, 1.0]])
    >>> exponential_sums(Term(kind="power", exponent=1.0), u, a, 1.0, 1.0)
    tensor([[0.1353]])
    """
    centers = prepare_centers(a)
    if not len(centers.two.columns) and backend(u, centers.columns) == "triton":
        fused: Tensor = _triton().exponential_sums(term, u, centers.columns, exponent, rate)
        return fused
    return kernel_values_(coordinate_sums(term, u, centers), exponent, rate)


def kernel_values_(sums: Tensor, exponent: float, rate: float, *, derived: bool = False) -> Tensor:
    """Compute ``exp(-rate * s^exponent)`` of non-negative sums, in place.

    ``derived`` multiplies by ``s^(exponent - 1)``, zero at zero, as needed for the derivative by the sum.

    >>> kernel_values_(torch.tensor([0.0, 4.0]), 0.5, 1.0)
    tensor([1.0000, 0.1353])
    """
    if has_loops(sums) and sums.is_contiguous():
        compiled.kernel_values_(sums, exponent, rate, derived=derived)
        return sums
    slopes = power_(sums.clone(), exponent - 1).masked_fill_(sums == 0, 0.0) if derived else None
    values = power_(sums, exponent).mul_(-rate).exp_()
    return values if slopes is None else values.mul_(slopes)


def _binary_sums(term: Term, u: Tensor, two: BinaryColumns) -> tuple[Tensor, Tensor]:  # -> (b, m), (b,)
    """Return sums over the binary columns, and which rows have a third value, whose sums are invalid."""
    high, strange = two.places(u)
    total = differing_sum(two, high, term.value(two.gap.clone()) - term.at_zero)
    if term.at_zero:
        total.add_(len(two.columns) * term.at_zero)
    return total, strange


def _add_sums(term: Term, u: Tensor, columns: Tensor, out: Tensor) -> Tensor:  # (b, d), (d, m), (b, m)
    """Add the sums over some columns to ``out``, and return it."""
    way = backend(u, columns, out)
    if way == "compiled":
        compiled.add_sums(term, u, columns, out)
    elif way == "triton":
        _triton().add_sums(term, u, columns, out)
    elif term.kind == "power" and has_float64(u.device):
        out.add_(power_(torch.cdist(u, columns.T, p=term.exponent), term.exponent))
    else:  # by operations that every device supports
        for rows in cache_blocks(len(u), columns.shape[1]):
            for j, column in enumerate(columns):
                out[rows] += term.value((u[rows, j, None] - column).abs_())
    return out


def _slopes(term: Term, u: Tensor, columns: Tensor, pair: Tensor, coefficients: Tensor) -> Tensor:
    """Return the sums of slopes over some columns ``(b, c, d)``."""
    way = backend(u, columns, pair)
    if way == "compiled":
        out = compiled.slope_sums(term, u, columns, pair, coefficients)
    elif way == "triton":
        out = _triton().slope_sums(term, u, columns, pair, coefficients)
    else:
        out = u.new_empty(len(u), coefficients.shape[1], len(columns), dtype=wide_dtype(u.device))
        wide = widened(coefficients)  # float64, as values of both signs cancel
        for rows in cache_blocks(len(u), columns.shape[1]):
            for j, column in enumerate(columns):
                slopes = term.slope(u[rows, j, None] - column)
                out[rows, :, j] = widened(slopes.mul_(pair[rows])) @ wide
    return out.mul_(term.slope_factor).to(u.dtype)


def _triton() -> ModuleType:
    """Return the Triton kernels, if :func:`backend` has chosen them."""
    found = triton_module()
    assert found is not None
    return found
