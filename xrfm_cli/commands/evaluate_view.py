"""What ``evaluate`` shows beside the metrics: which classes are confused, and how groups of rows fare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table as Grid

from xrfm_cli.commands.scoring import GroupScore
from xrfm_cli.commands.tables import grid, heading, number, shortened
from xrfm_cli.datasets import TargetSchema

MOST_CLASSES = 6  # that stand side by side in 80 columns; of more, the pairs that are confused most are shown
MOST_PAIRS = 10
MOST_GROUPS = 20
MOST_METRICS = 4


def confusion_view(counts: NDArray[np.int64] | None, target: TargetSchema) -> list[RenderableType]:
    """Rows by class and predicted class; nothing for a regression."""
    if counts is None:
        return []
    labels = [str(label) for label in target.classes]
    if len(labels) <= MOST_CLASSES:
        return [heading("Confusion (a row a class, a column a prediction)"), _square(counts, labels)]
    wrong = counts - np.diag(np.diag(counts))
    most = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(place), len(labels)) for place in most if wrong.flat[place]]
    if not pairs:
        return []
    table = grid("class", "predicted as", "rows", "of class")
    table.columns[2].justify = table.columns[3].justify = "right"
    for true, other in pairs:
        share = wrong[true, other] / counts[true].sum()
        names = (shortened(labels[true], 24), shortened(labels[other], 24))
        table.add_row(*names, f"{wrong[true, other]:,}", f"{share:.0%}")
    return [heading("Confused most"), table]


def groups_view(groups: Sequence[GroupScore], metric: str) -> list[RenderableType]:
    """A table for each column of ``--by``, with the metric that the model was fitted for first."""
    shown: list[RenderableType] = []
    for column in dict.fromkeys(group.column for group in groups):
        own = [group for group in groups if group.column == column]
        names = list(dict.fromkeys([metric, *(name for group in own for name in group.metrics)]))
        names = [name for name in names if any(name in group.metrics for group in own)][:MOST_METRICS]
        table = grid(shortened(column, 24), "rows", *names)
        for title in table.columns[1:]:
            title.justify = "right"
        for group in own[:MOST_GROUPS]:
            value = "missing" if group.value is None else shortened(group.value, 24)
            figures = [number(group.metrics.get(name)) for name in names]
            table.add_row(value, f"{group.rows:,}", *figures, style="dim" if group.value is None else "")
        if len(own) > MOST_GROUPS:
            rest = sum(group.rows for group in own[MOST_GROUPS:])
            table.add_row(f"{len(own) - MOST_GROUPS:,} more", f"{rest:,}", *("" for _ in names), style="dim")
        shown += [heading(f"By {column}"), table]
    return shown


def _square(counts: NDArray[np.int64], labels: Sequence[str]) -> Grid:
    table = grid("", *(shortened(label, 9) for label in labels))
    for title in table.columns[1:]:
        title.justify = "right"
    for label, row in zip(labels, counts.tolist(), strict=True):
        table.add_row(shortened(label, 16), *(f"{count:,}" for count in row))
    return table
