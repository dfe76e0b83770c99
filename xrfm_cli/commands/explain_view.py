"""Terminal tables of an explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from xrfm_cli.terminal.tables import Grid, grid, heading, importances_table, number, shortened

MOST_DIRECTIONS = 3
MOST_PAIRS = 5
MOST_LEAVES = 6


def explanation_tables(document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the parts of an ``explain`` document that fit a terminal, each with a heading."""
    yield heading("What matters (share of the squared sensitivity, with bootstrap interval)")
    yield importances_table(document["importances"], most=20)
    if document["directions"]:
        yield heading("Learned directions")
        yield _directions(document["directions"][:MOST_DIRECTIONS])
    if document["pairs"]:
        yield heading("Columns that act together")
        yield _pairs(document["pairs"][:MOST_PAIRS])
    if len(document["leaves"]) > 1:
        yield heading("Leaves compared with the whole model")
        yield _leaves(document["leaves"])


def _directions(directions: Sequence[Mapping[str, Any]]) -> Grid:
    table = grid("share", "direction")
    table.columns[0].justify = "right"
    for direction in directions:
        weights = sorted(direction["weights"].items(), key=lambda item: -abs(item[1]))[:3]
        words = "  ".join(f"{weight:+.2f} {shortened(name, 16)}" for name, weight in weights)
        table.add_row(f"{direction['share']:.1%}", words)
    return table


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Grid:
    table = grid("columns", "co-sensitivity", "interaction")
    table.columns[1].justify = table.columns[2].justify = "right"
    for pair in pairs:
        names = " × ".join(shortened(str(name), 22) for name in pair["columns"])
        table.add_row(names, number(pair["co_sensitivity"]), number(pair["interaction"]))
    return table


def _leaves(leaves: Sequence[Mapping[str, Any]]) -> Grid:
    table = grid("leaf", "rows", "what matters there")
    table.columns[1].justify = "right"
    for place, leaf in enumerate(leaves[:MOST_LEAVES]):
        largest = [shortened(str(item["column"]), 18) for item in leaf["importances"][:3]]
        table.add_row(str(leaf.get("leaf", place)), f"{leaf['rows']:,}", ", ".join(largest))
    if len(leaves) > MOST_LEAVES:
        table.add_row(f"{len(leaves) - MOST_LEAVES} more", "", "in the full report", style="dim")
    return table
