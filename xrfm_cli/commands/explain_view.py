"""Terminal tables of an explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from xrfm_cli.reports.formats import decimals, rounded
from xrfm_cli.reports.labels import short_labels
from xrfm_cli.reports.quality import quality_sentence
from xrfm_cli.terminal.tables import Grid, bar, grid, heading, number, shortened

MOST_COLUMNS = 20
MOST_PAIRS, MOST_TRIPLES = 5, 2
NAMES_WIDTH = 47  # characters of the names of columns that act together
# Characters of a line; of share, range, bar and the gaps between them; and of one more gap.
LINE_WIDTH, OTHERS_WIDTH, GAP_WIDTH = 80, 6 + 16 + 13 + 9, 3
MOST_LEAVES = 6


def explanation_tables(document: Mapping[str, Any], *, more: bool = False) -> Iterator[RenderableType]:
    """Yield the parts of an ``explain`` document that fit a terminal, each with a heading.

    ``more`` adds regions, the rules of the splits, and directions.
    """
    yield Text(quality_sentence(document["quality"]))
    yield heading("What matters (share of the prediction's variance)")
    yield _columns(document)
    for note in document["notes"]:
        yield Text(note, style="dim")
    if document["pairs"]:
        yield heading("Columns that act together")
        yield _together([*document["pairs"][:MOST_PAIRS], *document["triples"][:MOST_TRIPLES]])
    if len(document["leaves"]) > 1:
        yield heading("Leaves compared with the whole model")
        yield _leaves(document["leaves"], document["quality"]["metric"])
    if not more:
        return
    yield heading("Regions in which columns move the prediction differently")
    if document["regions"]["found"]:
        yield _regions(document["regions"]["found"], document["quality"]["metric"])
    else:
        yield Text("none found", style="dim")
    if document["splits"]:
        yield heading("The model's own splits, as rules that nearly agree")
        yield _splits(document["splits"])
    if document["directions"]:
        rank = document["effective_rank"]
        yield heading(f"Directions of steepest prediction (effective rank {rank:.1f})")
        yield _directions(document["directions"])


def _columns(document: Mapping[str, Any]) -> Grid:
    """Return the shares, the held-out loss when a column is permuted, and marks for possible chance."""
    chance = {item["column"]: item for item in document["by_chance"]}
    drops = {item["column"]: item["drop"] for item in document["permutation"]}
    places = decimals(drops.values())
    metric = document["quality"]["metric"]
    heads = [f"{metric} lost"] if drops else []
    name_width = LINE_WIDTH - OTHERS_WIDTH - sum(len(head) + GAP_WIDTH for head in heads)
    table = grid("column", "share", "range", *heads, "")
    for place in range(1, len(table.columns) - 1):
        table.columns[place].justify = "right"
    items = document["importances"]
    largest = max((float(item["share"]) for item in items), default=0.0) or 1.0
    names = short_labels([item["column"] for item in items[:MOST_COLUMNS]], max(min(name_width, 24), 10))
    for name, item in zip(names, items, strict=False):
        column, share = item["column"], float(item["share"])
        is_chance = column in chance and not chance[column]["above"]
        spread = f"{float(item['low']):.1%} to {float(item['high']):.1%}"
        lost = [rounded(drops[column], places) if drops.get(column) is not None else ""] if drops else []
        last = "not confirmed" if is_chance else bar(share / largest, width=len("not confirmed"))
        style = "dim" if is_chance else ""
        table.add_row(name, f"{share:.1%}", spread, *lost, last, style=style)
    if len(items) > MOST_COLUMNS:
        rest = sum(float(item["share"]) for item in items[MOST_COLUMNS:])
        blank = [""] * (len(table.columns) - 2)
        table.add_row(f"{len(items) - MOST_COLUMNS} more", f"{rest:.1%}", *blank, style="dim")
    return table


def _together(found: Sequence[Mapping[str, Any]]) -> Grid:
    """Return pairs and triples, each with its interaction."""
    table = grid("columns", "interaction", "range")
    table.columns[1].justify = table.columns[2].justify = "right"
    for item in found:
        width = (NAMES_WIDTH - GAP_WIDTH * (len(item["columns"]) - 1)) // len(item["columns"])
        names = " × ".join(shortened(str(name), width) for name in item["columns"])
        spread = f"{item['low']:.1%} to {item['high']:.1%}"
        table.add_row(names, f"{item['interaction']:.1%}", spread)
    return table


def _leaves(leaves: Sequence[Mapping[str, Any]], metric: str) -> Grid:
    has_target = any(leaf["mean_target"] is not None for leaf in leaves)
    table = grid(
        "leaf", "rows", "predicted", *(["target", metric] if has_target else []), "what matters there"
    )
    for column in table.columns[1:-1]:
        column.justify = "right"
    for place, leaf in enumerate(leaves[:MOST_LEAVES]):
        largest = [shortened(str(item["column"]), 18) for item in leaf["importances"][:3]]
        facts = ("mean_prediction", *(("mean_target", "score") if has_target else ()))
        measured = ["" if leaf[name] is None else number(leaf[name]) for name in facts]
        table.add_row(str(leaf.get("leaf", place)), f"{leaf['rows']:,}", *measured, ", ".join(largest))
    if len(leaves) > MOST_LEAVES:
        blank = [""] * (len(table.columns) - 2)
        table.add_row(f"{len(leaves) - MOST_LEAVES} more", *blank, "in the full report", style="dim")
    return table


def _regions(regions: Sequence[Mapping[str, Any]], metric: str) -> Grid:
    has_target = regions[0]["mean_target"] is not None
    titles = ("rows", "predicted", *(["target", metric] if has_target else []), "what matters", "where")
    table = grid(*titles)
    for place in range(len(titles) - 2):
        table.columns[place].justify = "right"
    for region in regions:
        largest = [f"{shortened(str(own['column']), 14)} {own['share']:.0%}" for own in region["columns"][:2]]
        measured = [number(region["mean_target"]), number(region["score"])] if has_target else []
        predicted = number(region["mean_prediction"])
        cells = (f"{region['share']:.0%}", predicted, *measured, ", ".join(largest))
        table.add_row(*cells, region["words"])
    return table


def _splits(splits: Sequence[Mapping[str, Any]]) -> Grid:
    table = grid("split", "agreement", "high side, where")
    table.columns[1].justify = "right"
    for split in splits[:MOST_LEAVES]:
        agreement = "" if split["agreement"] is None else f"{split['agreement']:.0%}"
        table.add_row(str(split["split"]), agreement, split["rule"] or "no short rule")
    if len(splits) > MOST_LEAVES:
        table.add_row(f"{len(splits) - MOST_LEAVES} more", "", "in the full report", style="dim")
    return table


def _directions(directions: Sequence[Mapping[str, Any]]) -> Grid:
    table = grid("share", "by chance", "sign", "weights")
    table.columns[0].justify = table.columns[1].justify = "right"
    groups = [item["group"] for item in directions]
    for item in directions:
        weights = [
            f"{weight:+.2f} {shortened(str(name), 18)}" for name, weight in list(item["weights"].items())[:4]
        ]
        angle = "" if item["angle"] is None else f"{item['angle']:.0f}°"
        is_tied = groups.count(item["group"]) > 1
        sign = "tied" if is_tied else "rises" if item["oriented"] else "arbitrary"
        table.add_row(f"{item['share']:.1%}", angle, sign, ", ".join(weights))
    return table
