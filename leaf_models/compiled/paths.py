"""Compiled integrals of a leaf's slopes along paths; attributions are sums of them."""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled.loops import (
    LINK_COST,
    LINKS,
    check_shapes,
    extension,
    facts_of,
    share_rows,
)
from xrfm_cli.leaf_models.terms import Link, Term


def follow(
    term: Term,
    link: Link,
    columns: Tensor,
    weights: Tensor,
    paths: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    coarse: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # (d, m), (c, m) -> (b, d), (b, points)
    """Return each coordinate's part of a leaf's change along paths, and the leaf's values, in float64.

    ``paths`` are the first points ``(b, d)``, the directions ``(b, d)``, the positions of the points ``(b,
    points)``, the weights of the segments between them ``(b, points - 1)`` and those of the outputs ``(b,
    c)``, all in float64. Segments of weight 0 are not visited, and values only known at the ends of others.
    ``coarse (b, d)`` receives the first result again, for segments twice as long. It needs an even number of
    segments.
    """
    paths = tuple(part.contiguous() for part in paths)  # type: ignore[assignment]
    start, way, positions, held, rates = paths
    (b, d), points, (outputs, m) = start.shape, positions.shape[1], weights.shape
    if coarse is not None and (points % 2 == 0 or coarse.shape != start.shape):
        raise ValueError("coarse segments need an even number of segments, and one row for each path")
    fits = way.shape == (b, d) and held.shape == (b, points - 1) and rates.shape == (b, outputs)
    check_shapes(fits and columns.shape == (d, m) and weights.is_contiguous(), columns)
    if any(part.dtype != torch.float64 for part in (*paths, weights, *([] if coarse is None else [coarse]))):
        raise ValueError("paths must be in float64")
    parts = torch.empty(b, d, dtype=torch.float64)
    values = torch.empty(b, points, dtype=torch.float64)

    def walk(rows: slice) -> None:
        extension.follow(
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
            *facts_of(term),
            LINKS[link.kind],
            link.exponent,
            link.rate,
            link.constant,
            parts[rows].data_ptr(),
            0 if coarse is None else coarse[rows].data_ptr(),
            values[rows].data_ptr(),
        )

    share_rows(walk, b, points * (2 * d + LINK_COST) * m)
    return parts, values
