"""Predictions of pairs of a row and a leaf: trees of thousands of leaves have a few rows for each.

Compiled loops take all pairs in one call, where the leaves allow it: float32 on a CPU under diagonal feature
matrices. Otherwise the leaves predict one after the other. Both give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xrfm_cli.leaf_models.compiled.sums import expand_leaves
from xrfm_cli.leaf_models.kernels.binary_columns import find_binary_columns, rounded_weights
from xrfm_cli.leaf_models.kernels.coordinates import has_loops
from xrfm_cli.leaf_models.kernels.families import make_kernel
from xrfm_cli.leaf_models.leaf import LeafModel, RFMLeaf
from xrfm_cli.leaf_models.terms import Link, Term
from xrfm_cli.leaf_models.transform import Transform

FEW_ROWS = 64  # leaves with at least this many rows compare binary columns faster by a matrix product


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafTable:
    """The facts of all leaves of a tree, prepared once for the compiled loops.

    It holds addresses of the leaves' tensors, so it is valid only together with them.
    """

    leaves: tuple[RFMLeaf, ...]
    addresses: Tensor  # (l, 4) int64: centers, coefficients, placing, number of centers
    numbers: Tensor  # (l, 4) float64: scale, scale of the term, rate of the link, begin
    intercepts: Tensor  # (l,) float32
    has_binary: Tensor  # (l,) bool
    placings: Tensor  # (l, 5, d): shift, root, then of binary columns low, high and weight; NaN for others
    term: Term
    link: Link

    @classmethod
    def of(cls, leaves: Sequence[LeafModel]) -> LeafTable | None:
        """Prepare the leaves; return None if the loops cannot take them."""
        found = [leaf for leaf in leaves if isinstance(leaf, RFMLeaf) and _fits(leaf)]
        if len(found) < len(leaves):
            return None
        d = found[0].centers.shape[1]
        placings = torch.full((len(found), 5, d), torch.nan)
        addresses, numbers = [], []
        base, stride = placings.data_ptr(), 5 * d * placings.element_size()
        for number, leaf in enumerate(found):
            transform, u = Transform.place(leaf.centers, leaf.feature_matrix, leaf.config.agop_power)
            term, link = make_kernel(leaf.config, leaf.bandwidth * transform.scale).parts(d)
            placings[number, 0], placings[number, 1] = transform.shift, transform.root
            two, begin = find_binary_columns(u), 0.0
            if len(two.columns):
                weight = rounded_weights(term.value(two.gap.clone()) - term.at_zero)
                if not bool(weight.isfinite().all()):
                    return None
                placings[number, 2:, two.columns] = torch.stack([two.low, two.low + two.gap, weight])
                begin = len(two.columns) * term.at_zero
            coefficients, centers = leaf.coefficients.data_ptr(), leaf.centers.data_ptr()
            addresses.append((centers, coefficients, base + number * stride, len(leaf.centers)))
            numbers.append((transform.scale, term.scale, link.rate, begin))
        return cls(
            leaves=tuple(found),
            addresses=torch.tensor(addresses, dtype=torch.int64),
            numbers=torch.tensor(numbers, dtype=torch.float64),
            intercepts=torch.tensor([leaf.intercept for leaf in found], dtype=torch.float32),
            has_binary=~placings[:, 2].isnan().all(1),
            placings=placings,
            term=term,
            link=link,
        )


def predict_pairs(
    leaves: Sequence[LeafModel], table: LeafTable | None, x: Tensor, rows: Tensor, starts: Tensor
) -> Tensor:  # (n, d), (p,), (l + 1,) -> (p, c)
    """Predict the row ``rows[k]`` of ``x`` by a leaf, for each pair ``k``.

    Args:
        leaves: the leaves.
        table: what :meth:`LeafTable.of` returned for them.
        x: rows.
        rows: row numbers of the pairs, int64, sorted by leaf.
        starts: the first pair of each leaf on the CPU, int64, and the number of pairs.
    """
    out = torch.empty(len(rows), leaves[0].coefficients.shape[1], dtype=x.dtype, device=x.device)
    counts = starts.diff()
    alone = counts > 0
    if table is not None and has_loops(x):
        together = alone & ~(table.has_binary & (counts >= FEW_ROWS))
        alone &= ~together
        if bool(together.any()):
            _predict_together(table, x, rows, starts, together, out)
    for number in alone.nonzero()[:, 0].tolist():
        own = slice(int(starts[number]), int(starts[number + 1]))
        out[own] = leaves[number].predict(x[rows[own]])
    return out


def _predict_together(
    table: LeafTable, x: Tensor, rows: Tensor, starts: Tensor, chosen: Tensor, out: Tensor
) -> None:
    """Fill the predictions of the pairs of the chosen leaves."""
    all_of_them = bool((chosen | (starts.diff() == 0)).all())
    pairs: Tensor | slice = slice(None)
    if not all_of_them:
        counts = torch.where(chosen, starts.diff(), 0)
        pairs = torch.repeat_interleave(chosen, starts.diff()).nonzero()[:, 0]
        starts = torch.cat([starts.new_zeros(1), counts.cumsum(0)])
    outputs = out.shape[1]
    values = expand_leaves(
        table.term, table.link, x, rows[pairs], starts, table.addresses, table.numbers, outputs
    ).to(out.dtype)
    out[pairs] = values.add_(torch.repeat_interleave(table.intercepts, starts.diff())[:, None])


def _fits(leaf: RFMLeaf) -> bool:
    """Return whether the loops take a leaf: one of a diagonal feature matrix, in float32 on a CPU."""
    tensors = (leaf.centers, leaf.coefficients, leaf.feature_matrix)
    return (
        leaf.feature_matrix.ndim == 1
        and has_loops(*tensors)
        and all(tensor.is_contiguous() for tensor in tensors)
    )
