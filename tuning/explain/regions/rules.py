"""Rules of a shallow tree in the units of the user's table, such as ``age above 41 and city is Graz``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.settings import MICROSECONDS, Kind, settings_of
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Operator = Literal["above", "at most", "is", "is not"]
MOVED_SHARE = 0.01  # share of the rows that a threshold may move past to become a shorter number
DAY = 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition on a column, or on one part of a date."""

    column: str
    part: str  # of a date: elapsed, month, weekday and so on; empty otherwise
    kind: Kind
    operator: Operator
    value: float | str  # microseconds since 1970 for moments
    or_missing: bool = False  # missing values fulfil it too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feature:
    """A number, or the indicator of a level, that conditions of rules can use."""

    column: str
    part: str
    kind: Kind
    level: str | None  # of an indicator
    values: Array  # (n,), NaN where missing


def rule_features(model: FittedModel, sample: Sample, columns: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of columns: numbers, moments, and one indicator for each level."""
    return tuple(own for column in columns for own in _features(model, sample, column))


def _features(model: FittedModel, sample: Sample, column: str) -> Iterator[Feature]:
    for setting in settings_of(model, sample, column):
        named: dict[str, Any] = {"column": column, "part": setting.part, "kind": setting.kind}
        if setting.kind != "levels":
            yield Feature(**named, level=None, values=setting.values)
            continue
        for code, level in enumerate(setting.points[: 1 if len(setting.points) == 2 else None]):
            yield Feature(**named, level=level, values=(setting.values == code).astype(np.float64))


def as_matrix(features: Sequence[Feature]) -> NDArray[np.float32]:  # -> (n, features)
    """Return the features side by side, as scikit-learn's trees take them: by their ranks.

    A tree uses only the order, and float32 cannot represent moments and very large numbers exactly.
    """
    return np.stack([_ranks(own) for own in features], axis=1)


def _ranks(feature: Feature) -> NDArray[np.float32]:  # -> (n,)
    if feature.level is not None:
        return feature.values.astype(np.float32)
    known = np.isfinite(feature.values)
    out = np.full(len(known), np.nan, dtype=np.float32)
    out[known] = np.searchsorted(np.unique(feature.values[known]), feature.values[known])
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """Conditions, and the rows that fulfil all of them."""

    conditions: tuple[Condition, ...]
    rows: Mask  # (n,)


def every_row(features: Sequence[Feature]) -> Rule:
    """Return the rule without conditions."""
    return Rule(conditions=(), rows=np.ones(len(features[0].values), dtype=bool))


def divided(rule: Rule, tree: Any, features: Sequence[Feature], node: int = 0) -> tuple[Rule, Rule]:
    """Return the two sides of a rule that a node of a scikit-learn tree divides."""
    known = tree.tree_
    feature = features[known.feature[node]]
    to_left = bool(known.missing_go_to_left[node])
    below, above = _sides(feature, float(known.threshold[node]), rule.rows, missing_below=to_left)
    holds = fulfilled(below, feature)
    return (
        Rule(conditions=_simplified((*rule.conditions, below)), rows=rule.rows & holds),
        Rule(conditions=_simplified((*rule.conditions, above)), rows=rule.rows & ~holds),
    )


def fulfilled(condition: Condition, feature: Feature) -> Mask:
    """Return which rows fulfil a condition on a feature."""
    if feature.level is not None:
        return (feature.values > 0) == (condition.operator == "is")
    missing = np.isnan(feature.values)
    assert isinstance(condition.value, float)
    above = feature.values > condition.value
    return np.where(missing, condition.or_missing, above if condition.operator == "above" else ~above)


def shortest_between(low: float, high: float) -> float:
    """Return the decimal number with the fewest digits that is at least ``low`` and below ``high``.

    >>> shortest_between(-0.013, 0.002), shortest_between(41.0, 42.0), shortest_between(0.3187, 0.3241)
    (0.0, 41.0, 0.32)

    Of several such numbers it is one in the middle.

    >>> shortest_between(1234.5, 1260.0)
    1250.0
    """
    if low <= 0 < high:
        return 0.0
    largest = max(abs(low), abs(high))
    if not (low < high and math.isfinite(largest)):
        return low
    first = -math.floor(math.log10(largest))
    for digits in range(first - 1, first + 17):
        for candidate in (round(low / 2 + high / 2, digits), _rounded_up(low, digits)):
            if low <= candidate < high:
                return candidate
    return low


def _rounded_up(value: float, digits: int) -> float:
    rounded = round(value, digits)
    return rounded if rounded >= value else round(rounded + 10.0**-digits, digits)


def _sides(
    feature: Feature, threshold: float, rows: Mask, *, missing_below: bool
) -> tuple[Condition, Condition]:
    """Return the conditions of the two sides of a split at a rank."""
    named: dict[str, Any] = {"column": feature.column, "part": feature.part, "kind": feature.kind}
    if feature.level is not None:
        no, yes = (
            Condition(**named, operator=operator, value=feature.level) for operator in ("is not", "is")
        )
        return no, yes
    own = feature.values[rows]
    known = np.sort(own[np.isfinite(own)])
    has_missing = len(known) < len(own)
    last_below = np.unique(feature.values[np.isfinite(feature.values)])[int(threshold)]
    place, moved = int(np.searchsorted(known, last_below, side="right")), int(MOVED_SHARE * len(known))
    low, high = known[max(0, place - 1 - moved)], known[min(len(known) - 1, place + moved)]
    value = _simple(float(low), float(high), is_moment=feature.kind == "datetime")
    below = Condition(**named, operator="at most", value=value, or_missing=has_missing and missing_below)
    above = Condition(**named, operator="above", value=value, or_missing=has_missing and not missing_below)
    return below, above


def _simple(low: float, high: float, *, is_moment: bool) -> float:
    if is_moment:
        midnight = math.ceil(low / DAY) * DAY
        return midnight if midnight < high else low
    return shortest_between(low, high)


def _simplified(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """Leave out conditions that others on the same column imply."""
    kept: list[Condition] = []
    for number, own in enumerate(conditions):
        later = [other for other in conditions[number + 1 :] if _place(other) == _place(own)]
        if own.operator in ("above", "at most"):
            implied = any(other.operator == own.operator for other in later)  # later ones are narrower
        else:
            implied = own.operator == "is not" and any(
                other.operator == "is" for other in conditions if _place(other) == _place(own)
            )
        if not implied:
            kept.append(own)
    return tuple(kept)


def _place(condition: Condition) -> tuple[str, str]:
    return condition.column, condition.part
