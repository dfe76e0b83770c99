"""The training rows whose coefficients make a prediction: ``alpha_i k(x, x_i)`` in its units.

A kernel machine predicts a sum over its centers, which are training rows. Many of its terms are large, nearly
the same everywhere, and cancel. So a row's part is the difference of its term from its mean term at reference
rows. A row with a large contribution of the opposite sign to the others often has a wrong label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import Encoder, Table
from xrfm_cli.leaf_models import RFMLeaf
from xrfm_cli.tuning.explain.decoding import decode_cells
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.outcome_rates import outcome_change, tree_outputs

Array = NDArray[np.float64]
CANDIDATES = 100  # centers of a member with the largest contributions, whose cells are decoded
SAME_DIGITS = 5  # training rows count as one if all their numbers agree in this many digits


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributingRow:
    """A training row, and what it adds to the prediction."""

    contribution: float
    cells: dict[str, Any]  # by column, as far as the encoders keep them


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributingRows:
    """``prediction = baseline + contributions + others``."""

    baseline: float  # the mean prediction of the reference rows
    prediction: float
    centers: int  # training rows that contribute, counted once for each member
    contributions: float  # of all of them
    others: float  # of linear leaves, which keep no rows, and of a base model
    largest: tuple[ContributingRow, ...]  # largest absolute contribution first


def contributing_rows(
    model: FittedModel, row: Table, references: Sequence[Tensor], explained: int, *, most: int
) -> ContributingRows:
    """Return the training rows that move the prediction of one row most.

    Args:
        model: the model, on a device with float64.
        row: a table of one row.
        references: the reference rows ``(r, d)``, encoded for each member.
        explained: the code of the class whose calibrated probability is explained; 0 for regression.
        most: how many rows to return.

    If decoding or calibration is not linear, each output of a tree is converted at its mean rate between the
    reference row and the row. Equal rows of several members count as one.
    """
    encoded, _ = model.encode(row)
    x = [torch.from_numpy(encoded[id(member.encoder)]).to(model.device) for member in model.members]
    starts = [tree_outputs(*pair) for pair in zip(model.members, references, strict=True)]
    r = len(starts[0])
    ends = [np.repeat(tree_outputs(*pair), r, axis=0) for pair in zip(model.members, x, strict=True)]
    codes = np.full(r, explained)
    change = outcome_change(model, starts, ends, codes)
    merged: dict[tuple[Any, ...], ContributingRow] = {}
    total, centers = 0.0, 0
    for number, member in enumerate(model.members):
        rates = torch.from_numpy(np.ascontiguousarray(change.rates[number])).to(model.device)
        parts = _parts(member, x[number], references[number], rates)
        added = np.concatenate([np.zeros(0), *parts.values()])
        if all(isinstance(leaf, RFMLeaf) for leaf in member.tree.leaves):
            rest = float(change.changes[number].mean()) - float(added.sum())  # of rounding
            if member.translation is not None:
                moved = member.translated(x[number]) - member.translated(references[number])
                rest -= float((change.rates[number] * moved).sum(1).mean())
            sizes = np.abs(added)
            added = added + rest * (sizes / sizes.sum() if sizes.sum() > 0 else 0.0)
        total, centers = total + float(added.sum()), centers + len(added)
        rows = [member.tree.leaves[leaf].centers.cpu().numpy() for leaf in parts]
        largest = np.argsort(-np.abs(added), kind="stable")[:CANDIDATES]
        if not len(largest):
            continue
        cells = _decoded(member.encoder, np.concatenate(rows)[largest])
        for place, own in zip(largest, cells, strict=True):
            key = tuple(_rounded(cell) for cell in own.values())
            before = merged[key].contribution if key in merged else 0.0
            merged[key] = ContributingRow(contribution=before + float(added[place]), cells=own)
    ordered = sorted(merged.values(), key=lambda item: -abs(item.contribution))
    baseline, prediction = float(change.before.mean()), float(change.after[0])
    return ContributingRows(
        baseline=baseline,
        prediction=prediction,
        centers=centers,
        contributions=total,
        others=prediction - baseline - total,
        largest=tuple(ordered[:most]),
    )


def _parts(member: Member, x: Tensor, references: Tensor, rates: Tensor) -> dict[int, Array]:
    """Return what the centers of each voting leaf add to the change from the reference rows, by leaf."""
    tree = member.tree
    prepared = cache(RFMLeaf.prepare)  # it looks at all centers
    found: dict[int, Tensor] = {}
    for rows, mixed in ((x, rates.mean(0, keepdim=True)), (references, -rates / len(rates))):
        votes = tree.votes(rows)
        for number, place, weight in zip(votes.leaves, votes.rows, votes.weights, strict=True):
            leaf = tree.leaves[int(number)]
            if not isinstance(leaf, RFMLeaf):
                continue
            transform, kernel, a = prepared(leaf)
            values = kernel.matrix(transform(rows[place, None]), a)[0].double()
            added = weight * values * (leaf.coefficients.double() @ mixed[place])
            found[int(number)] = found.get(int(number), 0) + added
    return {number: parts.cpu().numpy() for number, parts in found.items()}


def _decoded(encoder: Encoder, centers: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Return the cells of centers by column, as far as the encoder keeps them."""
    cells: dict[str, list[Any]] = {}
    for column, group in zip(encoder.columns, encoder.groups, strict=True):
        found = decode_cells(column, centers[:, group.start : group.stop])
        if found is not None:
            cells[group.column] = found.to_pylist()
    return [{name: values[k] for name, values in cells.items()} for k in range(len(centers))]


def _rounded(cell: Any) -> Any:
    return float(f"{cell:.{SAME_DIGITS}g}") if isinstance(cell, float) else cell
