"""Figures of how columns move the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from xrfm_cli.reports.formats import number
from xrfm_cli.reports.rules import GROUPED_FROM
from xrfm_cli.reports.svg import (
    ACCENT,
    BAND,
    INK,
    LINE,
    PALE,
    SOFT,
    WIDTH,
    figure_style,
    group_digits,
    short_label,
    to_svg,
)
from xrfm_cli.tuning.explain.effects import Effect, EffectMap
from xrfm_cli.tuning.explain.settings import Kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAP_TICKS = 5
BEYOND = 0.2  # of the range of the inner points that is shown of a longer outermost part
MARGIN = 0.05  # of the range, around a curve that is cut off


def effect_figure(effect: Effect, target: str) -> Markup:
    """Plot an effect with its band, and below it where the rows are."""
    name = f"{effect.column} {effect.part}".strip()
    what = (
        f"probability of {short_label(effect.output)}" if effect.output is not None else short_label(target)
    )
    with figure_style():
        from matplotlib.figure import Figure

        levels = effect.kind == "levels"
        height = 0.8 + 0.24 * len(effect.x) if levels else 2.5
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        draw = _bars if levels else _line
        draw(axes, effect)
        change = f"change of {what}"
        group_digits(axes.xaxis if levels else axes.yaxis)
        if levels:
            axes.set_xlabel(change)
        else:
            axes.set_ylabel(change)
            axes.set_xlabel(short_label(name, 40))
        return to_svg(figure, f"Effect of {name} on {what}: {_finding(effect)}")


def map_figure(item: EffectMap, target: str) -> Markup:
    """Plot the mean prediction over the values of two columns."""
    values = np.array(item.values).T
    what = f"probability of {short_label(item.output)}" if item.output is not None else short_label(target)
    with figure_style():
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        axes = figure.add_subplot()
        colours = LinearSegmentedColormap.from_list("calm", ["#f4f7f8", PALE, ACCENT, "#0d3b40"])
        mesh = axes.pcolormesh(values, cmap=colours, edgecolors="white", linewidth=0.6)
        for points, column, kind, ticks, label in (
            (item.x, item.columns[0], item.kinds[0], axes.set_xticks, axes.set_xlabel),
            (item.y, item.columns[1], item.kinds[1], axes.set_yticks, axes.set_ylabel),
        ):
            step = max(1, -(-len(points) // MAP_TICKS))
            places = np.arange(0, len(points), step)
            ticks(places + 0.5, [_spelt(points[place], kind) for place in places])
            label(short_label(column, 30))
        axes.tick_params(length=0, labelsize=8)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(mesh, ax=axes, shrink=0.8, aspect=18, pad=0.02, label=what)
        group_digits(bar.ax.yaxis)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=7.5)
        a, b = item.columns
        return to_svg(figure, f"Mean prediction of {what} by {a} and {b}")


def _line(axes: Axes, effect: Effect) -> None:
    x = np.array(effect.x, dtype=np.float64)
    if effect.kind == "datetime":
        x = x.astype(np.int64).astype("datetime64[us]")
    axes.fill_between(x, effect.low, effect.high, color=PALE, alpha=BAND, linewidth=0)
    if effect.curves:
        points = np.array(effect.curve_x, dtype=np.float64)
        if effect.kind == "datetime":
            points = points.astype(np.int64).astype("datetime64[us]")
        for curve in effect.curves:
            axes.plot(points, np.array(curve) - effect.mean, color=LINE, linewidth=0.7, zorder=1)
        axes.plot(
            points, np.array(effect.dependence) - effect.mean, color=SOFT, linestyle="--", linewidth=1.1
        )
    axes.axhline(0, color=SOFT, linewidth=0.8)
    axes.plot(x, effect.effect, color=ACCENT, linewidth=1.6)
    axes.plot(x, np.zeros(len(x)), "|", color=INK, markersize=6, transform=axes.get_xaxis_transform())
    axes.grid(axis="y")
    if effect.kind == "datetime":
        axes.tick_params(axis="x", labelrotation=30)
    else:
        if np.abs(x).max() >= GROUPED_FROM:
            group_digits(axes.xaxis)
            axes.locator_params(axis="x", nbins=MAP_TICKS)
        _keep_most(axes, effect)


def _keep_most(axes: Axes, effect: Effect) -> None:
    """Cut off the outermost part of a curve if it would fill most of the axis, and say where it ends."""
    x, low, high = (np.array(own, dtype=np.float64) for own in (effect.x, effect.low, effect.high))
    if len(x) < 4:
        return
    inner = x[-2] - x[1]
    ends = [x[0], x[-1]]
    if x[1] - x[0] > inner:
        ends[0] = x[1] - BEYOND * inner
    if x[-1] - x[-2] > inner:
        ends[1] = x[-2] + BEYOND * inner
    if ends == [x[0], x[-1]]:
        return
    shown = np.unique(np.clip(x, *ends))
    bottom, top = np.interp(shown, x, low).min(), np.interp(shown, x, high).max()
    axes.set_xlim(ends[0] - MARGIN * inner, ends[1] + MARGIN * inner)
    axes.set_ylim(min(bottom, 0.0) - 2 * MARGIN * (top - bottom), max(top, 0.0) + MARGIN * (top - bottom))
    for end, whole, place, side in ((ends[0], x[0], 0.01, "left"), (ends[1], x[-1], 0.99, "right")):
        if end != whole:
            words = f"{'from' if side == 'left' else 'to'} {_spelt(float(whole), effect.kind)}"
            is_low = np.interp(end, x, effect.effect) < (bottom + top) / 2
            axes.text(
                place,
                0.9 if is_low else 0.05,
                words,
                transform=axes.transAxes,
                ha=side,
                va="bottom",
                color=SOFT,
                fontsize=8,
            )


def _bars(axes: Axes, effect: Effect) -> None:
    places = np.arange(len(effect.x))
    values = np.array(effect.effect)
    axes.barh(places, values, height=0.62, color=PALE)
    errors = [values - np.array(effect.low), np.array(effect.high) - values]
    axes.errorbar(values, places, xerr=errors, fmt="none", ecolor=ACCENT, elinewidth=1.3, capsize=2.2)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    names = [f"{short_label(x, 20)} ({100 * s:.0f} %)" for x, s in zip(effect.x, effect.shares, strict=True)]
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(axis="x")


def _finding(effect: Effect) -> str:
    """Return where the prediction is lowest and highest, for screen readers."""
    low, high = int(np.argmin(effect.effect)), int(np.argmax(effect.effect))
    words = [_spelt(effect.x[place], effect.kind) for place in (low, high)]
    lowest, highest = effect.effect[low], effect.effect[high]
    return f"lowest at {words[0]} ({lowest:+.3g}), highest at {words[1]} ({highest:+.3g})"


def _spelt(value: float | str, kind: Kind) -> str:
    """Write a point of a column of this kind; a moment is in microseconds.

    >>> _spelt(1.4e15, "datetime"), _spelt(1.4e15, "numeric"), _spelt("red", "levels")
    ('2014-05-13', '1.400e+15', 'red')
    >>> _spelt(2011.0, "numeric"), _spelt(0.1 + 0.2, "numeric")
    ('2011', '0.3')
    """
    if isinstance(value, str):
        return short_label(value, 14)
    if kind == "datetime":
        return str(np.datetime64(int(value), "us").astype("datetime64[D]"))
    return f"{value:.0f}" if value == round(value) and abs(value) < GROUPED_FROM else number(value)
