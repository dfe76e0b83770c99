"""Figures of the model's sensitivity."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from xrfm_cli.reports.directions import Direction
from xrfm_cli.reports.svg import (
    ACCENT,
    BAND,
    INK,
    LINE,
    PALE,
    SOFT,
    WARM,
    WIDTH,
    figure_style,
    group_digits,
    short_label,
    short_labels,
    to_svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 20  # columns in the figure of importances
HEAT_COLUMNS = 14  # columns in the heat map: more would not be readable on a phone
DIRECTIONS, DRAWN_SHARE = 3, 0.01  # weaker ones are in the table only
DIRECTION_BARS = 6


class RangedShare(Protocol):
    """A column's share with its range."""

    @property
    def column(self) -> str:
        """Return the name of the column."""

    @property
    def share(self) -> float:
        """Return the share."""

    @property
    def low(self) -> float:
        """Return the low end of the range."""

    @property
    def high(self) -> float:
        """Return the high end of the range."""


def importance_figure(
    importances: Sequence[RangedShare], *, of: str = "the prediction’s variance", chance: Collection[str] = ()
) -> Markup:
    """Plot bars of the strongest columns with their ranges; ``chance`` names columns to draw in grey."""
    shown = list(importances[:BARS])
    positions = np.arange(len(shown))
    colours = [LINE if item.column in chance else PALE for item in shown]
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 0.45 + 0.27 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(positions, [100 * item.share for item in shown], height=0.62, color=colours)
        low = [100 * (item.share - item.low) for item in shown]
        high = [100 * (item.high - item.share) for item in shown]
        centers = [100 * item.share for item in shown]
        axes.errorbar(
            centers, positions, xerr=[low, high], fmt="none", ecolor=ACCENT, elinewidth=1.3, capsize=2.2
        )
        reach = max((item.high for item in shown), default=0.0) * 100 or 1.0
        for position, item in enumerate(shown):
            axes.text(
                100 * item.high + 0.02 * reach, position, f"{100 * item.share:.1f}", va="center", color=INK
            )
        axes.set_xlim(0, 1.14 * reach)
        _name_rows(axes, [item.column for item in shown])
        axes.set_xlabel(f"share of {of}, %")
        axes.grid(axis="x")
        shares = ", ".join(f"{i.column} {100 * i.share:.1f} %" for i in shown)
        return to_svg(figure, f"Shares of {of}: {shares}")


def matrix_figure(columns: Sequence[str], matrix: NDArray[np.float64]) -> Markup:
    """Plot a heat map of the AGOP by column, on a square-root scale."""
    k = min(len(columns), HEAT_COLUMNS)
    values = matrix[:k, :k]
    names = short_labels(columns[:k], 18)
    with figure_style():
        from matplotlib.colors import LinearSegmentedColormap, PowerNorm
        from matplotlib.figure import Figure

        side = 1.6 + 0.24 * k
        figure = Figure(figsize=(min(WIDTH, side + 0.6), min(WIDTH - 0.1, side)), layout="constrained")
        axes = figure.add_subplot()
        colours = LinearSegmentedColormap.from_list("calm", ["#f4f7f8", PALE, ACCENT, "#0d3b40"])
        norm = PowerNorm(0.5, vmin=0.0, vmax=float(values.max()) or 1.0)
        mesh = axes.pcolormesh(values, cmap=colours, norm=norm, edgecolors="white", linewidth=1.0)
        axes.invert_yaxis()
        axes.set_aspect("equal")
        axes.set_xticks(np.arange(k) + 0.5, names, rotation=90)
        axes.set_yticks(np.arange(k) + 0.5, names)
        axes.tick_params(length=0, labelcolor=INK, labelsize=8)
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(mesh, ax=axes, shrink=0.6, aspect=18, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=7.5)
        return to_svg(figure, f"AGOP of the {k} strongest columns")


def strong_directions(directions: Sequence[Direction]) -> list[Direction]:
    """Return the directions that are drawn."""
    return [own for k, own in enumerate(directions[:DIRECTIONS]) if k == 0 or own.share >= DRAWN_SHARE]


def direction_figure(directions: Sequence[Direction]) -> Markup:
    """Plot the signed weights of the features in the strongest directions."""
    shown = strong_directions(directions)
    counts = [len(direction.features[:DIRECTION_BARS]) for direction in shown]
    with figure_style():
        from matplotlib.figure import Figure

        height = sum(0.42 + 0.25 * count for count in counts)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        rows = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[0.42 + 0.25 * c for c in counts])[
            :, 0
        ]
        for number, (axes, direction) in enumerate(zip(rows, shown, strict=True), start=1):
            features = direction.features[:DIRECTION_BARS]
            weights = [feature.weight for feature in features]
            colours = [ACCENT if weight > 0 else WARM for weight in weights]
            axes.barh(np.arange(len(features)), weights, height=0.6, color=colours)
            axes.axvline(0, color=SOFT, linewidth=0.8)
            axes.set_xlim(-1.05, 1.05)
            _name_rows(axes, [feature.feature for feature in features])
            axes.set_title(
                f"direction {number}: {100 * direction.share:.0f} % of the sensitivity",
                loc="left",
                fontsize=9,
                color=INK,
            )
            axes.set_xticks([-1, -0.5, 0, 0.5, 1])
            axes.tick_params(axis="x", labelbottom=number == len(shown))
            axes.grid(axis="x")
        said = [
            f"direction {k}, {100 * own.share:.0f} %: {', '.join(f.feature for f in own.features[:3])}"
            for k, own in enumerate(shown, start=1)
        ]
        return to_svg(figure, f"Learned directions; {'; '.join(said)}")


def along_figure(directions: Sequence[Direction], target: str) -> Markup:
    """Plot the mean prediction along the strongest directions, with its 90 % range."""
    shown = [(k, own.along) for k, own in enumerate(strong_directions(directions), start=1) if own.along]
    if not shown:
        return Markup("")
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 0.4 + 1.45 * len(shown)), layout="constrained")
        rows = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
        for axes, (number, along) in zip(rows, shown, strict=True):
            axes.fill_between(along.x, along.low, along.high, color=PALE, alpha=BAND, linewidth=0)
            axes.plot(along.x, along.prediction, color=ACCENT, linewidth=1.6)
            what = short_label(target) if along.output is None else f"P({short_label(along.output, 14)})"
            axes.set_title(f"{what} along direction {number}", loc="left", fontsize=9, color=INK)
            axes.grid(axis="y")
            group_digits(axes.yaxis)
        rows[-1].set_xlabel("position, in standard deviations of the rows")
        ends = "; ".join(
            f"direction {k}: from {a.prediction[0]:.3g} to {a.prediction[-1]:.3g}" for k, a in shown
        )
        return to_svg(figure, f"Mean prediction of {target} along the directions: {ends}")


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label horizontal bars on the left, with the first on top."""
    axes.set_yticks(np.arange(len(names)), short_labels(names))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.spines["left"].set_color(LINE)
