"""Wrappers of the compiled loops of ``_coordinates.c``, for float32 tensors on a CPU; they may be missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from xrfm_cli.leaf_models.terms import Link, Term

try:
    from xrfm_cli.leaf_models import _coordinates
except ImportError:  # installed without a compiler
    _coordinates = None  # type: ignore[assignment]

WORTH_A_THREAD = 1 << 17  # in terms: about a tenth of a millisecond of work
LINK_COST = 8  # in terms: the cost of the kernel value of a sum
_KINDS = {"power": 0, "decay": 1}  # as in _coordinates.c
_LINKS = {"decay": 0, "raised": 1}


def is_compiled() -> bool:
    """Return whether the compiled loops are available; without them torch does the same more slowly."""
    return _coordinates is not None


def add_sums(term: Term, u: Tensor, columns: Tensor, out: Tensor) -> None:  # (b, d), (d, m), (b, m)
    """Add the sums over the columns to ``out``."""
    u = u.contiguous()
    d, m = columns.shape
    _check(u.shape == (len(u), d) and out.shape == (len(u), m) and out.is_contiguous(), columns)

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


def slope_sums(
    term: Term, u: Tensor, columns: Tensor, pair: Tensor, coefficients: Tensor
) -> Tensor:  # (b, d), (d, m), (b, m), (m, c) -> (b, c, d)
    """Return weighted sums of slopes without their factor, in float64."""
    u, pair = u.contiguous(), pair.contiguous()
    outputs, (d, m) = coefficients.shape[1], columns.shape
    _check(u.shape == (len(u), d) and pair.shape == (len(u), m) and len(coefficients) == m, columns)
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


def expand(
    term: Term, link: Link, u: Tensor, columns: Tensor, begin: Tensor | None, weights: Tensor
) -> Tensor:  # (b, d), (d, m), (b, m), (c, m) -> (b, c)
    """Return weighted sums of kernel values over centers, in float64; column sums start at ``begin`` or 0."""
    u, weights = u.contiguous(), weights.double().contiguous()
    d, m = columns.shape
    fits = u.shape == (len(u), d) and weights.shape == (len(weights), m)
    _check(fits and (begin is None or (begin.shape == (len(u), m) and begin.is_contiguous())), columns)
    out = torch.empty(len(u), len(weights), dtype=torch.float64)

    def fill(rows: slice) -> None:
        part, target = u[rows], out[rows]
        _coordinates.expand(
            part.data_ptr(),
            len(part),
            columns.data_ptr(),
            columns.stride(0),
            m,
            d,
            *_facts(term),
            0 if begin is None else begin[rows].data_ptr(),
            _LINKS[link.kind],
            link.exponent,
            link.rate,
            link.constant,
            weights.data_ptr(),
            len(weights),
            target.data_ptr(),
        )

    _share_rows(fill, len(u), (d + LINK_COST) * m)
    return out


def kernel_values_(sums: Tensor, exponent: float, rate: float, *, derived: bool) -> None:
    """Compute ``exp(-rate * s^exponent)`` in place, times ``s^(exponent - 1)``, 0 at 0, if ``derived``."""

    def convert(rows: slice) -> None:
        part = sums[rows]
        _coordinates.kernel_values(part.data_ptr(), part.numel(), exponent, rate, int(derived))

    _share_rows(convert, len(sums), sums.numel() // max(len(sums), 1))


def _check(fits: bool, columns: Tensor) -> None:
    """Check shapes and strides: the loops trust the addresses they are given."""
    if not fits or (columns.shape[1] > 1 and columns.stride(1) != 1):
        raise ValueError("tensors of shapes that do not fit together")


def _facts(term: Term) -> tuple[int, float, float]:
    return _KINDS[term.kind], term.exponent, term.scale


def _share_rows(work: Callable[[slice], None], rows: int, cost: int) -> None:
    """Do the work on equal parts of the rows in torch's number of threads, or in fewer for little work."""
    threads = max(1, min(torch.get_num_threads(), rows, rows * cost // WORTH_A_THREAD))
    cuts = [rows * k // threads for k in range(threads + 1)]
    own, *others = [slice(*cut) for cut in pairwise(cuts)]
    running = [_workers(os.getpid()).submit(work, part) for part in others]
    try:
        work(own)
    finally:  # the buffers must stay untouched until all threads have finished
        wait(running)
    for part in running:
        part.result()


@cache
def _workers(process: int) -> ThreadPoolExecutor:
    """Return threads that last as long as the process, as starting one takes as long as many a loop.

    A forked process has no threads of its parent, hence the argument.
    """
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix=f"loops-{process}")
