"""Inline SVG figures: text stays text, equal figures give equal bytes, and no global state changes.

Matplotlib takes half a second to import, so it is imported when the first figure is drawn.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from xrfm_cli.printable import printable

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#1f2933"
SOFT = "#7b8794"
LINE = "#d9dee4"
ACCENT = "#1f6f78"
PALE = "#a9cdd1"
WARM = "#c26a2d"
# Colours of the page's light and dark themes, in place of the palette above.
THEMED = {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--mark", PALE: "--mark2", WARM: "--warm"}
LONGEST = 300  # characters of a name
BAND = 0.4  # opacity of a range, through which its line shows
WIDTH = 4.4  # inches: a phone shows figures almost at full size

# Column names may contain anything, so mathematical markup is off.
STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "xrfm",
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the style of the figures, and restore the caller's settings afterwards.

    Import Matplotlib inside this context, which silences its warnings about an unwritable configuration
    folder, as in containers.
    """
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from matplotlib import style

        with warnings.catch_warnings(), style.context(["default", STYLE]):
            # Widths are measured with one font; the browser's fonts have the characters that it lacks.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
            yield
    finally:
        logger.setLevel(level)


def group_digits(axis: Axis) -> None:
    """Write the ticks of an axis as the other charts do: thousands separated, few decimals."""
    from matplotlib.ticker import FuncFormatter

    from xrfm_cli.reports.fit.charts import tick_text

    def words(value: float, _: int | None) -> str:
        ticks = axis.get_majorticklocs()
        return tick_text(value, float(ticks[1] - ticks[0]) if len(ticks) > 1 else abs(value) or 1.0)

    axis.set_major_formatter(FuncFormatter(words))


def to_svg(figure: Figure, label: str) -> Markup:
    """Return a figure as a scalable ``<svg>`` element; ``label`` is for screen readers."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    # Inside HTML an <svg> needs no namespaces, and identifiers must be unique across figures.
    head, body = text.split(">", 1)
    view_box = re.search(r'viewBox="([^"]*)"', head)
    assert view_box is not None
    body = body.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: m.group(0) if m.group(1) in used else "", body)
    mark = hashlib.sha256(f"{label}{body}".encode()).hexdigest()[:8]
    for prefix in (' id="', 'href="#', "url(#"):
        body = body.replace(prefix, f"{prefix}{mark}")
    body = re.sub(r"\n\s*", "\n", body)
    # Matplotlib writes colours into styles, where variables of the page are allowed.
    body = re.sub(r"(?<=: )#[0-9a-f]{6}", lambda m: f"var({THEMED[m[0]]})" if m[0] in THEMED else m[0], body)
    width = float(view_box.group(1).split()[2])
    opening = (
        f'<svg viewBox="{view_box.group(1)}" style="max-width:{width * 1.6:.0f}px" role="img" '
        f'aria-label="{escape(printable(label))}">'
    )
    return Markup(opening + body.strip())


def short_labels(names: Sequence[object], length: int = 24) -> list[str]:
    """Shorten names to one line each, in the middle if they would otherwise look the same.

    >>> short_labels(["measurement_01", "measurement_02", "age"], 10)
    ['measu…t_01', 'measu…t_02', 'age']
    """
    short = [short_label(name, length) for name in names]
    whole = [short_label(name, LONGEST) for name in names]
    return [
        own
        if short.count(own) == 1 or len(full) <= length
        else full[: (length - 1) // 2 + (length - 1) % 2] + "…" + full[len(full) - (length - 1) // 2 :]
        for own, full in zip(short, whole, strict=True)
    ]


def short_label(text: object, length: int = 24) -> str:
    """Shorten a name to one line without control characters.

    >>> short_label("average_monthly_hours_worked", 16), short_label("a\\nb")
    ('average_monthly…', 'a b')
    """
    clean = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in str(text)
    ).strip()
    clean = printable(clean)
    return clean if len(clean) <= length else clean[: length - 1].rstrip() + "…"
