"""Draw small charts as inline SVG, with readable ticks, values on hover and the page's colours.

Colours are CSS classes, so a chart follows the light and the dark theme, and paper. A mark with a value has a
``data-tip``, which the page's script shows on hover; the figure's table has the same values for readers
without a mouse. Drawing takes about a millisecond; importing Matplotlib alone takes half a second.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from xrfm_cli.reports.fit.marks import drawing, escaped, heat_cell, label_at, tip_of

WIDTH = 440.0  # of a chart, in CSS pixels: a phone shows it almost at full size
GLYPH, WIDE_GLYPH, THIN_GLYPH = 6.8, 10.0, 3.8  # widths of a character of an axis label, in pixels
LABEL_GAP = 6.0  # pixels between labels
RIGHT, TOP, BOTTOM = 24.0, 10.0, 38.0  # margins in pixels
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # a tick step is one of these times a power of ten
DAY_US = 86_400e6  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with what it shows: a title, the finding in words, and the data behind it."""

    title: str
    finding: str
    svg: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A linear axis with its ticks."""

    low: float
    high: float
    label: str
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Return the position of a value, 0 at the lower end and 1 at the upper; cut off beyond them."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def number_axis(
    low: float, high: float, label: str, *, count: int = 5, is_exact: bool = False, is_whole: bool = False
) -> Axis:
    """Return an axis over a range; with ``is_exact`` it ends at the range, otherwise at ticks.

    With ``is_whole`` the ticks are whole numbers.

    >>> [words for _, words in number_axis(0, 3, "trial", count=6, is_whole=True).ticks]
    ['0', '1', '2', '3']
    """
    if not high > low:
        low, high = low - (abs(low) or 1.0) * 0.1, high + (abs(high) or 1.0) * 0.1
    step = tick_step(high - low, count)
    step = float(math.ceil(step)) if is_whole else step
    if not is_exact:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple((k * step, tick_text(k * step, step)) for k in range(first, last + 1))
    return Axis(low=low, high=high, label=label, ticks=ticks)


def date_axis(low: float, high: float, label: str, *, count: int = 4) -> Axis:
    """Return an axis over microseconds since 1970, with dates at its ticks."""
    moments = np.linspace(low, high, count)
    parts = "D" if (high - low) / DAY_US > count else "m"
    ticks = tuple(
        (
            float(moment),
            str(np.datetime64(int(moment), "us").astype(f"datetime64[{parts}]")).replace("T", " "),
        )
        for moment in moments[1:-1]
    )
    return Axis(low=low, high=high, label=label, ticks=ticks)


def tick_step(span: float, count: int) -> float:
    """Return a round step that divides ``span`` into about ``count`` parts.

    >>> tick_step(45_000.0, 5), tick_step(0.9, 5)
    (10000.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(step * power for step in STEPS if step * power * (count + 0.5) >= span)


def text_width(text: str) -> float:
    """Return about how wide the label of an axis is, in pixels.

    >>> round(text_width("mm"), 1), round(text_width("il"), 1), round(text_width("ab"), 1)
    (20.0, 7.6, 13.6)
    """
    return sum(
        WIDE_GLYPH if glyph in "mwMW@%" else THIN_GLYPH if glyph in "fijlrtI.,:;|'() " else GLYPH
        for glyph in text
    )


def tick_text(value: float, step: float) -> str:
    """Write a tick with the decimals of its step and thousands separated; an exponent only if needed.

    >>> tick_text(25_030.0, 10.0), tick_text(0.30000000000000004, 0.1), tick_text(-2.5, 2.5)
    ('25,030', '0.3', '−2.5')
    """
    if value == 0 or abs(value) < step * 1e-6:
        return "0"
    if abs(value) >= 1e9 or step < 1e-5:
        return f"{value:.3g}".replace("-", "−")
    decimals = next(k for k in range(8) if abs(step * 10**k - round(step * 10**k)) < 1e-6 * step * 10**k)
    return f"{value:,.{decimals}f}".replace("-", "−")


@dataclass(slots=True, kw_only=True)
class Chart:
    """A drawing area between two axes; marks are appended in order of drawing."""

    x: Axis
    y: Axis | None  # None for rows with names
    names: Sequence[str] = ()  # of the rows, from top to bottom
    height: float = 250.0
    width: float = WIDTH
    has_grid: bool = True
    left: float = field(init=False)  # the width of the left margin, for the longest label
    _marks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Measure the left margin, once for all marks."""
        texts = [text for _, text in self.y.ticks] if self.y is not None else list(self.names)
        named = 14.0 if self.y is not None and self.y.label else 0.0
        self.left = min(14.0 + max(map(text_width, texts), default=0.0) + named, 0.48 * self.width)

    def place_x(self, value: float) -> float:
        """Return the horizontal position of a value, in pixels."""
        return self.left + self.x.share(value) * (self.width - self.left - RIGHT)

    def place_y(self, value: float) -> float:
        """Return the vertical position of a value, or of the middle of a row, in pixels."""
        inner = self.height - TOP - BOTTOM
        if self.y is None:
            return TOP + (value + 0.5) * inner / max(len(self.names), 1)
        return TOP + (1 - self.y.share(value)) * inner

    def line(self, x: Sequence[float], y: Sequence[float], style: str, *, is_step: bool = False) -> None:
        """Draw a line through points."""
        points = [(self.place_x(a), self.place_y(b)) for a, b in zip(x, y, strict=True)]
        path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
        for a, b in points[1:]:
            path += f"H{a:.1f}V{b:.1f}" if is_step else f"L{a:.1f} {b:.1f}"
        self._marks.append(f'<path class="{style}" d="{path}"/>')

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], style: str) -> None:
        """Fill the area between two lines."""
        there = [f"{self.place_x(a):.1f} {self.place_y(b):.1f}" for a, b in zip(x, high, strict=True)]
        back = [f"{self.place_x(a):.1f} {self.place_y(b):.1f}" for a, b in zip(x, low, strict=True)]
        self._marks.append(f'<path class="{style}" d="M{"L".join([*there, *reversed(back)])}Z"/>')

    def dots(
        self, x: Sequence[float], y: Sequence[float], style: str, tips: Sequence[str] = (), r: float = 3.5
    ) -> None:
        """Draw points, each with its tip if there are any."""
        for k, (a, b) in enumerate(zip(x, y, strict=True)):
            self._marks.append(
                f'<circle class="{style}" cx="{self.place_x(a):.1f}" cy="{self.place_y(b):.1f}" r="{r:g}"'
                f"{tip_of(tips[k]) if len(tips) else ''}/>"
            )

    def bar(self, row: int, low: float, high: float, style: str, tip: str) -> None:
        """Draw the horizontal bar of a named row."""
        a, b = self.place_x(low), self.place_x(high)
        thick = 0.62 * (self.height - TOP - BOTTOM) / max(len(self.names), 1)
        self._marks.append(
            f'<rect class="{style}" x="{min(a, b):.1f}" y="{self.place_y(row) - thick / 2:.1f}" '
            f'width="{max(abs(b - a), 1):.1f}" height="{thick:.1f}" rx="1.5"{tip_of(tip)}/>'
        )

    def column(self, low: float, high: float, value: float, style: str, tip: str) -> None:
        """Draw a vertical bar over an interval of the x axis, from zero."""
        assert self.y is not None
        a, b = self.place_x(low), self.place_x(high)
        y0, y1 = self.place_y(max(0.0, self.y.low)), self.place_y(value)
        self._marks.append(
            f'<rect class="{style}" x="{a + 0.5:.1f}" y="{min(y0, y1):.1f}" width="{max(b - a - 1, 1):.1f}" '
            f'height="{abs(y1 - y0):.1f}"{tip_of(tip)}/>'
        )

    def cell(self, x: tuple[float, float], y: tuple[float, float], shade: float, tip: str) -> None:
        """Fill a cell of a map, the darker the larger its shade from 0 to 1."""
        a, b = self.place_x(x[0]), self.place_y(y[1])
        size = (self.place_x(x[1]) - a, self.place_y(y[0]) - b)
        self._marks.append(heat_cell((a, b, *size), shade, tip))

    def rug(self, x: Sequence[float]) -> None:
        """Mark values on the horizontal axis."""
        bottom = self.height - BOTTOM
        path = "".join(f"M{self.place_x(value):.1f} {bottom:g}v-6" for value in x)
        self._marks.append(f'<path class="line ink thin" d="{path}"/>')

    def value(self, row: int, x: float, words: str) -> None:
        """Write words after a value in a named row."""
        self._marks.append(label_at("ink", self.place_x(x) + 6, self.place_y(row) + 3.8, words, "start"))

    def note(self, x: float, words: str, anchor: str) -> None:
        """Write words above the plot, at a value of the horizontal axis."""
        self._marks.append(label_at("tick", self.place_x(x), TOP - 1, words, anchor))

    def _label_step(self) -> int:
        """Return how many ticks of the horizontal axis are apart whose labels have room beside each other."""
        if len(self.x.ticks) < 2:
            return 1
        places = [self.place_x(value) for value, _ in self.x.ticks]
        nearest = min(b - a for a, b in itertools.pairwise(places))
        widest = max(text_width(words) for _, words in self.x.ticks)
        return max(1, math.ceil((widest + LABEL_GAP) / max(nearest, 1.0)))

    def svg(self, finding: str) -> Markup:
        """Return the chart as an SVG element with the finding as its text alternative."""
        bottom, parts = self.height - BOTTOM, []
        every = self._label_step()
        first = next((k for k, (value, _) in enumerate(self.x.ticks) if value == 0), 0) % every
        for k, (value, words) in enumerate(self.x.ticks):
            a = self.place_x(value)
            if self.has_grid:
                parts.append(f'<path class="grid" d="M{a:.1f} {TOP:g}V{bottom:g}"/>')
            if k % every == first:
                parts.append(label_at("tick", a, bottom + 14, words, "middle"))
        ticks = self.y.ticks if self.y is not None else list(enumerate(self.names))
        for value, words in ticks:
            b = self.place_y(value)
            if self.y is not None and self.has_grid:
                parts.append(f'<path class="grid" d="M{self.left:.1f} {b:.1f}H{self.width - RIGHT:g}"/>')
            style = "tick" if self.y is not None else "ink"
            parts.append(label_at(style, self.left - 6, b + 3.8, words, "end"))
        middle = (self.left + self.width - RIGHT) / 2
        parts.append(label_at("name", middle, self.height - 6, self.x.label, "middle"))
        if self.y is not None and self.y.label:
            b = (TOP + bottom) / 2
            parts.append(
                f'<text class="name" transform="translate(11 {b:.1f}) rotate(-90)" text-anchor="middle">'
                f"{escaped(self.y.label)}</text>"
            )
        return drawing(self.width, self.height, finding, "".join([*parts, *self._marks]))
