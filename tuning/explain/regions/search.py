"""Regions of the table in which columns move the prediction differently, as rules of a shallow tree.

The effect of a column in a row is the centred curve of the row's predictions over values of the column. In an
additive model the curve is the same in all rows. If it differs, a regression tree divides the rows so that
the curves of all strong columns become similar: Herbinger, Bischl and Casalicchio, Decomposing global feature
effects based on feature interactions, Journal of Machine Learning Research (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.regions.curves import Curves, curve_points
from xrfm_cli.tuning.explain.regions.facts import Region, describe_region
from xrfm_cli.tuning.explain.regions.rules import (
    Feature,
    Rule,
    as_matrix,
    divided,
    every_row,
    rule_features,
)
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.settings import settings_of
from xrfm_cli.tuning.explain.shares import ColumnShare
from xrfm_cli.tuning.explain.swaps import predict_rows, row_ns
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
BUDGET_NS = 1.5e9  # estimated nanoseconds of prediction, for the curves and for the shares of all regions
FEWEST_ROWS, MOST_ROWS = 150, 1_000
MOST_CURVES = 8  # columns whose effects are compared
LEAST_SHARE = 0.01  # of the prediction's variance, of a column whose effect is compared
MOST_RULE_COLUMNS = 20  # columns that rules may use
MOST_REGIONS, MOST_CONDITIONS = 4, 3
SMALLEST_REGION = 0.05  # of the rows
FEWEST_REGION_ROWS = 15
# A split must explain this share of the differences between the curves, and of the predictions' variance: by
# chance the best of some thousand splits of 500 rows explains about 3 %.
LEAST_EXPLAINED, LEAST_OF_VARIANCE = 0.12, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The regions, fewest conditions first; none if the effects are the same everywhere.

    ``differences`` is the variance of the curves of the columns between rows, as a share of the predictions'
    variance; ``explained`` is the share of it that the regions explain.
    """

    regions: tuple[Region, ...]
    differences: float
    explained: float


NO_REGIONS = Regions(regions=(), differences=0.0, explained=0.0)


def find_regions(
    model: FittedModel,
    sample: Sample,
    importances: Sequence[ColumnShare],
    *,
    targets: NDArray[Any] | None = None,
    budget_ns: float = BUDGET_NS,
) -> Regions:
    """Return the regions in which the effects of the strongest columns differ.

    Args:
        model: the ensemble, which predicts as it always does.
        sample: rows in random order.
        importances: shares of the columns, largest first.
        targets: values or class codes of the rows, NaN or negative where missing.
        budget_ns: estimated nanoseconds of prediction.

    Curves of classes are those of log odds, in which additive effects do not differ between rows. Rows are
    weighted by ``p (1 - p)``.
    """
    names = [item.column for item in importances]
    strong = [item.column for item in importances[:MOST_CURVES] if item.share >= LEAST_SHARE]
    settings = [own for column in strong for own in settings_of(model, sample, column)]
    points = [curve_points(setting) for setting in settings]
    count = sum(len(own) for own in points)
    n = min(sample.n_rows, MOST_ROWS)
    if count:
        n = min(n, max(FEWEST_ROWS, int(budget_ns / 2 / row_ns(model) / count)))
    part = sample.take(slice(n))
    features = rule_features(model, part, names[:MOST_RULE_COLUMNS])
    if n < 2 * FEWEST_REGION_ROWS or not features or not count:
        return NO_REGIONS
    plain = predict_rows(model, part.matrices)
    curves = Curves.measure(model, part, plain, [*zip(settings, points, strict=True)])
    whole = np.ones(n, dtype=bool)
    at_first = curves.difference(whole)
    if curves.variance == 0 or at_first < LEAST_OF_VARIANCE * curves.variance:
        return NO_REGIONS
    rules = _grown(
        curves, features, least=max(LEAST_EXPLAINED * at_first, LEAST_OF_VARIANCE * curves.variance)
    )
    left = sum(curves.difference(rule.rows) for rule in rules)
    shares = {item.column: item.share for item in importances}
    known = None if targets is None else targets[:n]
    each_ns = budget_ns / 2 / len(rules)
    return Regions(
        regions=tuple(describe_region(model, part, rule, plain, known, shares, each_ns) for rule in rules)
        if len(rules) > 1
        else (),
        differences=at_first / curves.variance,
        explained=1 - left / at_first,
    )


def _grown(curves: Curves, features: Sequence[Feature], *, least: float) -> list[Rule]:
    """Divide the rows, best division first, as long as one removes at least ``least`` of the differences."""
    rules = [every_row(features)]
    found = {0: _division(curves, features, rules[0])}
    while len(rules) < MOST_REGIONS:
        gains = [found[number][0] for number in range(len(rules))]
        best = int(np.argmax(gains))
        if gains[best] < least:
            break
        rules[best : best + 1] = found[best][1]
        found = {number: _division(curves, features, rule) for number, rule in enumerate(rules)}
    return rules


def _division(curves: Curves, features: Sequence[Feature], rule: Rule) -> tuple[float, tuple[Rule, ...]]:
    """Return the best division of a rule's rows, and the differences between the curves that it removes."""
    from sklearn.tree import DecisionTreeRegressor

    n, rows = len(rule.rows), np.flatnonzero(rule.rows)
    fewest = max(FEWEST_REGION_ROWS, int(SMALLEST_REGION * n))
    if len(rows) < 2 * fewest or len(rule.conditions) >= MOST_CONDITIONS:
        return 0.0, ()
    tree = DecisionTreeRegressor(max_depth=1, min_samples_leaf=fewest, random_state=0)
    tree.fit(as_matrix(features)[rows], curves.within(rule.rows), sample_weight=curves.weights[rows])
    if tree.tree_.node_count < 3:
        return 0.0, ()
    sides = divided(rule, tree, features)
    if min(side.rows.sum() for side in sides) < FEWEST_REGION_ROWS:
        return 0.0, ()
    return curves.difference(rule.rows) - sum(curves.difference(side.rows) for side in sides), sides
