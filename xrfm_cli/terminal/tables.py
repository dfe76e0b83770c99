"""Result tables for a terminal of 80 columns: plain tables, aligned numbers, thin bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from xrfm_cli.datasets import ColumnSchema, TableSchema, TargetSchema
from xrfm_cli.options.thresholds import Verdict
from xrfm_cli.printable import counted, printable
from xrfm_cli.terminal.generalisation_gap import GeneralisationGap
from xrfm_cli.tuning.model.drift import ColumnDrift
from xrfm_cli.urls import link_of

BAR_WIDTH = 28
EIGHTHS = " ▏▎▍▌▋▊▉█"
MOST_COLUMNS = 40  # a wider table is summarised by kind; the report has the reasons
MOST_IMPORTANCES = 10
LEAST_DRIFTS, MOST_DRIFTS = 5, 20


class Grid(Table):
    """A table that prints each text in one line, because names and levels may contain anything."""

    def add_row(self, *cells: RenderableType | None, **style: Any) -> None:
        """Append a row."""
        super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **style)

    def add_column(self, header: RenderableType = "", *more: Any, **style: Any) -> None:
        """Append a column."""
        super().add_column(printable(header) if isinstance(header, str) else header, *more, **style)


def heading(text: str) -> Padding:
    """Return a title for a table."""
    return Padding(Text(printable(text), style="bold"), (1, 0, 0, 0), expand=False)


def linked(path: Path, remark: str = "") -> Text:
    """Return an indented path that many terminals open with a click, and a remark."""
    text = Text("  ", no_wrap=True)
    text.append(printable(str(path)), Style(link=link_of(path)))
    return text.append(printable(remark), "dim")


def bar(share: float, *, width: int = BAR_WIDTH) -> str:
    """Return a bar of ``share`` of the width, in eighths of a character.

    >>> bar(0.5, width=4), bar(0.03, width=4)
    ('██', '▏')
    """
    eighths = max(round(min(max(share, 0.0), 1.0) * width * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def number(value: float | None) -> str:
    """Format a number with four significant digits, and an exponent only if necessary.

    >>> number(0.123456), number(1234567.0), number(2104.27), number(None)
    ('0.1235', '1,234,567', '2,104', '-')
    """
    if value is None:
        return "-"
    if value != 0 and not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def columns_table(schema: TableSchema) -> Grid:
    """Return the columns with kind and reason, in table order; a wide table is summarised by kind."""
    if len(schema.columns) > MOST_COLUMNS:
        return _kinds_table(schema.columns)
    table = grid("column", "kind", "why")
    for column in schema.columns:
        style = "" if column.role == "feature" else "dim"
        table.add_row(shortened(column.name, 24), kind_or_role(column), column.reason, style=style)
    return table


def _kinds_table(columns: Sequence[ColumnSchema]) -> Grid:
    table = grid("kind", "columns", "which")
    by_kind: dict[str, list[str]] = {}
    for column in columns:
        by_kind.setdefault(kind_or_role(column), []).append(column.name)
    for kind, names in by_kind.items():
        listed = ", ".join(shortened(name, 24) for name in names[:8]) + (", ..." if len(names) > 8 else "")
        table.add_row(kind, str(len(names)), listed)
    return table


def kind_or_role(column: ColumnSchema) -> str:
    """Return a column's kind, or its role if it is not a feature."""
    return str(column.kind if column.role == "feature" else column.role)


def scores_table(
    ours: tuple[str, float], others: Iterable[tuple[str, float]], *, lower_is_better: bool
) -> Grid:
    """Return the scores of the model and the baselines, best first, with bars for their size."""
    table = grid("model", "score", "")
    table.columns[1].justify = "right"
    rows = [(*ours, True), *((name, score, False) for name, score in others)]
    rows.sort(key=lambda row: row[1] if lower_is_better else -row[1])
    scale = max((abs(score) for _, score, _ in rows if _is_finite(score)), default=0.0) or 1.0
    for name, score, is_ours in rows:
        style = "bold green" if is_ours else ""
        table.add_row(name, number(score), bar(abs(score) / scale if _is_finite(score) else 0), style=style)
    return table


def positive_lines(target: TargetSchema, *, hint: str = "") -> list[str]:
    """Return a line with the positive class, which metrics such as f1 need; none unless binary.

    >>> target = TargetSchema(name="y", task="binary", reason="", classes=("no", "yes"), positive="yes")
    >>> positive_lines(target, hint="--positive changes it")
    ['positive: yes (--positive changes it)']
    """
    if target.positive is None:
        return []
    return [f"positive: {shortened(str(target.positive), 40)}" + (f" ({hint})" if hint else "")]


def importances_table(importances: Sequence[Mapping[str, Any]], *, most: int = MOST_IMPORTANCES) -> Grid:
    """Return the most important columns with bars and the range of their shares."""
    table = grid("column", "share", "range", "")
    table.columns[1].justify = table.columns[2].justify = "right"
    largest = max((float(item["share"]) for item in importances), default=0.0) or 1.0
    for item in importances[:most]:
        share = float(item["share"])
        spread = f"{float(item['low']):.1%} to {float(item['high']):.1%}"
        table.add_row(
            shortened(str(item["column"]), 28), f"{share:.1%}", spread, bar(share / largest, width=22)
        )
    if len(importances) > most:
        rest = sum(float(item["share"]) for item in importances[most:])
        table.add_row(f"{len(importances) - most} more", f"{rest:.1%}", "", "", style="dim")
    return table


def metrics_table(
    metrics: Mapping[str, float],
    verdicts: Sequence[Verdict],
    gaps: Mapping[str, GeneralisationGap],
    *,
    rows: int,
) -> Grid:
    """Return test metrics beside the fit's out-of-fold metrics, and whether each threshold was met."""
    compared = any(gap.worse_by is not None for gap in gaps.values())
    titles = ["out of fold", *(["worse by"] if compared else [])]
    table = grid("metric", counted(rows, "row"), *titles, *(["threshold", ""] if verdicts else []))
    for column in table.columns[1 : 2 + len(titles)]:
        column.justify = "right"
    for name, value in metrics.items():
        gap = gaps.get(name)
        promised = [number(None if gap is None else gap.value)]
        if compared:
            worse_by = None if gap is None else gap.worse_by
            promised.append("" if worse_by is None else f"{round(worse_by, 1) + 0.0:+.1f}")
        of_this = [item for item in verdicts if item.metric == name]
        asked = ", ".join(f"{_direction(item)} {item.limit:g}" for item in of_this)
        failed = any(not item.passed for item in of_this)
        mark = "" if not of_this else "missed" if failed else "met"
        compared_with = (asked, mark) if verdicts else ()
        table.add_row(name, number(value), *promised, *compared_with, style="bold red" if failed else "")
    return table


def drift_table(drifts: Sequence[ColumnDrift], *, threshold: float) -> Grid:
    """Return the columns that drifted most, the drift expected by chance, and the bin that changed most."""
    table = grid("column", "index", "by chance", "largest change", "", wraps=3)
    table.columns[1].justify = table.columns[2].justify = "right"
    moved = sum(item.exceeds(threshold) for item in drifts)
    shown = drifts[: min(max(moved, LEAST_DRIFTS), MOST_DRIFTS)]
    for item in shown:
        change, exceeds = item.largest_change, item.exceeds(threshold)
        table.add_row(
            shortened(item.column, 18),
            f"{item.index:.3f}",
            f"{item.by_chance:.3f}",
            f"{shortened(change.bin, 18)}: {change.training:.0%} to {change.now:.0%}",
            f"above {threshold:g}" if exceeds else "",
            style="bold red" if exceeds else "",
        )
    if len(drifts) > len(shown):
        table.add_row(f"{len(drifts) - len(shown):,} more", "", "", "", "", style="dim")
    return table


def _direction(verdict: Verdict) -> str:
    return "at least" if verdict.option == "fail_under" else "at most"


def facts_table(title: str, facts: Mapping[str, str]) -> Grid:
    """Return names and values under a title."""
    table = Grid(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), title=title)
    table.title_justify, table.title_style = "left", "bold"
    table.add_column(min_width=18)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(f"  {name}", value)
    return table


def grid(*titles: str, wraps: int = -1) -> Grid:
    """Return a table with a line under its header and no other borders.

    Only one column, by default the last, wraps its words in a narrow terminal. The others keep their cells in
    one line, because a column that is made narrower than a word would break it in the middle.
    """
    table = Grid(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False
    )
    wrapping = wraps % len(titles)
    for place, title in enumerate(titles):
        is_wrapping = place == wrapping
        table.add_column(title, overflow="fold" if is_wrapping else "ellipsis", no_wrap=not is_wrapping)
    return table


def shortened(text: str, width: int) -> str:
    """Cut a text to a width, with an ellipsis if it was longer."""
    return text if len(text) <= width else text[: width - 1] + "…"


def _is_finite(value: float) -> bool:
    return abs(value) < float("inf")
