"""How much of a model's predictions each column moves, and whether targets confirm it.

Every measure here comes from the same predictions: a row's own, and those after the value of one column, or
of two, was taken from another row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import exponent_of
from xrfm_cli.tuning.explain.effort import affordable_rows
from xrfm_cli.tuning.explain.mixed import Mixed
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.swaps import predict_rows, row_ns, swap_predictions
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
Pair = tuple[int, int]
Triple = tuple[int, int, int]
FEWEST_COLUMNS = 10  # columns swapped one by one, at any cost of a prediction
TINY = 1e-300
FEWEST_ROWS = 60  # rows per column, at any cost of a prediction
LEAST_ROWS = 20  # rows of the smallest study: with fewer, shares are mostly noise
RANGE_ERRORS = 1.645  # half a range of 90 %
STRONG_SHARE = 0.01  # columns with a larger share of the variance are measured on more rows, and in pairs
MOST_PAIR_COLUMNS = 8  # 28 pairs; an interaction is at most the smaller of its columns' totals
MOST_TRIPLES = 6  # an interaction of three columns is at most the smallest of its pairs
MOST_PARTNERS = 4  # partners of a row: more would remove little of the variance
SCREEN_SHARE = 0.4  # of the budget for all columns on few rows; the rest is for strong columns and pairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SwapStudy:
    """Swaps of each column of a sample, row by row.

    ``totals[j]`` holds ``|f(x) - f(x with column j of another row)|^2 / 2`` of each row, averaged over the
    rows that it was swapped with. Its mean is the unnormalised total Sobol index for independent columns
    (Jansen, Computer Physics Communications 1999).
    ``shared[a, b]`` holds ``|f(x) - f(x_a) - f(x_b) + f(x_ab)|^2 / 4``, whose mean is the variance that
    involves both columns (Liu and Owen, JASA 2006); ``triples`` holds the same for three columns, an eighth
    of the squared third difference. For classes see :class:`Mixed`.

    Predictions of a regression are first divided by a power of two, so that no square overflows.

    ``confirmed`` holds the same in terms of the targets ``y``: ``y . (f(x) - f(x_j))``. Its mean equals that
    of ``totals`` if the model is right, and is zero for a column that has nothing to do with the target. The
    residual enters as a control variate, so that it varies little.
    """

    columns: tuple[str, ...]
    variance: float  # of the predictions, summed over outputs, in the units of ``totals``
    totals: tuple[Array, ...]  # (rows,) of each column; strong columns have more rows
    shared: dict[Pair, Array]
    triples: dict[Triple, Array]
    compared: int  # pairs
    swapped: tuple[Array, ...]  # predictions (rows, k) after each column's swap with the row before
    plain: Array  # (n, k)
    confirmed: tuple[Array, ...] = ()
    confirmed_pairs: dict[Pair, Array] = field(default_factory=dict)
    confirmed_triples: dict[Triple, Array] = field(default_factory=dict)
    together: tuple[int, ...] = ()  # columns that were swapped together, and share the effect equally

    def means(self) -> Array:
        """Return the unnormalised total index of each column."""
        return np.array([own.mean() if len(own) else 0.0 for own in self.totals])

    def shares(self) -> Array:
        """Return each column's share of the variance, as :func:`effective_shares` does."""
        return effective_shares(self.means(), {pair: float(own.mean()) for pair, own in self.shared.items()})

    def by_residuals(self, column: int) -> Array:  # -> (rows,)
        """Return the part of a column's ``confirmed`` that comes from the residuals."""
        own = self.confirmed[column]
        return own if column in self.together else own - self.totals[column]


def study_swaps(
    model: FittedModel,
    sample: Sample,
    *,
    budget_ns: float,
    targets: Array | None = None,  # (n, k): values, or indicators of the classes
    pairs: bool = True,
    every_row: bool = False,
) -> SwapStudy:
    """Swap every column of the rows of a sample, which are in random order, with those of the rows before.

    Each row has one partner, or up to four if all their swaps fit into the budget, which makes few rows more
    informative.

    Args:
        model: the ensemble, which predicts as it always does: splits, votes and calibration included.
        sample: the rows.
        budget_ns: estimated nanoseconds of prediction; wide tables are measured on fewer rows.
        targets: of the rows, to confirm what the model reacts to.
        pairs: whether pairs of strong columns are measured too.
        every_row: measure weak columns on as many rows as strong ones.
    """
    d, rows = len(sample.columns), sample.n_rows
    affordable = budget_ns / row_ns(model)
    single, rest = _divided(model, sample, max(FEWEST_COLUMNS, int(SCREEN_SHARE * affordable / FEWEST_ROWS)))
    partners = _affordable_partners(rows, len(single), affordable)
    if targets is not None and model.target.classes:
        partners = 1  # residuals of probabilities differ slightly from those of log odds
    exponent = _exponent(model)
    plain = np.ldexp(predict_rows(model, sample.matrices), -exponent)
    if partners > 1:
        sample = sample.take(np.tile(np.arange(rows), partners))
        plain = np.tile(plain, (partners, 1))
    n = sample.n_rows
    few = _between(FEWEST_ROWS, SCREEN_SHARE * affordable / len(single), n)
    groups = [(j,) for j in single] + ([rest] if rest else [])
    swapped = _swapped(model, sample.take(slice(few)), plain[:few], groups, exponent, partners)
    screened = [plain[:few]] * d
    for j, own in zip(single, swapped, strict=False):
        screened[j] = own
    swapped_together = frozenset(rest)
    first = np.array([_total(plain[:few], own).mean() for own in screened])
    of_rest = _total(plain[:few], swapped[-1]) / len(rest) if rest else None
    strong = np.flatnonzero(first > STRONG_SHARE * first.sum()) if first.sum() > 0 else np.empty(0, np.int64)
    ranked = strong[np.argsort(-first[strong], kind="stable")][:MOST_PAIR_COLUMNS].tolist()
    room = max(1.0, (affordable - few * len(groups)) / FEWEST_ROWS)  # pairs
    paired = sorted(ranked[: max(2, int((1 + (1 + 8 * room) ** 0.5) / 2))])
    together = list(combinations(paired, 2)) if pairs else []
    left = (affordable - few * len(groups)) / max(1, len(strong) + len(together))
    more = _between(min(few, FEWEST_ROWS), left, n)
    if not every_row and more > few:
        part, alone = sample.take(slice(more)), [(j,) for j in strong.tolist()]
        for (j,), own in zip(
            alone, _swapped(model, part, plain[:more], alone, exponent, partners), strict=True
        ):
            screened[j] = own
    both = min(more, *(len(screened[j]) for j in paired)) if paired else 0
    mixed = Mixed(plain=plain[:both], is_classes=bool(model.target.classes))
    part = sample.take(slice(both))
    mixed.add({(j,): screened[j][:both] for j in paired})
    mixed.add(
        dict(zip(together, _swapped(model, part, plain[:both], together, exponent, partners), strict=True))
    )
    totals = tuple(
        _total(plain[: len(own)], own) if of_rest is None or j not in swapped_together else of_rest
        for j, own in enumerate(screened)
    )
    variance = float(plain.var(0).sum())
    shared = {pair: mixed.squares(pair) for pair in together}
    threes = _strongest_triples(shared, variance)
    mixed.add(dict(zip(threes, _swapped(model, part, plain[:both], threes, exponent, partners), strict=True)))
    triples = {triple: mixed.squares(triple) for triple in threes}
    confirmed: tuple[Array, ...] = ()
    confirmed_pairs: dict[Pair, Array] = {}
    confirmed_triples: dict[Triple, Array] = {}
    if targets is not None:
        residual = np.tile(np.ldexp(targets, -exponent), (partners, 1)) - plain
        confirmed = tuple(
            own * (j not in swapped_together) + (residual[: len(own)] * (plain[: len(own)] - after)).sum(1)
            for j, (own, after) in enumerate(zip(totals, screened, strict=True))
        )
        confirmed_pairs = {pair: mixed.confirmed(pair, residual[:both]) for pair in together}
        confirmed_triples = {triple: mixed.confirmed(triple, residual[:both]) for triple in threes}
    return SwapStudy(
        columns=sample.columns,
        variance=variance,
        totals=tuple(_averaged(own, partners) for own in totals),
        shared={pair: _averaged(own, partners) for pair, own in shared.items()},
        triples={triple: _averaged(own, partners) for triple, own in triples.items()},
        compared=len(together),
        swapped=tuple(np.ldexp(own[:rows], exponent) for own in screened),
        plain=np.ldexp(plain[:rows], exponent),
        confirmed=tuple(_averaged(own, partners) for own in confirmed),
        confirmed_pairs={pair: _averaged(own, partners) for pair, own in confirmed_pairs.items()},
        confirmed_triples={triple: _averaged(own, partners) for triple, own in confirmed_triples.items()},
        together=rest,
    )


def rows_of_smallest_study(model: FittedModel, seconds: float, *, most: int) -> int:
    """Return for how many rows, 20 to ``most``, the smallest study of a model fits into the seconds.

    The study predicts each row unchanged, after swapping each of the fewest columns, the others together, and
    one pair.
    """
    predictions = FEWEST_COLUMNS + 3
    return affordable_rows(most, predictions * row_ns(model), 1e9 * seconds, least=LEAST_ROWS)


def effective_shares(totals: Array, shared: dict[Pair, Any]) -> Array:  # (..., d) -> (..., d)
    """Return Shapley effects as shares that add to one: a total counts by the columns that share it.

    A total index counts the variance of an interaction once for each of its columns; a Shapley effect divides
    it among them. The variance-weighted mean number of columns in the terms of column ``j`` is
    ``1 + sum_k shared_jk / total_j``; between whole numbers, the factor ``1 / number`` is interpolated. This
    is exact if the terms of a column have two neighbouring numbers of columns, such as a main effect and
    pairs. Owen, SIAM/ASA Journal on Uncertainty Quantification (2014).

    >>> effective_shares(np.array([1.0, 1.0, 0.5]), {(0, 1): 1.0}).round(3).tolist()
    [0.333, 0.333, 0.333]
    """
    extra = np.zeros_like(totals)
    for (a, b), value in shared.items():
        extra[..., a] += value
        extra[..., b] += value
    order = 1 + np.divide(extra, totals, out=np.zeros_like(totals), where=totals > 0)
    whole = np.arange(1, totals.shape[-1] + 2)
    effects = totals * np.interp(order, whole, 1 / whole)
    whole_sum = effects.sum(-1, keepdims=True)
    return np.divide(effects, whole_sum, out=np.zeros_like(effects), where=whole_sum > 0)


def _affordable_partners(rows: int, columns: int, affordable: float) -> int:
    """Return how many partners each of the rows can have in all swaps, of ``affordable`` predictions."""
    pairs = MOST_PAIR_COLUMNS * (MOST_PAIR_COLUMNS - 1) // 2
    swaps = columns + 1 + pairs + MOST_TRIPLES
    return _between(1, SCREEN_SHARE * affordable / (rows * swaps), min(MOST_PARTNERS, max(1, rows - 1)))


def _averaged(values: Array, partners: int) -> Array:  # (partners * rows,) -> (rows,)
    return values.reshape(partners, -1).mean(0)


def _swapped(
    model: FittedModel,
    sample: Sample,  # as many copies of the rows as they have partners
    plain: Array,
    columns: Sequence[tuple[int, ...]],
    exponent: int,
    partners: int,
) -> list[Array]:
    """Return the predictions after each swap; all predictions are divided by a power of two.

    The first copy of a row takes its values from the row before, the second from the one before that.
    """
    rows = np.arange(sample.n_rows // partners)
    other = np.concatenate([np.roll(rows, k + 1) + k * len(rows) for k in range(partners)])
    swaps = [(own, other) for own in columns]
    found = swap_predictions(model, sample, np.ldexp(plain, exponent), swaps)
    return [np.ldexp(own, -exponent) for own in found]


def _strongest_triples(shared: Mapping[Pair, Array], variance: float) -> list[Triple]:
    """Return the triples that may be strong: all three pairs are."""
    if not variance:
        return []
    means = {pair: float(own.mean()) / variance for pair, own in shared.items()}
    columns = sorted({column for pair in shared for column in pair})
    least = {(a, b, c): min(means[a, b], means[a, c], means[b, c]) for a, b, c in combinations(columns, 3)}
    found = sorted((triple for triple in least if least[triple] >= STRONG_SHARE), key=lambda own: -least[own])
    return found[:MOST_TRIPLES]


def _exponent(model: FittedModel) -> int:
    """Return the power of two that predictions are divided by, so that their squares are finite.

    It is the same for models of several folds, whose measures are averaged.
    """
    if model.target.classes:
        return 0
    return exponent_of(np.asarray(model.report.oof["target"], dtype=np.float64))


def _divided(model: FittedModel, sample: Sample, most: int) -> tuple[list[int], tuple[int, ...]]:
    """Return the columns to swap one by one, and those of a wide table that are swapped together.

    The first are the columns with the largest entries in the feature matrices and in the directions of the
    splits. The others share their joint effect equally.
    """
    d = len(sample.columns)
    if d <= most:
        return list(range(d)), ()
    strength = np.zeros(d)
    for member in model.members:
        entries = np.zeros(member.tree.n_features)
        for leaf in member.tree.leaves:
            matrix = leaf.feature_matrix.double().cpu()
            own = (matrix if matrix.ndim == 1 else matrix.diagonal()).numpy()
            entries += leaf.n_rows * own / max(float(own.max()), TINY)
        entries += sum(leaf.n_rows for leaf in member.tree.leaves) * np.sum(
            [np.square(split.direction.double().cpu().numpy()) for split in member.tree.splits], axis=0
        )
        parts = sample.coordinates[id(member.encoder)]
        strength += member.weight * np.array([entries[own].sum() for own in parts])
    order = np.argsort(-strength, kind="stable")
    return sorted(order[:most].tolist()), tuple(sorted(order[most:].tolist()))


def _total(plain: Array, after: Array) -> Array:
    return 0.5 * np.square(plain - after).sum(1)


def _between(least: int, wanted: float, most: int) -> int:
    return min(most, max(least, int(wanted)))
