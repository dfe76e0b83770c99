"""Compiled sums over coordinates and centers, for float32 tensors on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled.loops import (
    KINDS,
    LINK_COST,
    LINKS,
    check_shapes,
    extension,
    facts_of,
    share_rows,
)
from xrfm_cli.leaf_models.terms import Link, Term


def add_sums(term: Term, u: Tensor, columns: Tensor, out: Tensor) -> None:  # (b, d), (d, m), (b, m)
    """Add the sums over the columns to ``out``."""
    u = u.contiguous()
    d, m = columns.shape
    check_shapes(u.shape == (len(u), d) and out.shape == (len(u), m) and out.is_contiguous(), columns)

    def add(rows: slice) -> None:
        part, target = u[rows], out[rows]
        extension.add_sums(
            part.data_ptr(),
            len(part),
            columns.data_ptr(),
            columns.stride(0),
            m,
            d,
            *facts_of(term),
            target.data_ptr(),
        )

    share_rows(add, len(u), d * m)


def slope_sums(
    term: Term, u: Tensor, columns: Tensor, pair: Tensor, coefficients: Tensor
) -> Tensor:  # (b, d), (d, m), (b, m), (m, c) -> (b, c, d)
    """Return weighted sums of slopes without their factor, in float64."""
    u, pair = u.contiguous(), pair.contiguous()
    outputs, (d, m) = coefficients.shape[1], columns.shape
    check_shapes(u.shape == (len(u), d) and pair.shape == (len(u), m) and len(coefficients) == m, columns)
    out = torch.empty(len(u), outputs, d, dtype=torch.float64)
    weights = coefficients.to(u.dtype).T.contiguous()

    def fill(rows: slice) -> None:
        part, pairs, target = u[rows], pair[rows], out[rows]
        extension.slope_sums(
            part.data_ptr(),
            len(part),
            columns.data_ptr(),
            columns.stride(0),
            m,
            d,
            pairs.data_ptr(),
            weights.data_ptr(),
            outputs,
            *facts_of(term),
            target.data_ptr(),
        )

    share_rows(fill, len(u), d * m)
    return out


def expand(
    term: Term, link: Link, u: Tensor, columns: Tensor, begin: Tensor | None, weights: Tensor
) -> Tensor:  # (b, d), (d, m), (b, m), (c, m) -> (b, c)
    """Return weighted sums of kernel values over centers, in float64; column sums start at ``begin`` or 0."""
    u, weights = u.contiguous(), weights.double().contiguous()
    d, m = columns.shape
    fits = u.shape == (len(u), d) and weights.shape == (len(weights), m)
    check_shapes(fits and (begin is None or (begin.shape == (len(u), m) and begin.is_contiguous())), columns)
    out = torch.empty(len(u), len(weights), dtype=torch.float64)

    def fill(rows: slice) -> None:
        part, target = u[rows], out[rows]
        extension.expand(
            part.data_ptr(),
            len(part),
            columns.data_ptr(),
            columns.stride(0),
            m,
            d,
            *facts_of(term),
            0 if begin is None else begin[rows].data_ptr(),
            LINKS[link.kind],
            link.exponent,
            link.rate,
            link.constant,
            weights.data_ptr(),
            len(weights),
            target.data_ptr(),
        )

    share_rows(fill, len(u), (d + LINK_COST) * m)
    return out


def expand_leaves(
    term: Term,
    link: Link,
    x: Tensor,
    rows: Tensor,
    starts: Tensor,
    addresses: Tensor,
    numbers: Tensor,
    outputs: int,
) -> Tensor:  # (n, d), (p,), (l + 1,), (l, 4), (l, 4) -> (p, c)
    """Return the expansions of pairs of a row and a leaf, sorted by leaf, in float64.

    See :mod:`xrfm_cli.leaf_models.many_leaves` for the arguments.
    """
    x, rows, starts = x.contiguous(), rows.contiguous(), starts.contiguous()
    leaves, d = len(addresses), x.shape[1]
    fits = len(starts) == leaves + 1 and int(starts[0]) == 0 and int(starts[-1]) == len(rows)
    if not fits or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(x)):
        raise ValueError("pairs of rows and leaves that do not fit together")
    out = torch.empty(len(rows), outputs, dtype=torch.float64)

    def fill(pairs: slice) -> None:
        if pairs.start == pairs.stop:
            return
        extension.expand_leaves(
            x.data_ptr(),
            rows.data_ptr(),
            starts.data_ptr(),
            pairs.start,
            pairs.stop,
            int(torch.searchsorted(starts, pairs.start, right=True)) - 1,
            addresses.data_ptr(),
            numbers.data_ptr(),
            KINDS[term.kind],
            term.exponent,
            LINKS[link.kind],
            link.exponent,
            link.constant,
            d,
            outputs,
            out[pairs].data_ptr(),
        )

    centers = int(addresses[:, 3].sum()) // max(leaves, 1)
    share_rows(fill, len(rows), (d + LINK_COST) * centers)
    return out


def kernel_values_(sums: Tensor, exponent: float, rate: float, *, derived: bool) -> None:
    """Compute ``exp(-rate * s^exponent)`` in place, times ``s^(exponent - 1)``, 0 at 0, if ``derived``."""

    def convert(rows: slice) -> None:
        part = sums[rows]
        extension.kernel_values(part.data_ptr(), part.numel(), exponent, rate, int(derived))

    share_rows(convert, len(sums), sums.numel() // max(len(sums), 1))
