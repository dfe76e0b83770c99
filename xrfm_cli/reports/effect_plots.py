"""Figures of how columns move the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.reports.fit.charts import Axis, Chart, Figure, date_axis, number_axis
from xrfm_cli.reports.formats import minus, number, percent, signed
from xrfm_cli.reports.labels import short_label, short_labels
from xrfm_cli.reports.rules import GROUPED_FROM
from xrfm_cli.tuning.explain.effects import Effect, EffectMap
from xrfm_cli.tuning.explain.settings import Kind

MAP_TICKS = 5
MAP_HEIGHT, CELL_HEIGHT = 330.0, 40.0
BEYOND = 0.2  # of the range of the inner points that is shown of a longer outermost part
MARGIN = 0.03  # of the range, beside a curve
LEVEL_HEIGHT = 24.0


def effect_figure(effect: Effect, target: str, other: Effect | None = None) -> Figure:
    """Draw an effect with its band, and below it where the rows are; ``other`` is that of an older model."""
    name = f"{effect.column} {effect.part}".strip()
    is_class = effect.output is not None
    what = f"probability of {short_label(effect.output)}" if is_class else short_label(target)
    draw = _bars if effect.kind == "levels" else _line
    if other is not None and other.kind != effect.kind:
        other = None
    chart = draw(effect, other, f"change of {what}", short_label(name, 40))
    finding = _finding(effect)
    share = "share of the rows" if effect.kind == "levels" else "share of the rows up to it"
    return Figure(
        title=short_label(name, 60) + (f": {what}" if is_class else ""),
        finding=finding,
        svg=chart.svg(f"Effect of {name} on {what}. {finding}"),
        columns=("level" if effect.kind == "levels" else "value", "change", "low", "high", share),
        rows=tuple(
            (
                spell_point(x, effect.kind, 60),
                *(signed(own) for own in (value, low, high)),
                percent(part),
            )
            for x, value, low, high, part in zip(
                effect.x, effect.effect, effect.low, effect.high, effect.shares, strict=True
            )
        ),
    )


def map_figure(item: EffectMap, target: str) -> Figure:
    """Draw the mean prediction over the values of two columns."""
    is_class = item.output is not None
    what = f"probability of {short_label(item.output)}" if is_class else short_label(target)
    x, y = ([spell_point(point, kind) for point in points] for points, kind in _points_of(item))
    values = np.array(item.values)
    low, span = float(values.min()), float(np.ptp(values)) or 1.0
    a, b = (short_label(column, 30) for column in item.columns)
    chart = Chart(
        x=_cells_axis(x, a),
        y=_cells_axis(y, b),
        height=min(MAP_HEIGHT, 48 + CELL_HEIGHT * len(y)),
        has_grid=False,
    )
    for i, left in enumerate(x):
        for j, right in enumerate(y):
            tip = f"{a} {left}, {b} {right}: {number(float(values[i, j]))}"
            chart.cell((i, i + 1), (j, j + 1), (values[i, j] - low) / span, tip)
    places = [np.unravel_index(int(find(values)), values.shape) for find in (np.argmin, np.argmax)]
    ends = [f"{number(float(values[i, j]))} at {a} {x[i]}, {b} {y[j]}" for i, j in places]
    finding = f"The mean {what} goes from {ends[0]} (faintest), to {ends[1]} (strongest colour)."
    return Figure(
        title=f"{a} × {b}" + (f": {what}" if is_class else ""),
        finding=finding,
        svg=chart.svg(finding),
        columns=(f"{a} / {b}", *y),
        rows=tuple((left, *(number(float(value)) for value in values[i])) for i, left in enumerate(x)),
    )


def _points_of(item: EffectMap) -> tuple[tuple[tuple[float | str, ...], Kind], ...]:
    return (item.x, item.kinds[0]), (item.y, item.kinds[1])


def _cells_axis(words: Sequence[str], label: str) -> Axis:
    """Return an axis whose ticks are the middles of cells."""
    step = max(1, -(-len(words) // MAP_TICKS))
    ticks = tuple((k + 0.5, words[k]) for k in range(0, len(words), step))
    return Axis(low=0.0, high=float(len(words)), label=label, ticks=ticks)


def _line(effect: Effect, other: Effect | None, change: str, name: str) -> Chart:
    x = np.array(effect.x, dtype=np.float64)
    from_, to = _most(x)
    inside = np.unique(np.clip(x, from_, to))
    curves = np.array(effect.curves, dtype=np.float64) - effect.mean
    lines = [np.interp(inside, x, line) for line in (effect.low, effect.high)]
    seen = [0.0, *lines[0], *lines[1]]
    if other is not None:
        known = np.array(other.x, dtype=np.float64)
        common = inside[(inside >= known[0]) & (inside <= known[-1])]
        before = np.interp(common, known, other.effect).tolist()
        seen += before
    if effect.curves:
        points = np.array(effect.curve_x, dtype=np.float64)
        is_shown = (points >= from_) & (points <= to)
        seen += [float(curves[:, is_shown].min()), float(curves[:, is_shown].max())]
    margin, above = MARGIN * (to - from_), MARGIN * (max(seen) - min(seen))
    chart = Chart(
        x=_values_axis(from_ - margin, to + margin, name, effect.kind),
        y=number_axis(min(seen) - above, max(seen) + above, change, is_exact=True),
        height=230,
    )
    if effect.curves:
        shown = points[is_shown].tolist()
        for curve in curves[:, is_shown].tolist():
            chart.line(shown, curve, "line soft faint")
        dependence = np.array(effect.dependence)[is_shown] - effect.mean
        chart.line(shown, dependence.tolist(), "line ink thin dashed")
    chart.line([from_ - margin, to + margin], [0, 0], "line soft thin")
    chart.band(inside.tolist(), lines[0].tolist(), lines[1].tolist(), "area")
    chart.line(inside.tolist(), np.interp(inside, x, effect.effect).tolist(), "line")
    if other is not None and len(common) > 1:
        chart.line(common.tolist(), before, "line warm dashed")
    within = [(a, b) for a, b in zip(x.tolist(), effect.effect, strict=True) if from_ <= a <= to]
    chart.rug([a for a, _ in within])
    tips = [f"{spell_point(a, effect.kind)}: {signed(b)}" for a, b in within]
    chart.dots([a for a, _ in within], [b for _, b in within], "hover", tips, r=7)
    for end, whole, words, anchor in (
        (from_, x[0], "starts at", "start"),
        (to, x[-1], "continues to", "end"),
    ):
        if end != whole:
            chart.note(end, f"{words} {spell_point(float(whole), effect.kind)}", anchor)
    return chart


def _most(x: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends to show: an outermost part that would fill most of the axis is cut off."""
    from_, to = float(x[0]), float(x[-1])
    if len(x) < 4:
        return from_, to
    inner = float(x[-2] - x[1])
    return (
        float(x[1]) - BEYOND * inner if x[1] - x[0] > inner else from_,
        float(x[-2]) + BEYOND * inner if x[-1] - x[-2] > inner else to,
    )


def _values_axis(low: float, high: float, label: str, kind: Kind) -> Axis:
    if kind == "datetime":
        return date_axis(low, high, label, count=5)
    axis = number_axis(low, high, label, is_exact=True)
    if max(abs(low), abs(high)) >= GROUPED_FROM:
        return axis
    return replace(axis, ticks=tuple((value, words.replace(",", "")) for value, words in axis.ticks))


def _bars(effect: Effect, other: Effect | None, change: str, name: str) -> Chart:
    before = {} if other is None else dict(zip(other.x, other.effect, strict=True))
    seen = [0.0, *effect.low, *effect.high, *(before[x] for x in effect.x if x in before)]
    names = [
        f"{words} ({percent(part)})"
        for words, part in zip(short_labels(effect.x, 20), effect.shares, strict=True)
    ]
    chart = Chart(
        x=number_axis(min(seen), max(seen), change),
        y=None,
        names=names,
        height=48 + LEVEL_HEIGHT * len(names),
    )
    for k, (value, low, high) in enumerate(zip(effect.effect, effect.low, effect.high, strict=True)):
        words = f"{spell_point(effect.x[k], 'levels', 60)}: {signed(value)} ({signed(low)} to {signed(high)})"
        chart.bar(k, 0, value, "fill2", words)
        chart.line([low, high], [k, k], "line ink thin")
        if effect.x[k] in before:
            own = before[effect.x[k]]
            chart.dots([own], [k], "fill warm", [f"{names[k]}, older model: {signed(own)}"], r=4)
    chart.line([0, 0], [-0.5, len(names) - 0.5], "line soft thin")
    return chart


def _finding(effect: Effect) -> str:
    """Return where the prediction is lowest and highest."""
    low, high = int(np.argmin(effect.effect)), int(np.argmax(effect.effect))
    words = [spell_point(effect.x[place], effect.kind, 40) for place in (low, high)]
    lowest, highest = (signed(effect.effect[place]) for place in (low, high))
    return f"Lowest at {words[0]} ({lowest}), highest at {words[1]} ({highest})."


def spell_point(value: float | str, kind: Kind, length: int = 14) -> str:
    """Write a point of a column of this kind; a moment is in microseconds.

    >>> spell_point(1.4e15, "datetime"), spell_point(1.4e15, "numeric"), spell_point("red", "levels")
    ('2014-05-13', '1.400e+15', 'red')
    >>> spell_point(2011.0, "numeric"), spell_point(0.1 + 0.2, "numeric"), spell_point(15123.4, "numeric")
    ('2011', '0.3', '15123')
    """
    if isinstance(value, str):
        return short_label(value, length)
    if kind == "datetime":
        return str(np.datetime64(int(value), "us").astype("datetime64[D]"))
    if 1000 <= abs(value) < GROUPED_FROM or (value == round(value) and abs(value) < GROUPED_FROM):
        return minus(f"{value:.0f}")
    return minus(number(value))
