"""How much of an explanation a fit's report has time for."""

from __future__ import annotations

from dataclasses import dataclass

from xrfm_cli.reports.explanation import EXPLAINED_ROWS
from xrfm_cli.tuning.explain.swap_study import rows_of_smallest_study
from xrfm_cli.tuning.model.fitted_model import FittedModel

LATE_EXPLAINED_ROWS = 100  # the most after the time limit has passed
# For swapping columns: seconds allowed beyond the time limit, at most and as a share of it, and the share of
# those left that is used, because estimates are inexact and the report follows.
SWAP_GRACE_S, SWAP_GRACE_SHARE, SWAP_SHARE = 1.0, 0.05, 0.5
COLUMN_S = 0.0002  # of a column in the explanation and the report, whatever is explained


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportEffort:
    """How many rows a report explains, and how long columns are swapped, in seconds of a quiet machine."""

    rows: int
    swap_seconds: float
    is_reduced: bool  # because time is short


def find_effort(
    model: FittedModel, *, seconds_left: float, time_limit_s: float, slowdown: float
) -> ReportEffort:
    """Return the effort that fits into the seconds left, while other work slows this process down."""
    left = seconds_left / slowdown - COLUMN_S * len(model.schema.features)
    grace_s = min(SWAP_GRACE_S, SWAP_GRACE_SHARE * time_limit_s) / slowdown
    if left >= 0:
        return ReportEffort(rows=EXPLAINED_ROWS, swap_seconds=SWAP_SHARE * left + grace_s, is_reduced=False)
    swap_seconds = max(grace_s + left, 0.0)
    rows = rows_of_smallest_study(model, swap_seconds, most=LATE_EXPLAINED_ROWS)
    return ReportEffort(rows=rows, swap_seconds=swap_seconds, is_reduced=True)
