"""Directions that a member learned: their size, their certainty, and the prediction along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.reports.sensitivity import Sensitivity
from xrfm_cli.reports.structure import FeatureWeight, column_weights, strongest_features
from xrfm_cli.tuning.explain.sample import Sample

Array = NDArray[np.float64]
DIRECTIONS = 5
NAMED_FEATURES = 8  # features listed for a direction
REPLICATES = 50
BOOTSTRAP_DIRECTIONS = 30  # number of leading eigenvectors; bootstrap directions stay in their span
CERTAIN_SHARE = 0.9  # share of the bootstrap's angles that are at most the one shown
TIED_DEVIATIONS = 2.0  # two eigenvalues whose difference is smaller, in its bootstrap deviations, are tied
SMALLEST_SHARE = 1e-6  # of the trace
SLICES, FEWEST_SLICE_ROWS = 12, 8  # of the rows along a direction
ORIENTED = 0.1  # correlation with the prediction from which the sign of a direction has a meaning
UNCERTAIN_DEGREES = 45.0  # a direction that chance turns further has no sign
RANGE_ERRORS = 1.645  # half a range of 90 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """The mean prediction along a direction, in slices of equally many rows."""

    output: str | None  # the class; None for a regression
    x: tuple[float, ...]  # mean position of the slices, in standard deviations of the rows
    prediction: tuple[float, ...]
    low: tuple[float, ...]  # 90 % range of the mean
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """An eigenvector of the scaled AGOP: a combination of features that the model reacts to.

    ``angle``, in degrees, is the largest by which nine of ten bootstrap samples of the rows turn the
    direction. Tied directions share a ``group``: only the plane or space that they span has a meaning, and
    ``angle`` is its own. ``oriented`` says that the sign has a meaning: the prediction rises along the
    direction.
    """

    share: float  # of the AGOP's trace
    weights: dict[str, float]  # by column, strongest first: norm of its entries, signed by the largest
    features: tuple[FeatureWeight, ...]  # the strongest entries
    angle: float | None  # None if too many gradients would have to be kept
    group: int  # from 1; equal for tied directions
    oriented: bool
    along: Along | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """The strongest directions, and how many there are in all.

    ``effective_rank`` is the exponential of the entropy of the eigenvalues' shares: Roy and Vetterli,
    European Signal Processing Conference (2007).
    """

    found: tuple[Direction, ...]
    effective_rank: float


def find_directions(
    sensitivity: Sensitivity, sample: Sample, predicted: Array, classes: Sequence[str] = ()
) -> Directions:
    """Return the top eigenvectors of the scaled AGOP.

    Args:
        sensitivity: the gradients of a member.
        sample: rows, along whose projections the prediction is shown.
        predicted: predictions ``(n, k)`` of the ensemble for these rows.
        classes: names of the predictions' columns; none for a regression.
    """
    trace = sensitivity.trace
    if trace == 0:
        return Directions(found=(), effective_rank=0.0)
    values, vectors = torch.linalg.eigh(sensitivity.matrix.cpu())
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    kept = sensitivity.kept.cpu()
    count = int((values[:DIRECTIONS] / trace >= SMALLEST_SHARE).sum())
    groups, angles = _certainty(sensitivity, values, vectors, count)
    x = sample.matrices[id(sensitivity.member.encoder)][:, kept.numpy()].astype(np.float64)
    deviations = x.std(0)
    x = (x - x.mean(0)) / np.where(deviations > 0, deviations, 1.0)
    found = []
    for place in range(count):
        vector = vectors[:, place] * torch.sign(vectors[vectors[:, place].abs().argmax(), place])
        along, turned = _along(x @ vector.numpy(), predicted, classes)
        is_certain = (angles[place] or 0.0) < UNCERTAIN_DEGREES and groups.count(groups[place]) == 1
        is_oriented = turned != 0 and is_certain
        if turned < 0 and is_oriented:
            vector = -vector
            along, _ = _along(x @ vector.numpy(), predicted, classes)
        whole = torch.zeros(len(sensitivity.columns.feature_names), dtype=torch.float64)
        whole[kept] = vector
        found.append(
            Direction(
                share=min(1.0, float(values[place]) / trace),
                weights=column_weights(sensitivity.columns, whole),
                features=strongest_features(sensitivity.columns, whole, NAMED_FEATURES),
                angle=angles[place],
                group=groups[place],
                oriented=is_oriented,
                along=along,
            )
        )
    return Directions(found=tuple(found), effective_rank=_effective_rank(values))


def _effective_rank(values: Tensor) -> float:
    """Return the exponential of the entropy of the shares.

    >>> round(_effective_rank(torch.tensor([1.0, 1.0, 0.0])), 3)
    2.0
    """
    shares = values[values > 0] / values.sum()
    return float((-(shares * shares.log()).sum()).exp())


def _certainty(
    sensitivity: Sensitivity, values: Tensor, vectors: Tensor, count: int
) -> tuple[list[int], list[float | None]]:
    """Return the group of each direction, from 1, and the angle by which chance turns the group's span."""
    if sensitivity.rows is None:
        return list(range(1, count + 1)), [None] * count
    basis = vectors[:, :BOOTSTRAP_DIRECTIONS]
    own = sensitivity.rows.cpu().double() @ basis  # (n, c, r)
    each = torch.einsum("ncr,ncs->nrs", own, own)
    n = len(each)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=REPLICATES)
    flat = torch.from_numpy(draws / n) @ each.reshape(n, -1)
    moved, turned = torch.linalg.eigh(flat.reshape(REPLICATES, *each.shape[1:]))
    moved, turned = moved.flip(1), turned.flip(2)
    groups = [1] * min(count, 1)
    for place in range(1, count):
        gap = float(values[place - 1] - values[place])
        deviation = float((moved[:, place - 1] - moved[:, place]).std())
        groups.append(groups[-1] + (gap >= TIED_DEVIATIONS * deviation))
    angles: list[float | None] = []
    for place in range(count):
        members = [k for k in range(count) if groups[k] == groups[place]]
        # The cosine of the largest angle between the spans; the basis is that of the eigenvectors.
        cosines = torch.linalg.svdvals(turned[:, members][:, :, members])[:, -1].clamp(max=1.0)
        angles.append(float(torch.rad2deg(torch.arccos(cosines)).quantile(CERTAIN_SHARE)))
    return groups, angles


def _along(position: Array, predicted: Array, classes: Sequence[str]) -> tuple[Along | None, int]:
    """Return the mean prediction along positions, and the sign of the relation: 0 if there is none."""
    n = len(position)
    scale = float(position.std())
    if not scale > 0 or n < 2 * FEWEST_SLICE_ROWS:
        return None, 0
    largest = np.abs(predicted).max() or 1.0  # squares of large values overflow
    relative = predicted / largest
    spread = relative.std(0)
    related = np.where(
        spread > 0,
        ((position - position.mean())[:, None] * (relative - relative.mean(0))).mean(0)
        / (scale * np.where(spread > 0, spread, 1.0)),
        0.0,
    )
    k = int(np.abs(related).argmax())
    parts = np.array_split(np.argsort(position, kind="stable"), min(SLICES, n // FEWEST_SLICE_ROWS))
    means = np.array([relative[part, k].mean() for part in parts])
    halves = RANGE_ERRORS * np.array([relative[part, k].std() / len(part) ** 0.5 for part in parts])
    names = classes[1:] if len(classes) == 2 else classes
    along = Along(
        output=names[k] if names else None,
        x=tuple(float(position[part].mean() / scale) for part in parts),
        prediction=tuple((means * largest).tolist()),
        low=tuple(((means - halves) * largest).tolist()),
        high=tuple(((means + halves) * largest).tolist()),
    )
    return along, int(np.sign(related[k])) if abs(related[k]) >= ORIENTED else 0
