"""Pairs and triples of columns that act together: more than the sum of their effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.reports.importances import co_sensitivities, column_agop
from xrfm_cli.reports.sensitivity import Sensitivity
from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.swap_study import RANGE_ERRORS, SwapStudy

UNCONFIRMED = 0.15  # interaction below which a pair is left out if no held-out rows can confirm it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two columns and two measures of their joint effect.

    ``co_sensitivity``, between 0 and 1, measures whether the model reacts to both columns in the same rows
    and in a fixed proportion; it is high for a sum ``a + b`` too. ``interaction`` is the part of the
    predictions' deviation that neither column explains alone: zero for a sum, positive for a product. The
    range is that of the rows. ``by_chance`` is the largest interaction that held-out rows may confirm by
    chance if there is none.
    """

    columns: tuple[str, str]
    co_sensitivity: float
    interaction: float
    low: float
    high: float
    by_chance: float | None  # None if no held-out rows were measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Triple:
    """Three columns that act together.

    ``interaction``, its range and ``by_chance`` are as of a pair: the part of the predictions' deviation that
    no two of the columns explain. It is part of the interaction of each of the three pairs too.
    """

    columns: tuple[str, str, str]
    interaction: float
    low: float
    high: float
    by_chance: float | None


def find_pairs(
    sensitivities: Sequence[Sensitivity], study: SwapStudy, held_out: HeldOut | None
) -> tuple[Pair, ...]:
    """Return the pairs whose interaction held-out rows confirm, the largest first.

    All pairs of strong columns are compared: the interaction of a pair is at most the smaller of its columns'
    totals, so weak columns cannot take part in a large one. The AGOP cannot screen them, as its entry is zero
    for a product of independent columns. Even if the true effects are additive, every model has small
    interactions. Targets of held-out rows separate them from real ones.
    """
    if not study.variance or not study.shared:
        return ()
    confirmed = None
    if held_out is not None:
        confirmed = {frozenset(item.columns): item for item in held_out.pairs}
    kept: list[tuple[tuple[int, int], float | None]] = []
    for a, b in study.shared:
        names = (study.columns[a], study.columns[b])
        if confirmed is None:
            if _interaction(study, (a, b)) >= UNCONFIRMED:
                kept.append(((a, b), None))
            continue
        found = confirmed.get(frozenset(names))
        if found is not None and found.confirmed > found.by_chance:
            kept.append(((a, b), found.by_chance**0.5))
    if not kept:
        return ()
    columns = sorted({j for pair, _ in kept for j in pair})
    together = co_sensitivities(column_agop(sensitivities, [study.columns[j] for j in columns]))
    pairs = []
    for (a, b), by_chance in kept:
        low, high = _range(study.shared[a, b] / study.variance)
        pairs.append(
            Pair(
                columns=(study.columns[a], study.columns[b]),
                co_sensitivity=float(together[columns.index(a), columns.index(b)]),
                interaction=_interaction(study, (a, b)),
                low=low,
                high=high,
                by_chance=by_chance,
            )
        )
    return tuple(sorted(pairs, key=lambda pair: -pair.interaction))


def find_triples(study: SwapStudy, held_out: HeldOut | None) -> tuple[Triple, ...]:
    """Return the triples whose interaction held-out rows confirm, the largest first.

    Compared are columns whose three pairs are strong: the interaction of a triple is at most the smallest of
    these.
    """
    if not study.variance:
        return ()
    confirmed = None
    if held_out is not None:
        confirmed = {frozenset(item.columns): item for item in held_out.triples}
    triples = []
    for (a, b, c), squares in study.triples.items():
        names = (study.columns[a], study.columns[b], study.columns[c])
        interaction = _root(float(squares.mean()) / study.variance)
        found = None if confirmed is None else confirmed.get(frozenset(names))
        is_confirmed = found is not None and found.confirmed > found.by_chance
        if not is_confirmed and (confirmed is not None or interaction < UNCONFIRMED):
            continue
        low, high = _range(squares / study.variance)
        triples.append(
            Triple(
                columns=names,
                interaction=interaction,
                low=low,
                high=high,
                by_chance=None if found is None else found.by_chance**0.5,
            )
        )
    return tuple(sorted(triples, key=lambda triple: -triple.interaction))


def _interaction(study: SwapStudy, pair: tuple[int, int]) -> float:
    return _root(float(study.shared[pair].mean()) / study.variance)


def _range(shares: NDArray[np.float64]) -> tuple[float, float]:  # (rows,)
    """Return the 90 % range of the root of the mean."""
    half = RANGE_ERRORS * float(shares.std()) / len(shares) ** 0.5
    return _root(float(shares.mean()) - half), _root(float(shares.mean()) + half)


def _root(share: float) -> float:
    """Return the root of an estimated share of the variance, which may lie outside 0 to 1."""
    return min(max(share, 0.0), 1.0) ** 0.5
