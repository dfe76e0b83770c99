"""What the fit promised of rows that the model has not seen, beside what a test gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import stdev

from xrfm_cli.tuning.model.report import FitReport
from xrfm_cli.tuning.scoring.metrics import METRICS

LEAST_FOLDS = 3  # whose deviation tells something


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralisationGap:
    """A metric's out-of-fold value, and by how many deviations of the folds a test is worse."""

    value: float
    worse_by: float | None  # negative: better; None where the folds say nothing of so few rows


def generalisation_gaps(
    report: FitReport, metrics: Mapping[str, float], *, rows: int
) -> dict[str, GeneralisationGap]:
    """The promise of each metric of a test of so many rows that the fit had measured too.

    The deviation between folds is that of scores of a fold's rows. A test of fewer rows varies more, so
    that nothing is said of it; so too with fewer than three folds, and where folds differ by less than one
    row in their share of the score: that deviation is chance, and of scores at their bound it is rounding.
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
    validation_rows = report.validation.get("judged_rows", float("inf"))
    if len(folds) < LEAST_FOLDS or rows * len(folds) < validation_rows:
        return None
    deviation, one_row = stdev(folds), max(map(abs, folds)) / validation_rows
    if not deviation > one_row or not isfinite(difference / deviation):
        return None
    return difference / deviation if METRICS[name].lower_is_better else -difference / deviation
