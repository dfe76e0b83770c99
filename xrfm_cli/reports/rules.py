"""Rules in words, such as ``age above 41 and city is Graz``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xrfm_cli.reports.formats import number
from xrfm_cli.tuning.explain.regions.rules import Condition
from xrfm_cli.tuning.explain.regions.search import Region, Regions
from xrfm_cli.tuning.model.profile import MISSING

EVERY_ROW = "all rows"
GROUPED_FROM = 100_000  # smaller numbers, such as years, have no separators


def condition_words(condition: Condition) -> str:
    """Return a condition in words.

    >>> number = {"column": "age", "part": "", "kind": "numeric", "value": 41.0}
    >>> condition_words(Condition(**number, operator="above", or_missing=True))
    'age above 41 or missing'
    >>> condition_words(Condition(column="d", part="weekday", kind="levels", operator="is", value="Monday"))
    'd (weekday) is Monday'
    """
    name = f"{condition.column} ({condition.part})" if condition.part else condition.column
    if isinstance(condition.value, str):
        return f"{name} {condition.operator} {condition.value}"
    if condition.kind == "datetime":
        name = condition.column
        operator = {"above": "after", "at most": "until"}[condition.operator]
        said = f"{name} {operator} {_moment(condition.value)}"
    else:
        said = f"{name} {condition.operator} {_number(condition.value)}"
    return f"{said} or {MISSING}" if condition.or_missing else said


def rule_words(conditions: Sequence[Condition]) -> str:
    """Return the conditions of a rule, all of which hold."""
    return " and ".join(condition_words(own) for own in conditions) or EVERY_ROW


def alternatives_words(alternatives: Sequence[Sequence[Condition]]) -> str:
    """Return rules of which one holds."""
    return ", or ".join(rule_words(own) for own in alternatives)


def regions_document(found: Regions) -> dict[str, Any]:
    """Return the regions, ready for JSON."""
    return {
        "differences": found.differences,
        "explained": found.explained,
        "found": [_region_document(region) for region in found.regions],
    }


def _region_document(region: Region) -> dict[str, Any]:
    return {
        "words": rule_words(region.conditions),
        "conditions": [
            {
                "column": own.column,
                "part": own.part,
                "operator": own.operator,
                "value": _moment(own.value)
                if own.kind == "datetime" and not isinstance(own.value, str)
                else own.value,
                "or_missing": own.or_missing,
            }
            for own in region.conditions
        ],
        "rows": region.rows,
        "share": region.share,
        "class": region.output,
        "mean_prediction": region.mean_prediction,
        "mean_target": region.mean_target,
        "score": region.score,
        "columns": [
            {"column": own.column, "share": own.share, "whole": own.whole, "change": own.change}
            for own in region.columns
        ],
    }


def _moment(microseconds: float) -> str:
    text = str(np.datetime64(int(microseconds), "us").astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")


def _number(value: float) -> str:
    if abs(value) < GROUPED_FROM and value == int(value):
        return str(int(value))
    return number(value) if float(f"{value:.4g}") == value or abs(value) >= GROUPED_FROM else f"{value:.10g}"
