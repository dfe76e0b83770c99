"""Figures of the model's sensitivity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.printable import printable
from xrfm_cli.reports.directions import Direction
from xrfm_cli.reports.fit.charts import TOP, Chart, Figure, number_axis, text_width
from xrfm_cli.reports.fit.marks import drawing, heat_cell, label_at, label_up
from xrfm_cli.reports.formats import minus, number, percent
from xrfm_cli.reports.labels import short_label, short_labels

HEAT_COLUMNS = 14  # columns in the heat map: more would not be readable on a phone
HEAT_CELL = 24.0  # pixels
DIRECTIONS, DRAWN_SHARE = 3, 0.01  # weaker ones are in the table only
DIRECTION_BARS = 6
LARGEST_WEIGHT = 1.0  # of a feature in a direction, whose squares add up to one


def matrix_figure(columns: Sequence[str], matrix: NDArray[np.float64]) -> Figure:
    """Draw a heat map of the AGOP by column, on a square-root scale."""
    k = min(len(columns), HEAT_COLUMNS)
    values = matrix[:k, :k]
    names = short_labels(columns[:k], 18)
    widest = max(map(text_width, names))
    left, largest = 10 + widest, float(values.max()) or 1.0
    body = []
    for i, name in enumerate(names):
        body.append(label_at("ink", left - 5, TOP + (i + 0.5) * HEAT_CELL + 3.8, name, "end"))
        body.append(label_up(left + (i + 0.5) * HEAT_CELL + 3.8, TOP + k * HEAT_CELL + 6, name))
        for j, value in enumerate(values[i].tolist()):
            what = name if i == j else f"{name} × {names[j]}"
            place = (left + j * HEAT_CELL, TOP + i * HEAT_CELL, HEAT_CELL, HEAT_CELL)
            body.append(heat_cell(place, (max(value, 0.0) / largest) ** 0.5, f"{what}: {percent(value)}"))
    pairs = sorted(((float(values[i, j]), i, j) for i in range(k) for j in range(i)), reverse=True)
    finding = f"{names[0]} has the largest share of the trace, {percent(float(values[0, 0]))}"
    if pairs:
        value, i, j = pairs[0]
        finding += f"; of two columns, {names[j]} and {names[i]} have the largest, {percent(value)}"
    finding += "."
    return Figure(
        title="The AGOP, column by column",
        finding=finding,
        svg=drawing(
            left + k * HEAT_CELL + 8, TOP + k * HEAT_CELL + 12 + widest, printable(finding), "".join(body)
        ),
        columns=("column", *names),
        rows=tuple((name, *(percent(value) for value in values[i])) for i, name in enumerate(names)),
    )


def strong_directions(directions: Sequence[Direction]) -> list[Direction]:
    """Return the directions that are drawn."""
    return [own for k, own in enumerate(directions[:DIRECTIONS]) if k == 0 or own.share >= DRAWN_SHARE]


def direction_figures(directions: Sequence[Direction], target: str) -> list[Figure]:
    """Draw the strongest directions: their largest weights, and the mean prediction along them."""
    figures = []
    for place, own in enumerate(strong_directions(directions), start=1):
        figures.append(_weights_figure(own, place))
        if own.along is not None:
            figures.append(_along_figure(own, place, target))
    return figures


def _weights_figure(direction: Direction, place: int) -> Figure:
    shown = direction.features[:DIRECTION_BARS]
    names = short_labels([own.feature for own in shown])
    axis = number_axis(
        -LARGEST_WEIGHT, LARGEST_WEIGHT, "weight, per standard deviation", count=4, is_exact=True
    )
    chart = Chart(x=axis, y=None, names=names, height=48 + 24 * len(shown))
    for k, own in enumerate(shown):
        style = "fill" if own.weight > 0 else "fill warm"
        chart.bar(k, 0, own.weight, style, f"{own.feature}: {own.weight:+.2f}")
    chart.line([0, 0], [-0.5, len(shown) - 0.5], "line soft thin")
    largest = " and ".join(f"{own.feature} ({own.weight:+.2f})" for own in shown[:2]).replace("(-", "(−")
    finding = f"Its largest {'weight is' if len(shown) == 1 else 'weights are'} {largest}."
    return Figure(
        title=f"Direction {place}: {percent(direction.share)} of the sensitivity",
        finding=finding,
        svg=chart.svg(finding),
        columns=("feature", "weight"),
        rows=tuple((own.feature, f"{own.weight:+.3f}") for own in direction.features),
    )


def _along_figure(direction: Direction, place: int, target: str) -> Figure:
    along = direction.along
    assert along is not None
    what = short_label(target, 32) if along.output is None else f"P({short_label(along.output, 24)})"
    chart = Chart(
        x=number_axis(min(along.x), max(along.x), "position, in standard deviations of the rows"),
        y=number_axis(min(along.low), max(along.high), what),
        height=190,
    )
    chart.band(along.x, along.low, along.high, "area")
    chart.line(along.x, along.prediction, "line")
    tips = [f"at {x:.2f}: {number(value)}" for x, value in zip(along.x, along.prediction, strict=True)]
    chart.dots(along.x, along.prediction, "hover", tips, r=8)
    ends = " to ".join(minus(number(value)) for value in (along.prediction[0], along.prediction[-1]))
    finding = f"The mean prediction goes from {ends}, over {len(along.x)} slices of equally many rows."
    return Figure(
        title=f"{what} along direction {place}",
        finding=finding,
        svg=chart.svg(finding),
        columns=("position", "mean prediction", "low", "high"),
        rows=tuple(
            (minus(f"{x:.2f}"), *(minus(number(own)) for own in (value, low, high)))
            for x, value, low, high in zip(along.x, along.prediction, along.low, along.high, strict=True)
        ),
    )
