"""Sums over coordinates of a function of one difference, for every pair of a row and a center.

Every kernel but the Euclidean one is a function of such a sum. Columns with two values go through one matrix
product (:mod:`two_valued`); the others go where :func:`backend` says. For float32 these are compiled loops on
a CPU, if the package was built with a compiler, and Triton's kernels on a CUDA device, if Triton is there;
otherwise it is torch, a column at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import has_float64, wide_dtype, widened
from xrfm_cli.leaf_models.two_valued import TwoValued, differing_sum, find_two_valued, slope_sums

try:
    from xrfm_cli.leaf_models import _coordinates
except ImportError:  # installed where there was no compiler
    _coordinates = None  # type: ignore[assignment]

CACHE_ELEMENTS = 1 << 18  # elements of a (b, m) block that stay in a core's cache through several passes
WORTH_A_THREAD = 1 << 17  # terms: about a tenth of a millisecond
_KINDS = {"power": 0, "decay": 1}  # as in _coordinates.c


def is_compiled() -> bool:
    """Whether the compiled loops are there; if not, torch does the same more slowly."""
    return _coordinates is not None


@cache
def triton_module() -> ModuleType | None:
    """The Triton kernels, if they are there and run; if not, torch does the same with more memory traffic."""
    try:
        from xrfm_cli.leaf_models import triton_kernels
    except ImportError:
        return None
    return triton_kernels if triton_kernels.is_usable() else None


def backend(*tensors: Tensor) -> Literal["compiled", "triton", "torch"]:
    """What computes sums over these tensors; the one place that decides.

    >>> backend(torch.zeros(1, dtype=torch.float64))
    'torch'
    """
    if all(tensor.dtype == torch.float32 for tensor in tensors):
        devices = {tensor.device.type for tensor in tensors}
        if devices == {"cpu"} and _coordinates is not None:
            return "compiled"
        if devices == {"cuda"} and triton_module() is not None:
            return "triton"
    return "torch"


def has_loops(*tensors: Tensor) -> bool:
    """Whether the compiled loops take these tensors."""
    return backend(*tensors) == "compiled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A function of one absolute difference: ``|delta|^exponent`` or ``exp(-(|delta| / scale)^exponent)``.

    >>> Term(kind="power", exponent=2.0).value(torch.tensor([3.0]))
    tensor([9.])
    """

    kind: Literal["power", "decay"]
    exponent: float
    scale: float = 1.0

    @property
    def at_zero(self) -> float:
        """The value where nothing differs."""
        return 0.0 if self.kind == "power" else 1.0

    @property
    def slope_factor(self) -> float:
        """What :meth:`slope` leaves out of the derivative."""
        return self.exponent if self.kind == "power" else -self.exponent / self.scale

    @property
    def _rate(self) -> float:
        """``1 / scale``, within float32: an infinite one would make nothing of a difference of zero."""
        return min(1.0 / self.scale, torch.finfo(torch.float32).max)

    def value(self, size: Tensor) -> Tensor:
        """The function of absolute differences, in place."""
        if self.kind == "power":
            return power_(size, self.exponent)
        return power_(size.mul_(self._rate), self.exponent).neg_().exp_()

    def slope(self, delta: Tensor) -> Tensor:
        """The derivative by the difference over :attr:`slope_factor`, in place; zero at zero."""
        sign = delta.sign()
        if self.kind == "power":
            below = power_(delta.abs_(), self.exponent - 1)
        else:
            logs = delta.abs_().mul_(self._rate).log_()
            powers = (logs * self.exponent).exp_()
            below = logs.mul_(self.exponent - 1).sub_(powers).exp_()
        return below.masked_fill_(sign == 0, 0.0).mul_(sign)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Centers:
    """Centers, prepared for being compared with many blocks of rows."""

    rows: Tensor  # (m, d)
    two: TwoValued
    columns: Tensor  # (d - k, m) the columns with more values, one after the other

    def since(self, start: int) -> Centers:
        """The centers from one on."""
        return Centers(rows=self.rows[start:], two=self.two.since(start), columns=self.columns[:, start:])


def prepare_centers(a: Tensor | Centers) -> Centers:
    """Look once at what every block of rows needs to know of the centers ``(m, d)``."""
    if isinstance(a, Centers):
        return a
    two = find_two_valued(a)
    return Centers(rows=a, two=two, columns=a.T[two.others].contiguous())


def coordinate_sums(term: Term, u: Tensor, a: Tensor | Centers) -> Tensor:  # (b, d), (m, d) -> (b, m)
    """``sum_j term(|u_bj - a_ij|)``.

    >>> coordinate_sums(Term(kind="power", exponent=1.0), torch.zeros(1, 2), torch.tensor([[1.0, 2.0]]))
    tensor([[3.]])
    """
    centers = prepare_centers(a)
    two, m = centers.two, len(centers.rows)
    if not len(two.columns):
        return _add_sums(term, u, centers.columns, u.new_zeros(len(u), m))
    high, strange = two.places(u)
    total = differing_sum(two, high, term.value(two.gap.clone()) - term.at_zero)
    if term.at_zero:
        total.add_(len(two.columns) * term.at_zero)
    _add_sums(term, u[:, two.others], centers.columns, total)
    if bool(strange.any()):
        rare = u[strange]
        total[strange] = _add_sums(term, rare, centers.rows.T.contiguous(), u.new_zeros(len(rare), m))
    return total


def coordinate_slopes(
    term: Term, u: Tensor, a: Tensor | Centers, pair: Tensor, coefficients: Tensor
) -> Tensor:  # (b, d), (m, d), (b, m), (m, c) -> (b, c, d)
    """``sum_i pair_bi coefficients_io slope(u_bj - a_ij)``, the slope being that of the term.

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
    """``exp(-rate * s^exponent)`` of the sums ``s`` that :func:`coordinate_sums` gives.

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
    """``exp(-rate * s^exponent)`` of sums of 0 or more, in place.

    ``derived`` multiplies by ``s^(exponent - 1)``, zero at zero: what the derivative by the sum needs.

    >>> kernel_values_(torch.tensor([0.0, 4.0]), 0.5, 1.0)
    tensor([1.0000, 0.1353])
    """
    if has_loops(sums) and sums.is_contiguous():

        def convert(rows: slice) -> None:
            part = sums[rows]
            _coordinates.kernel_values(part.data_ptr(), part.numel(), exponent, rate, int(derived))

        _share_rows(convert, len(sums), sums.numel() // max(len(sums), 1))
        return sums
    slopes = power_(sums.clone(), exponent - 1).masked_fill_(sums == 0, 0.0) if derived else None
    values = power_(sums, exponent).mul_(-rate).exp_()
    return values if slopes is None else values.mul_(slopes)


def power_(x: Tensor, exponent: float) -> Tensor:
    """``x ** exponent`` in place, for x of 0 or more.

    By products for whole exponents and by logarithms for others: torch's own power rounds an element
    differently at the end of a block, and a row must not depend on the block it is in.

    >>> power_(torch.tensor([0.0, 4.0]), 0.5), power_(torch.tensor([2.0]), 5)
    (tensor([0., 2.]), tensor([32.]))
    """
    if exponent == 0.5:
        return x.sqrt_()
    if exponent < 0 or exponent != int(exponent):
        return x.log_().mul_(exponent).exp_()
    if exponent == 0:
        return x.fill_(1.0)
    base = x.clone() if exponent > 1 else x
    for _ in range(int(exponent) - 1):
        x.mul_(base)
    return x


def cache_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows whose ``(b, columns)`` blocks stay in cache."""
    step = max(8, CACHE_ELEMENTS // max(columns, 1))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _add_sums(term: Term, u: Tensor, columns: Tensor, out: Tensor) -> Tensor:  # (b, d), (d, m), (b, m)
    """Add the sums over some columns to ``out``, and return it."""
    way = backend(u, columns, out)
    if way == "compiled":
        _add_sums_compiled(term, u.contiguous(), columns, out)
    elif way == "triton":
        _triton().add_sums(term, u, columns, out)
    elif term.kind == "power" and has_float64(u.device):
        out.add_(power_(torch.cdist(u, columns.T, p=term.exponent), term.exponent))
    else:  # by operations that every device has
        for rows in cache_blocks(len(u), columns.shape[1]):
            for j, column in enumerate(columns):
                out[rows] += term.value((u[rows, j, None] - column).abs_())
    return out


def _add_sums_compiled(term: Term, u: Tensor, columns: Tensor, out: Tensor) -> None:
    d, m = columns.shape

    def add(rows: slice) -> None:
        part, target = u[rows], out[rows]
        _coordinates.add_sums(
            part.data_ptr(),
            len(part),
            columns.data_ptr(),
            columns.stride(0),
            m,
            d,
            *_facts(term),
            target.data_ptr(),
        )

    _share_rows(add, len(u), d * m)


def _slopes(term: Term, u: Tensor, columns: Tensor, pair: Tensor, coefficients: Tensor) -> Tensor:
    """The sums of slopes over some columns ``(b, c, d)``."""
    way = backend(u, columns, pair)
    if way == "compiled":
        out = _slopes_compiled(term, u.contiguous(), columns, pair.contiguous(), coefficients)
    elif way == "triton":
        out = _triton().slope_sums(term, u, columns, pair, coefficients)
    else:
        out = u.new_empty(len(u), coefficients.shape[1], len(columns), dtype=wide_dtype(u.device))
        wide = widened(coefficients)  # of both signs: their sums cancel
        for rows in cache_blocks(len(u), columns.shape[1]):
            for j, column in enumerate(columns):
                slopes = term.slope(u[rows, j, None] - column)
                out[rows, :, j] = widened(slopes.mul_(pair[rows])) @ wide
    return out.mul_(term.slope_factor).to(u.dtype)


def _slopes_compiled(term: Term, u: Tensor, columns: Tensor, pair: Tensor, coefficients: Tensor) -> Tensor:
    outputs, (d, m) = coefficients.shape[1], columns.shape
    out = torch.empty(len(u), outputs, d, dtype=torch.float64)
    weights = coefficients.to(u.dtype).T.contiguous()

    def fill(rows: slice) -> None:
        part, pairs, target = u[rows], pair[rows], out[rows]
        _coordinates.slope_sums(
            part.data_ptr(),
            len(part),
            columns.data_ptr(),
            columns.stride(0),
            m,
            d,
            pairs.data_ptr(),
            weights.data_ptr(),
            outputs,
            *_facts(term),
            target.data_ptr(),
        )

    _share_rows(fill, len(u), d * m)
    return out


def _triton() -> ModuleType:
    """The Triton kernels, where :func:`backend` has chosen them."""
    found = triton_module()
    assert found is not None
    return found


def _facts(term: Term) -> tuple[int, float, float]:
    return _KINDS[term.kind], term.exponent, term.scale


def _share_rows(work: Callable[[slice], None], rows: int, cost: int) -> None:
    """Do the work on equal parts of the rows in torch's number of threads, or in fewer for little work."""
    threads = max(1, min(torch.get_num_threads(), rows, rows * cost // WORTH_A_THREAD))
    if threads == 1:
        work(slice(0, rows))
        return
    cuts = [rows * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [slice(*cut) for cut in pairwise(cuts)]))
