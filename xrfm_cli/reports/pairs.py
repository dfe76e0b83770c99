"""Interactions and co-sensitivities of pairs of columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from xrfm_cli.reports.effort import PREDICTION_BUDGET_NS, affordable_rows, prediction_ns
from xrfm_cli.reports.importances import Importance, co_sensitivities, column_agop
from xrfm_cli.reports.sensitivity import Sensitivity

PAIR_COLUMNS = (
    8,
    6,
    5,
    4,
    3,
)  # numbers of strongest columns whose pairs are compared; fewer if rows are expensive
LEAST_SHARE = 0.005  # weaker columns are left out: the ratio of two values near zero is meaningless
PAIR_ROWS = 240  # rows over all members
LEAST_ROWS = 40  # rows per member


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two columns and two measures of their joint effect.

    ``co_sensitivity``, between 0 and 1, measures whether the model reacts to both columns in the same rows
    and in a fixed proportion; it is high for a sum ``a + b`` too. ``interaction`` is the part of the
    predictions' deviation that neither column explains alone: zero for a sum, positive for a product.
    """

    columns: tuple[str, str]
    co_sensitivity: float
    interaction: float


def measure_pairs(
    sensitivities: Sequence[Sensitivity], importances: Sequence[Importance], *, seconds: float = math.inf
) -> tuple[Pair, ...]:
    """Measure all pairs of the strongest columns; the largest interaction comes first.

    There are none if even the fewest rows and columns would take longer than ``seconds``.

    For rows ``x`` and partners ``x'``, the mixed difference ``f(x) - f(x'_a) - f(x'_b) + f(x'_ab)``, with the
    values of column ``a``, ``b`` or both taken from the partner, vanishes if the two effects are additive.
    ``interaction`` is its root mean square, divided by two standard deviations of the predictions. For
    independent columns this is the square root of the share of variance that involves both (Liu and Owen,
    JASA 2006). Swapped rows may be unlike any in the data, so for dependent columns it describes the model,
    not the data.
    """
    if LEAST_ROWS * _variants(PAIR_COLUMNS[-1]) * _row_ns(sensitivities) > 1e9 * seconds:
        return ()
    strongest = [
        item.column for item in importances[: _column_count(sensitivities)] if item.share >= LEAST_SHARE
    ]
    pairs = list(combinations(range(len(strongest)), 2))
    if not pairs:
        return ()
    together = co_sensitivities(column_agop(sensitivities, strongest))
    interaction = np.zeros(len(pairs))
    mass = sum(s.weight for s in sensitivities)
    for sensitivity in sensitivities:
        share = sensitivity.weight / mass
        variants_ns = _variants(len(strongest)) * prediction_ns(sensitivity.member.tree)
        rows = affordable_rows(PAIR_ROWS * share, variants_ns, PREDICTION_BUDGET_NS * share, least=LEAST_ROWS)
        interaction += share * _interactions(sensitivity, strongest, pairs, rows)
    order = np.argsort(-interaction, kind="stable")
    return tuple(
        Pair(
            columns=(strongest[pairs[k][0]], strongest[pairs[k][1]]),
            co_sensitivity=float(together[pairs[k]]),
            interaction=float(interaction[k]),
        )
        for k in order
    )


def _column_count(sensitivities: Sequence[Sensitivity]) -> int:
    """Return how many columns can be compared on enough rows of every member."""
    row_ns = _row_ns(sensitivities)
    for count in PAIR_COLUMNS:
        if LEAST_ROWS * _variants(count) * row_ns <= PREDICTION_BUDGET_NS:
            return count
    return PAIR_COLUMNS[-1]


def _row_ns(sensitivities: Sequence[Sensitivity]) -> float:
    return sum(prediction_ns(s.member.tree) for s in sensitivities)


def _variants(columns: int) -> int:
    """Return the number of predictions per row: unchanged, with each column swapped, and with each pair."""
    return 1 + columns + columns * (columns - 1) // 2


def _interactions(
    sensitivity: Sensitivity, columns: Sequence[str], pairs: Sequence[tuple[int, int]], rows: int
) -> np.ndarray:
    x = sensitivity.x[:rows]
    partner = x.roll(1, 0)  # sampled rows are in random order
    names = sensitivity.columns.columns
    parts = [sensitivity.columns.coordinates(names.index(column)).to(x.device) for column in columns]
    variants = [x, *(_swapped(x, partner, part) for part in parts)]
    variants += [_swapped(x, partner, torch.cat([parts[a], parts[b]])) for a, b in pairs]
    values = sensitivity.tree.predict(torch.cat(variants)).double()
    plain, *others = values.split(len(x))
    one, both = others[: len(parts)], others[len(parts) :]
    deviation = float(plain.var(0, correction=0).sum()) ** 0.5
    if deviation == 0:
        return np.zeros(len(pairs))
    mixed = [plain - one[a] - one[b] + joint for (a, b), joint in zip(pairs, both, strict=True)]
    return np.array([float(m.square().sum(1).mean()) ** 0.5 for m in mixed]) / (2 * deviation)


def _swapped(x: Tensor, partner: Tensor, coordinates: Tensor) -> Tensor:
    out = x.clone()
    out[:, coordinates] = partner[:, coordinates]
    return out
