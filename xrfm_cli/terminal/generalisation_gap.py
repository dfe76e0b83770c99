"""Generalisation gap: compare out-of-fold metrics of the fit with metrics on test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import stdev

from xrfm_cli.tuning.model.report import FitReport
from xrfm_cli.tuning.scoring.metrics import metric_named

LEAST_FOLDS = 3  # the standard deviation of fewer folds is meaningless


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralisationGap:
    """A metric's out-of-fold value, and how much worse the test is, in standard deviations of the folds."""

    value: float
    worse_by: float | None  # negative: better; None if the folds do not allow a comparison


def generalisation_gaps(
    report: FitReport, metrics: Mapping[str, float], *, rows: int
) -> dict[str, GeneralisationGap]:
    """Return the gap of each test metric that the fit measured too; ``rows`` is the number of test rows.

    The standard deviation between folds describes scores of as many rows as a fold has. ``worse_by`` is None
    for a test with fewer rows, which varies more, and for fewer than three folds. It is also None if the
    folds differ by less than one row's share of the score: such a difference is chance or rounding.
    """
    found = {}
    for name, value in metrics.items():
        promised = report.metrics.get(name)
        if promised is not None and isfinite(promised):
            found[name] = GeneralisationGap(
                value=promised, worse_by=_worse_by(report, name, value - promised, rows=rows)
            )
    return found


def _worse_by(report: FitReport, name: str, difference: float, *, rows: int) -> float | None:
    folds = report.fold_metrics.get(name, [])
    validation_rows = report.validation["judged_rows"]
    if len(folds) < LEAST_FOLDS or rows * len(folds) < validation_rows:
        return None
    deviation, one_row = stdev(folds), max(map(abs, folds)) / validation_rows
    if not deviation > one_row or not isfinite(difference / deviation):
        return None
    return difference / deviation if metric_named(name).lower_is_better else -difference / deviation
