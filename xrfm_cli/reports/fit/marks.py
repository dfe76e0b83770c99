"""Single marks of charts as SVG: cells, labels and small distributions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from xrfm_cli.printable import printable

LARGEST = 1.2  # times its width at most, so that a chart alone has the text size of its neighbours
PALEST = 0.08  # opacity of the palest cell of a map


def drawing(width: float, height: float, finding: str, body: str) -> Markup:
    """Return an SVG element that scales with the page."""
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{LARGEST * width:.0f}px" role="img" '
        f'aria-label="{escape(printable(finding))}">{body}</svg>'
    )


def sparkline(counts: Sequence[float], widths: Sequence[float] = (), label: str = "") -> Markup:
    """Draw a distribution as small bars; ``widths`` are relative, and equal by default."""
    if not len(counts) or max(counts) <= 0:
        return Markup("")
    parts = np.asarray(widths, dtype=float) if len(widths) else np.ones(len(counts))
    ends = 96 * np.concatenate([[0.0], np.cumsum(parts)]) / parts.sum()
    bars = [
        f'<rect class="fill2" x="{a:.1f}" y="{20 - max(20 * n / max(counts), 0.7 if n else 0):.1f}" '
        f'width="{max(b - a - 0.6, 0.6):.1f}" height="{max(20 * n / max(counts), 0.7 if n else 0):.1f}"/>'
        for a, b, n in zip(ends, ends[1:], counts, strict=False)
    ]
    return Markup(
        f'<svg class="spark" viewBox="0 0 96 20" width="96" height="20" role="img" '
        f'aria-label="{escape(printable(label))}">{"".join(bars)}</svg>'
    )


def heat_cell(place: tuple[float, float, float, float], shade: float, tip: str, style: str = "heat") -> str:
    """Return a cell at (left, top, width, height), the darker the larger its shade from 0 to 1."""
    a, b, width, height = place
    return (
        f'<rect class="{style}" x="{a:.1f}" y="{b:.1f}" width="{width - 1:.1f}" height="{height - 1:.1f}" '
        f'fill-opacity="{PALEST + (1 - PALEST) * shade:.2f}"{tip_of(tip)}/>'
    )


def tip_of(words: str) -> str:
    """Return the attribute with what a mark tells on hover."""
    return f' data-tip="{escape(printable(words))}"' if words else ""


def label_at(style: str, x: float, y: float, words: str, anchor: str) -> str:
    """Return a text element at a position in pixels."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(words)}</text>'


def label_up(x: float, y: float, words: str) -> str:
    """Return a text element that is read upwards and ends at a position in pixels."""
    place = f"translate({x:.1f} {y:.1f}) rotate(-90)"
    return f'<text class="tick" text-anchor="end" transform="{place}">{escaped(words)}</text>'


def escaped(words: str) -> str:
    """Return words that may stand in SVG."""
    return str(escape(printable(words)))
