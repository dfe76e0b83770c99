"""Comparison of methods over the tables that all of them have: ranks, gaps and ratios of errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.measurements import OURS, Measurement, read

NAMES = {
    OURS: "xrfm-cli",
    "catboost": "CatBoost",
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "autogluon_best": "AutoGluon best_quality",
    "realmlp": "RealMLP",
    "xrfm_ref": "xRFM reference, defaults",
    "xrfm_ref_hpo": "xRFM reference, search",
}
FRONT_PAGE = ("xrfm", "catboost", "lightgbm", "xgboost", "autogluon_best")
COMPARED = (*FRONT_PAGE, "realmlp", "xrfm_ref")
LIMIT_S = 60.0  # of the figures that stand beside other methods
EFFORTS = (  # of this project: time limit in seconds, options
    (10.0, None),
    (15.0, "--preset quick"),
    (60.0, None),
    (600.0, "--preset best --threads 1"),
)


class Standing(NamedTuple):
    """The rank and the relative error of one method among all."""

    method: str
    mean_rank: float
    best_on: int
    mean_gap_percent: float  # of the error above the smallest one, over tables whose smallest is not 0
    median_seconds: float | None  # of the fits whose seconds were recorded


def core_errors(limit_s: float = LIMIT_S, setting: str | None = None) -> dict[str, dict[str, Measurement]]:
    """Return the latest errors on split 0 of the core suite, by method and table.

    The limit and the setting are those of this project; other methods were measured once.
    """
    found: dict[str, dict[str, Measurement]] = {}
    for row in read("core"):
        ours = row.method == OURS
        if row.metric != "error" or row.seed != 0 or row.value is None:
            continue
        if not ours or (row.time_limit_s == limit_s and row.setting == setting):
            found.setdefault(row.method, {})[row.table] = row
    return found


def common_tables(errors: dict[str, dict[str, Measurement]], methods: Sequence[str]) -> list[str]:
    """Return the tables that all methods have, in the order of the first method's results."""
    return [table for table in errors[methods[0]] if all(table in errors[method] for method in methods)]


def compare(methods: Sequence[str]) -> tuple[list[Standing], list[str]]:
    """Rank methods over the tables that all of them have; ties share a rank."""
    errors = core_errors()
    tables = common_tables(errors, methods)
    values = np.array([[errors[method][table].value for method in methods] for table in tables], dtype=float)
    above = (values[:, :, None] > values[:, None, :]).sum(axis=2)
    equal = (values[:, :, None] == values[:, None, :]).sum(axis=2)
    ranks = above + (equal + 1) / 2
    smallest = values.min(axis=1, keepdims=True)
    positive = smallest[:, 0] > 0
    gaps = 100 * (values[positive] / smallest[positive] - 1)
    standings = [
        Standing(
            method,
            float(ranks[:, k].mean()),
            int((values[:, k] == smallest[:, 0]).sum()),
            float(gaps[:, k].mean()),
            median_seconds([errors[method][table] for table in tables]),
        )
        for k, method in enumerate(methods)
    ]
    return sorted(standings, key=lambda standing: standing.mean_rank), tables


def median_seconds(rows: Sequence[Measurement]) -> float | None:
    """Return the median of the recorded seconds."""
    known = [row.seconds for row in rows if row.seconds is not None]
    return float(np.median(known)) if known else None


def mean_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Return the geometric mean of the ratios; pairs with a zero are left out."""
    pairs = [(value, other) for value, other in zip(values, others, strict=True) if value > 0 and other > 0]
    return float(np.exp(np.mean([np.log(value / other) for value, other in pairs])))
