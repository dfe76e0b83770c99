"""Explain a fitted model in the user's columns, without any data besides the model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xrfm_cli.datasets.seeds import small_seed
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.reports.columns import feature_columns, in_float64
from xrfm_cli.reports.effort import GRADIENT_BUDGET_NS, affordable_rows, gradient_ns
from xrfm_cli.reports.importances import Importance, column_agop, measure_importances
from xrfm_cli.reports.pairs import Pair, measure_pairs
from xrfm_cli.reports.sensitivity import Sensitivity, measure_member
from xrfm_cli.reports.structure import (
    Direction,
    LeafSummary,
    SplitSummary,
    find_directions,
    summarise_leaves,
    summarise_splits,
)
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member

MATRIX_COLUMNS = 20  # columns of the heat map
EXPLAINED_ROWS = 1_000  # at most, unless the caller asks for another number
LEAST_ROWS = 50  # rows per member, whatever its weight and the cost of a row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """The columns and directions that a model reacts to.

    Importances, the matrix and the pairs are weighted averages over the ensemble. Directions, leaves and
    splits are those of the member with the largest weight, because encoded features differ between members
    and cannot be averaged.
    """

    importances: tuple[Importance, ...]
    matrix_columns: tuple[str, ...]  # the strongest columns, in order of importance
    matrix: NDArray[np.float64]  # (k, k): see importances.column_agop
    directions: tuple[Direction, ...]
    pairs: tuple[Pair, ...]
    leaves: tuple[LeafSummary, ...]
    splits: tuple[SplitSummary, ...]
    member: int  # index of the member with the largest weight
    rows: int  # sampled rows, over all members
    seed: int


def explain_model(
    model: FittedModel, *, rows: int = EXPLAINED_ROWS, seed: int = 0, pair_seconds: float = math.inf
) -> Explanation:
    """Explain a model on rows drawn from its leaves' centers.

    Args:
        model: the model; its leaves keep training rows as centers, so no other data is needed.
        rows: maximum number of rows to draw, divided among the members by weight; fewer if gradients are
            expensive, but at least 50 for each member.
        seed: random seed; equal seeds give equal explanations.
        pair_seconds: no pairs of columns are compared if that would take longer.

    Importances are the diagonal of the average gradient outer product (AGOP), with each encoded coordinate
    in units of its standard deviation, summed over the coordinates of a column. They measure the model's
    sensitivity, not causal effects. Radhakrishnan et al., Science 383 (2024).
    """
    centers = [leaf.n_rows for member in model.members for leaf in member.tree.leaves]
    with compute_threads(rows=max(centers)):
        return _explain(in_float64(model), rows=rows, seed=seed, pair_seconds=pair_seconds)


def _explain(model: FittedModel, *, rows: int, seed: int, pair_seconds: float) -> Explanation:
    """Explain a model that is on a device with float64."""
    columns = feature_columns(model.schema)
    generator = torch.Generator().manual_seed(small_seed(seed))
    mass = sum(member.weight for member in model.members)
    sensitivities = [
        measure_member(
            member, number, columns, rows=_rows(member, rows, member.weight / mass), generator=generator
        )
        for number, member in enumerate(model.members)
    ]
    importances = measure_importances(sensitivities, generator=generator)
    strongest = tuple(item.column for item in importances[:MATRIX_COLUMNS])
    heaviest = _heaviest(sensitivities)
    return Explanation(
        importances=importances,
        matrix_columns=strongest,
        matrix=column_agop(sensitivities, strongest),
        directions=find_directions(heaviest),
        pairs=measure_pairs(sensitivities, importances, seconds=pair_seconds),
        leaves=summarise_leaves(heaviest),
        splits=summarise_splits(heaviest),
        member=heaviest.number,
        rows=sum(len(s.x) for s in sensitivities),
        seed=seed,
    )


def _rows(member: Member, rows: int, share: float) -> int:
    """Return the number of rows at which a member is differentiated."""
    least = min(rows, LEAST_ROWS)
    return affordable_rows(rows * share, gradient_ns(member.tree), GRADIENT_BUDGET_NS * share, least=least)


def _heaviest(sensitivities: list[Sensitivity]) -> Sensitivity:
    """Return the member with the largest weight; the first in case of a tie."""
    return max(sensitivities, key=lambda s: (s.weight, -s.number))
