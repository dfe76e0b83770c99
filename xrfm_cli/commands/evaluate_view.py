"""Terminal tables of ``evaluate`` besides the metrics: the confusion matrix, and metrics by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType

from xrfm_cli.commands.common.scoring import Group
from xrfm_cli.datasets import TargetSchema
from xrfm_cli.terminal.tables import Grid, grid, heading, number, shortened

MOST_CLASSES = 6  # as many as fit in 80 columns; with more classes, the most confused pairs are shown
MOST_PAIRS = 10
MOST_GROUPS = 20
MOST_METRICS = 4
METRICS_WIDTH, NUMBER_WIDTH = 44, 8  # characters for all metrics of a group, and for a number


def confusion_view(counts: NDArray[np.int64] | None, target: TargetSchema) -> list[RenderableType]:
    """Return row counts by class and predicted class; nothing for a regression."""
    if counts is None:
        return []
    labels = [str(label) for label in target.classes]
    if len(labels) <= MOST_CLASSES:
        return [heading("Confusion matrix (rows: class, columns: prediction)"), _square(counts, labels)]
    wrong = counts - np.diag(np.diag(counts))
    most = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(place), len(labels)) for place in most if wrong.flat[place]]
    if not pairs:
        return []
    table = grid("class", "predicted as", "rows", "of class", wraps=0)
    table.columns[2].justify = table.columns[3].justify = "right"
    for true, other in pairs:
        share = wrong[true, other] / counts[true].sum()
        names = (shortened(labels[true], 24), shortened(labels[other], 24))
        table.add_row(*names, f"{wrong[true, other]:,}", f"{share:.0%}")
    return [heading("Confused most"), table]


def groups_view(by_group: Sequence[tuple[Group, Mapping[str, float]]], metric: str) -> list[RenderableType]:
    """Return a table for each column of ``--by``, starting with the metric that the fit optimised."""
    shown: list[RenderableType] = []
    for column in dict.fromkeys(group.column for group, _ in by_group):
        own = [(group, metrics) for group, metrics in by_group if group.column == column]
        known = dict.fromkeys(name for _, metrics in own for name in metrics)
        names = _fitting(sorted(known, key=lambda name: name != metric)[:MOST_METRICS])
        table = grid(shortened(column, 24), "rows", *names, wraps=0)
        for title in table.columns[1:]:
            title.justify = "right"
        for group, metrics in own[:MOST_GROUPS]:
            value = "missing" if group.value is None else shortened(group.value, 24)
            figures = [number(metrics.get(name)) for name in names]
            style = "dim" if group.value is None else ""
            table.add_row(value, f"{len(group.rows):,}", *figures, style=style)
        if len(own) > MOST_GROUPS:
            rest = sum(len(group.rows) for group, _ in own[MOST_GROUPS:])
            table.add_row(f"{len(own) - MOST_GROUPS:,} more", f"{rest:,}", *("" for _ in names), style="dim")
        shown += [heading(f"By {column}"), table]
    return shown


def _fitting(names: Sequence[str]) -> list[str]:
    """Return as many metrics as fit beside a group and its rows, with their names in one line.

    >>> _fitting(["auc", "average_precision", "balanced_accuracy", "f1"])
    ['auc', 'average_precision', 'f1']
    """
    shown, left = list[str](), METRICS_WIDTH
    for name in names:
        width = max(len(name), NUMBER_WIDTH) + 2
        if not shown or width <= left:
            shown.append(name)
            left -= width
    return shown


def _square(counts: NDArray[np.int64], labels: Sequence[str]) -> Grid:
    table = grid("", *(shortened(label, 9) for label in labels))
    for title in table.columns[1:]:
        title.justify = "right"
    for label, row in zip(labels, counts.tolist(), strict=True):
        table.add_row(shortened(label, 16), *(f"{count:,}" for count in row))
    return table
