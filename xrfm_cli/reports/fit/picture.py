"""The report of a fit as one picture, for chats and slides: scores, importances and the main outcome."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from xrfm_cli.reports.formats import number
from xrfm_cli.reports.labels import short_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 8
DOTS_PER_INCH = 144
INK, SOFT, LINE, ACCENT, PALE, WARM = "#1f2933", "#7b8794", "#d9dee4", "#1f6f78", "#a9cdd1", "#c26a2d"
# Column names may contain anything, so mathematical markup is off.
STYLE: dict[str, object] = {
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


def draw_picture(document: Mapping[str, Any]) -> bytes:
    """Return a PNG with the scores, the importances, and calibration or errors by decile."""
    with figure_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 3.6), layout="constrained")
        scores, matters, outcome = figure.subplots(1, 3)
        _draw_scores(scores, document)
        _draw_importances(matters, document)
        _draw_outcome(outcome, document)
        figure.suptitle(
            f"{short_label(document['target'])}: {document['metric']} {number(document['score'])}"
        )
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None}
        )
    return buffer.getvalue()


def _draw_scores(axes: Axes, document: Mapping[str, Any]) -> None:
    rows = [("this model", document["score"]), *((b["name"], b["score"]) for b in document["baselines"])]
    rows = [(name, value) for name, value in rows if value is not None]
    axes.scatter([value for _, value in rows], range(len(rows)), c=[ACCENT] + [SOFT] * (len(rows) - 1))
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{document['metric']}, {'lower' if document['lower_is_better'] else 'higher'} is better")
    axes.grid(axis="x")


def _draw_importances(axes: Axes, document: Mapping[str, Any]) -> None:
    shown = document["importances"][:BARS]
    axes.barh(range(len(shown)), [100 * (item["share"] or 0) for item in shown], color=PALE)
    axes.set_yticks(range(len(shown)), [short_label(item["column"], 18) for item in shown])
    axes.set_ylim(max(len(shown), 1) - 0.5, -0.5)
    axes.set_xlabel("importance, %")


def _draw_outcome(axes: Axes, document: Mapping[str, Any]) -> None:
    summary = document["oof_summary"] or {}
    if summary.get("reliability"):
        bins = summary["reliability"]
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.9)
        predicted = [item["predicted"] for item in bins]
        axes.plot(predicted, [item["observed"] for item in bins], color=ACCENT, marker="o", markersize=4)
        axes.set_xlabel("predicted probability")
        axes.set_ylabel("observed frequency")
    elif summary.get("bands"):
        bands = summary["bands"]
        at = [item["at"] for item in bands]
        axes.axhline(0, color=SOFT, linewidth=0.9)
        low, high = ([item[name] for item in bands] for name in ("low", "high"))
        axes.fill_between(at, low, high, color=PALE, alpha=0.6)
        axes.plot(at, [item["middle"] for item in bands], color=WARM)
        axes.set_xlabel(f"predicted {short_label(document['target'], 20)}")
        axes.set_ylabel("actual − predicted")
    else:
        axes.set_visible(False)
    if axes.get_visible():
        axes.grid()
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}" if np.isfinite(value) else "")
