"""Counts of repaired cells and skipped rows, so that no repair is silent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

RepairKind = Literal[
    "missing", "infinite", "unseen category", "unreadable number", "unreadable date",
    "rejected row", "line under the table",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repair:
    """How many cells of a column were repaired, and why; without a column, how many rows were skipped."""

    column: str
    what: RepairKind
    count: int


def merge_repairs(repairs: Iterable[Repair]) -> tuple[Repair, ...]:
    """Return one entry for each column and reason with the counts added, in order of first appearance.

    >>> merge_repairs([Repair("age", "missing", 2), Repair("age", "missing", 1)])
    (Repair(column='age', what='missing', count=3),)
    """
    counts: dict[tuple[str, RepairKind], int] = {}
    for repair in repairs:
        key = (repair.column, repair.what)
        counts[key] = counts.get(key, 0) + repair.count
    return tuple(Repair(column, what, count) for (column, what), count in counts.items() if count > 0)
