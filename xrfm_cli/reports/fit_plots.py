"""Figures of the search and of the predictions on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from xrfm_cli.reports.formats import number
from xrfm_cli.reports.search import improvements, is_timed
from xrfm_cli.reports.svg import ACCENT, INK, LINE, PALE, SOFT, WARM, WIDTH, figure_style, short_label, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 700  # points in a scatter plot: more only make the file larger
BINS = 10  # bins of a reliability curve, with equal numbers of rows

Array = NDArray[np.float64]


def baseline_figure(metric: str, score: float, baselines: Sequence[Mapping[str, Any]], better: str) -> Markup:
    """Plot the scores of the model and the baselines."""
    rows = [("this model", score), *((str(b["name"]), b["score"]) for b in baselines)]
    rows = [(name, float(value)) for name, value in rows if value is not None and np.isfinite(value)]
    if not rows:
        return Markup("")
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 0.6 + 0.34 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        values = np.array([value for _, value in rows])
        positions = np.arange(len(rows))
        axes.hlines(positions, rows[0][1], values, color=LINE, linewidth=2)
        colours = [ACCENT if k == 0 else SOFT for k in range(len(rows))]
        axes.scatter(values, positions, s=46, c=colours, zorder=3)
        spread = float(np.ptp(values)) or abs(float(values[0])) or 1.0
        for position, value in zip(positions, values, strict=True):
            text = f"{value:.4g}"
            axes.annotate(
                text, (value, position), (0, 7), textcoords="offset points", ha="center", fontsize=8
            )
        axes.set_xlim(values.min() - 0.12 * spread, values.max() + 0.12 * spread)
        axes.set_yticks(positions, [short_label(name) for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.7)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.set_xlabel(f"{metric}, {better} is better")
        axes.grid(axis="x")
        return to_svg(figure, f"{metric}: " + ", ".join(f"{name} {number(value)}" for name, value in rows))


def history_figure(
    trials: Sequence[Mapping[str, Any]], metric: str, score: float | None = None, *, lower_is_better: bool
) -> Markup:
    """Plot the score of each trial at its end, the pruned trials and the best so far; empty below two trials.

    The x axis is the trial number if no end times are known. ``score`` is the score of the ensemble.
    """
    scored = [t for t in trials if t.get("score") is not None and np.isfinite(t["score"])]
    if len(scored) < 2:
        return Markup("")
    complete = [t for t in scored if t["state"] == "complete"]
    pruned = [t for t in scored if t["state"] != "complete"]
    place = "ended_s" if is_timed(trials) else "number"
    with figure_style():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
        axes = figure.add_subplot()
        _points(axes, pruned, place, marker="x", s=18, c=SOFT, linewidths=1.0, label="pruned on fewer rows")
        _points(axes, complete, place, s=18, c=ACCENT, label="complete")
        if complete:
            steps = improvements(complete, lower_is_better=lower_is_better)
            best = [step["score"] for step in steps]
            moments = [step["ended_s" if place == "ended_s" else "trial"] for step in steps]
            last = max(t[place] for t in scored)
            axes.step(
                [*moments, last],
                [*best, best[-1]],
                where="post",
                color=WARM,
                linewidth=1.4,
                label="best so far",
            )
        together = [] if score is None or not np.isfinite(score) else [score]
        for value in together:
            axes.axhline(value, color=WARM, linewidth=1.0, linestyle=(0, (4, 3)), label="ensemble")
        _focus(axes, [*(t["score"] for t in scored), *together], lower_is_better=lower_is_better)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=place == "number"))
        axes.set_xlabel("seconds since the search began" if place == "ended_s" else "trial")
        axes.set_ylabel(metric)
        axes.grid(axis="y")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8, handletextpad=0.4)
        return to_svg(figure, f"{metric} of {len(scored)} trials")


def residual_figure(target: str, y_true: Array, prediction: Array) -> Markup:
    """Plot out-of-fold residuals against the predictions, with running quartiles."""
    residual = y_true - prediction
    shown = np.unique(np.linspace(0, len(y_true) - 1, min(len(y_true), POINTS)).astype(int))
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=SOFT, linewidth=0.9)
        axes.scatter(prediction[shown], residual[shown], s=9, c=PALE, edgecolors="none", alpha=0.9)
        centers, quartiles = _running_quartiles(prediction, residual)
        for values, width in ((quartiles[0], 1.0), (quartiles[1], 1.8), (quartiles[2], 1.0)):
            axes.plot(centers, values, color=ACCENT, linewidth=width)
        low, high = np.quantile(residual, [0.002, 0.998])
        margin = 0.08 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlabel(f"predicted {short_label(target)}")
        axes.set_ylabel("actual − predicted")
        axes.grid()
        return to_svg(figure, "Out-of-fold residuals")


def reliability_figure(probability: Array, hit: Array, label: str) -> Markup:
    """Plot observed frequencies against predicted probabilities, in bins with equal numbers of rows.

    Args:
        probability: predicted probabilities ``(n,)``.
        hit: 1.0 if the event happened ``(n,)``.
        label: name of the event, for the axis.
    """
    order = np.argsort(probability, kind="stable")
    bins = [part for part in np.array_split(order, min(BINS, max(1, len(order) // 10))) if len(part)]
    predicted = np.array([probability[part].mean() for part in bins])
    share = np.array([hit[part].mean() for part in bins])
    low, high = _wilson(share, np.array([len(part) for part in bins]))
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9)
        axes.vlines(predicted, low, high, color=PALE, linewidth=3)
        axes.plot(predicted, share, color=ACCENT, linewidth=1.4, marker="o", markersize=4)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylabel("observed frequency")
        axes.grid()
        counts, edges = np.histogram(probability, bins=25, range=(0, 1))
        below.bar(edges[:-1], counts, width=0.036, align="edge", color=PALE)
        below.set_yticks([])
        below.spines["left"].set_visible(False)
        below.set_xlabel(f"predicted probability of {label}")
        return to_svg(figure, "Reliability of the predicted probabilities")


def _points(axes: Axes, trials: Sequence[Mapping[str, Any]], place: str, **style: Any) -> None:
    if trials:
        axes.scatter([t[place] for t in trials], [t["score"] for t in trials], zorder=3, **style)


def _focus(axes: Axes, scores: Sequence[float], *, lower_is_better: bool) -> None:
    """Set the y limits to the best 90 % of the scores, so that one bad trial does not flatten the rest."""
    ordered = np.sort(scores) if lower_is_better else -np.sort(-np.array(scores))
    best, bad = ordered[0], ordered[int(0.9 * (len(ordered) - 1))]
    margin = 0.08 * abs(bad - best) or 0.05 * abs(best) or 1.0
    axes.set_ylim(
        *sorted((best - margin, bad + margin) if lower_is_better else (bad - margin, best + margin))
    )


def _running_quartiles(x: Array, y: Array) -> tuple[Array, Array]:
    """Return centers (g,) and quartiles (3, g) of ``y`` in up to 20 groups of rows with similar ``x``."""
    order = np.argsort(x, kind="stable")
    parts = [part for part in np.array_split(order, min(20, max(1, len(x) // 15))) if len(part)]
    centers = np.array([np.median(x[part]) for part in parts])
    return centers, np.array([np.quantile(y[part], [0.25, 0.5, 0.75]) for part in parts]).T


def _wilson(share: Array, count: Array) -> tuple[Array, Array]:
    """Return Wilson's 90 % confidence interval of a proportion, which stays within 0 and 1."""
    z = 1.645
    center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)
