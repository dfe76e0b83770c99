"""Turn dotted names such as ``member.0.leaf.3.centers`` into nested mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")


def by_first_part(values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Group values by the part of their name before the first dot; the rest of the name is the inner key.

    >>> by_first_part({"leaf.0.centers": 1, "leaf.1.centers": 2, "directions": 3})
    {'leaf': {'0.centers': 1, '1.centers': 2}, 'directions': {'': 3}}
    """
    parts: dict[str, dict[str, Value]] = {}
    for name, value in values.items():
        first, _, rest = name.partition(".")
        parts.setdefault(first, {})[rest] = value
    return parts


def numbered(values: Mapping[str, Value], count: int) -> list[dict[str, Value]]:
    """Group values by the leading number of their names into ``count`` parts; ValueError for any other name.

    >>> numbered({"1.centers": 2}, 2)
    [{}, {'centers': 2}]
    """
    parts = by_first_part(values)
    unknown = set(parts) - {str(number) for number in range(count)}
    if unknown:
        raise ValueError(f"unexpected tensor part '{min(unknown)}'; the number of parts is {count:,}")
    return [parts.get(str(number), {}) for number in range(count)]
