"""The training rows whose coefficients make a prediction: ``alpha_i k(x, x_i)`` in its units.

A kernel machine predicts a sum over its centers, which are training rows. A row that weighs much, and pulls
away from the others, is often one whose label is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets import Encoder, Table
from xrfm_cli.leaf_models import RFMLeaf
from xrfm_cli.tuning.explain.decoding import decode_cells
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.model.outcome_rates import outcome_change, predicted

Array = NDArray[np.float64]
CANDIDATES = 100  # loudest centers of a member whose cells are decoded
SAME_DIGITS = 5  # numbers that agree in so many digits are of the same training row


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingRow:
    """A training row, and what it adds to the prediction."""

    contribution: float
    cells: dict[str, Any]  # by column, as far as the encoders keep them


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingRows:
    """``prediction = start + the contributions of all training rows``."""

    start: float  # what the model predicts far from all training rows, and what linear leaves predict
    prediction: float
    centers: int  # training rows that have a part in it, counted once for each member
    contributions: float  # of all of them
    loudest: tuple[SpeakingRow, ...]  # largest absolute contribution first


def speaking_rows(model: FittedModel, row: Table, explained: int, *, most: int) -> SpeakingRows:
    """Return the training rows that add most to the prediction of one row.

    Args:
        model: the model, on a device with float64.
        row: a table of one row.
        explained: the code of the class whose calibrated probability is explained; 0 for regression.
        most: how many rows to return.

    Where decoding or calibration bends the sum, each output of a tree is converted at its mean rate between
    no training rows and all of them. Equal rows of several members count as one.
    """
    encoded, _ = model.encode(row)
    x = [torch.from_numpy(encoded[id(member.encoder)]).to(model.device) for member in model.members]
    spoken = [_center_outputs(member, own) for member, own in zip(model.members, x, strict=True)]
    ends = [
        member.tree.predict(own).double().cpu().numpy() for member, own in zip(model.members, x, strict=True)
    ]
    starts = [end - parts.sum(axis=0) for end, (parts, _) in zip(ends, spoken, strict=True)]
    codes = np.array([explained])
    change = outcome_change(model, starts, ends, codes)
    merged: dict[tuple[Any, ...], SpeakingRow] = {}
    total = 0.0
    for number, (member, (parts, centers)) in enumerate(zip(model.members, spoken, strict=True)):
        added = parts @ change.rates[number][0]
        rest = float(change.changes[number][0]) - float(added.sum())
        sizes = np.abs(added)
        added = added + rest * (sizes / sizes.sum() if sizes.sum() > 0 else 0.0)
        total += float(added.sum())
        loudest = np.argsort(-np.abs(added), kind="stable")[:CANDIDATES]
        for place, cells in zip(loudest, _decoded(member.encoder, centers[loudest]), strict=True):
            key = tuple(_rounded(cell) for cell in cells.values())
            before = merged[key].contribution if key in merged else 0.0
            merged[key] = SpeakingRow(contribution=before + float(added[place]), cells=cells)
    ordered = sorted(merged.values(), key=lambda item: -abs(item.contribution))
    return SpeakingRows(
        start=float(predicted(model, starts, codes)[0]),
        prediction=float(predicted(model, ends, codes)[0]),
        centers=sum(len(parts) for parts, _ in spoken),
        contributions=total,
        loudest=tuple(ordered[:most]),
    )


def _center_outputs(member: Member, x: torch.Tensor) -> tuple[Array, NDArray[np.float32]]:
    """Return what each center adds to the outputs of a tree ``(m, c)``, and the centers ``(m, d)``."""
    tree = member.tree
    votes = tree.votes(x)
    parts, centers = [np.zeros((0, tree.n_outputs))], [np.zeros((0, tree.n_features), dtype=np.float32)]
    for number, weight in zip(votes.leaves.tolist(), votes.weights.tolist(), strict=True):
        leaf = tree.leaves[number]
        if not isinstance(leaf, RFMLeaf):
            continue
        transform, kernel, a = leaf.prepare()
        values = kernel.matrix(transform(x), a)[0].double()
        parts.append((weight * values[:, None] * leaf.coefficients.double()).cpu().numpy())
        centers.append(leaf.centers.cpu().numpy())
    return np.concatenate(parts), np.concatenate(centers)


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
