"""Shares of the prediction's variance by column, with ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.swap_study import RANGE_ERRORS, SwapStudy, share_deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShare:
    """A column's share of the prediction's variance, or of the AGOP's trace.

    The range of the variance's share holds that of a model of another sample of as many rows in nine of ten
    cases; that of the trace's share goes from the 5 % to the 95 % percentile of a bootstrap.
    """

    column: str
    share: float
    low: float
    high: float


def column_shares(study: SwapStudy, held_out: HeldOut | None, *, seed: int) -> tuple[ColumnShare, ...]:
    """Return the shares of all columns, largest first; they add to one, or are all zero for a constant.

    The range adds the variances of the swapped rows, by bootstrap, and of the fold models, by jackknife, each
    twice: once for this model and once for the other.
    """
    shares = study.shares()
    variance = np.square(share_deviations(study, seed=seed))
    if held_out is not None:
        deviations = {item.column: item.deviation or 0.0 for item in held_out.columns}
        variance += np.square([deviations.get(column, 0.0) for column in study.columns])
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
