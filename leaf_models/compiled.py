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
        _coordinates.expand_leaves(
            x.data_ptr(),
            rows.data_ptr(),
            starts.data_ptr(),
            pairs.start,
            pairs.stop,
            int(torch.searchsorted(starts, pairs.start, right=True)) - 1,
            addresses.data_ptr(),
            numbers.data_ptr(),
            _KINDS[term.kind],
            term.exponent,
            _LINKS[link.kind],
            link.exponent,
            link.constant,
            d,
            outputs,
            out[pairs].data_ptr(),
        )

    centers = int(addresses[:, 3].sum()) // max(leaves, 1)
    _share_rows(fill, len(rows), (d + LINK_COST) * centers)
    return out


def vote(
    x: Tensor,
    splits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    *,
    enough: float,
    most: int,
) -> tuple[Tensor, Tensor]:  # (n, d) -> (n, most), (n, most)
    """Return the heaviest leaves of each row and their weights, until they hold ``enough`` or are ``most``.

    ``splits`` are directions ``(s, d)``, thresholds ``(s,)``, widths ``(s,)`` and slacks ``(s, 2)`` in
    float64 and children ``(s, 2)`` in int64. The unused places are leaf -1 of weight 0. The first leaf of a
    row is -1 where the rounding of a projection decides a hard split.
    """
    leaves, masses = x.new_empty(len(x), most, dtype=torch.int64), x.new_empty(len(x), most).double()
    _descend(x, splits, enough, most, leaves, masses)
    return leaves, masses


def descend(x: Tensor, splits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]) -> Tensor:  # (n, d) -> (n,)
    """Return the leaf of each row under hard routing, -1 where the rounding of a projection decides."""
    leaves = x.new_empty(len(x), dtype=torch.int64)
    _descend(x, splits, 1.0, 1, leaves, None)
    return leaves


def _descend(
    x: Tensor,
    splits: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    enough: float,
    most: int,
    leaves: Tensor,
    masses: Tensor | None,
) -> None:
    x = x.contiguous()
    directions, thresholds, widths, slacks, children = splits
    if directions.shape[1] != x.shape[1] or not all(part.is_contiguous() for part in splits):
        raise ValueError("tensors of shapes that do not fit together")

    def walk(rows: slice) -> None:
        part = x[rows]
        _coordinates.vote(
            part.data_ptr(),
            len(part),
            x.shape[1],
            directions.data_ptr(),
            thresholds.data_ptr(),
            widths.data_ptr(),
            slacks.data_ptr(),
            children.data_ptr(),
            len(directions),
            enough,
            most,
            leaves[rows].data_ptr(),
            0 if masses is None else masses[rows].data_ptr(),
        )

    _share_rows(walk, len(x), x.shape[1] * len(directions).bit_length())


def follow(
    term: Term,
    link: Link,
    columns: Tensor,
    weights: Tensor,
    paths: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
) -> tuple[Tensor, Tensor]:  # (d, m), (c, m) -> (b, d), (b, points)
    """Return what each coordinate explains of a leaf's change along paths, and the leaf's values, in float64.

    ``paths`` are the first points ``(b, d)``, the directions ``(b, d)``, the positions of the points ``(b,
    points)``, the weights of the segments between them ``(b, points - 1)`` and those of the outputs ``(b,
    c)``, all in float64. Segments of weight 0 are not visited, and values only known at the ends of others.
    """
    paths = tuple(part.contiguous() for part in paths)  # type: ignore[assignment]
    start, way, positions, held, rates = paths
    (b, d), points, (outputs, m) = start.shape, positions.shape[1], weights.shape
    fits = way.shape == (b, d) and held.shape == (b, points - 1) and rates.shape == (b, outputs)
    _check(fits and columns.shape == (d, m) and weights.is_contiguous(), columns)
    if any(part.dtype != torch.float64 for part in (*paths, weights)):
        raise ValueError("paths must be in float64")
    parts = torch.empty(b, d, dtype=torch.float64)
    values = torch.empty(b, points, dtype=torch.float64)

    def walk(rows: slice) -> None:
        _coordinates.follow(
            start[rows].data_ptr(),
            way[rows].data_ptr(),
            positions[rows].data_ptr(),
            held[rows].data_ptr(),
            rates[rows].data_ptr(),
            rows.stop - rows.start,
            d,
            points,
            outputs,
            columns.data_ptr(),
            columns.stride(0),
            m,
            weights.data_ptr(),
            *_facts(term),
            _LINKS[link.kind],
            link.exponent,
            link.rate,
            link.constant,
            parts[rows].data_ptr(),
            values[rows].data_ptr(),
        )

    _share_rows(walk, b, points * (2 * d + LINK_COST) * m)
    return parts, values


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
