"""Shares of the prediction's variance by column, with ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.swap_study import RANGE_ERRORS, SwapStudy, effective_shares

Array = NDArray[np.float64]
REPLICATES = 100  # of the bootstrap over rows: only their deviation is needed, not a quantile
BLOCK_ROWS = 20  # rows share values with the four before them


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShare:
    """A column's share of the prediction's variance, or of the AGOP's trace.

    In nine of ten cases, the range of a share of the variance contains the share of a model of another sample
    of the same size. The range of a share of the trace is the 5 % to 95 % percentile of a bootstrap.
    """

    column: str
    share: float
    low: float
    high: float


def column_shares(study: SwapStudy, held_out: HeldOut | None, *, seed: int) -> tuple[ColumnShare, ...]:
    """Return the shares of all columns, largest first; they add to one, or are all zero for a constant.

    The range adds the variances of the swapped rows, by bootstrap, and of the models, by jackknife over folds
    and between hyperparameters (:class:`Spread`), each twice: once for this model and once for the other.
    With few folds the variance is poorly known, so it counts more.
    """
    shares = study.shares()
    variance = np.square(share_deviations(study, seed=seed))
    if held_out is not None:
        deviations = {item.column: item.deviation or 0.0 for item in held_out.columns}
        own = np.square([deviations.get(column, 0.0) for column in study.columns])
        variance += own * (_errors_of_folds(held_out.folds) / RANGE_ERRORS) ** 2
    half = RANGE_ERRORS * np.sqrt(2 * variance)
    low, high = np.clip(shares - half, 0.0, None), np.clip(shares + half, None, 1.0)
    order = np.argsort(-shares, kind="stable")
    return tuple(
        ColumnShare(
            column=study.columns[j],
            share=float(shares[j]),
            low=float(min(low[j], shares[j])),
            high=float(max(high[j], shares[j])),
        )
        for j in order
    )


def _errors_of_folds(folds: int) -> float:
    """Return half the width of a 90 % range in standard deviations, if few folds have estimated them.

    >>> round(_errors_of_folds(4), 2), round(_errors_of_folds(10), 2)
    (2.35, 1.83)
    """
    from scipy.stats import t

    return float(t.ppf(0.95, max(folds - 1, 2)))


def share_deviations(study: SwapStudy, *, seed: int) -> Array:  # -> (columns,)
    """Return the standard deviations of the shares over bootstrap samples of the rows.

    Blocks of rows are drawn, since neighbouring rows share values.
    """
    n = max(len(own) for own in study.totals)
    draws = np.random.default_rng(seed)
    block = np.arange(min(BLOCK_ROWS, n))
    counts = np.zeros((REPLICATES, n))
    for own in counts:
        starts = draws.integers(0, n, max(1, n // len(block)))
        np.add.at(own, (starts[:, None] + block) % n, 1.0)
    totals = np.stack(_replicated(study.totals, counts), axis=1)
    shared = dict(zip(study.shared, _replicated(tuple(study.shared.values()), counts), strict=True))
    return effective_shares(totals, shared).std(0)


def _replicated(
    values: Sequence[Array], counts: Array
) -> list[Array]:  # (replicates, n) -> (replicates,) each
    """Return the means of each measure over each bootstrap sample; measures may cover the first rows only."""
    found: dict[int, Array] = {}
    for rows in {len(own) for own in values}:
        own = counts[:, :rows]
        found[rows] = own / np.maximum(own.sum(1, keepdims=True), 1.0)
    return [found[len(own)] @ own for own in values]
