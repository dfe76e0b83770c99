"""Figures and tables of out-of-fold class predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from xrfm_cli.printable import counted
from xrfm_cli.reports.fit.charts import BOTTOM, TOP, Chart, Figure, number_axis
from xrfm_cli.reports.fit.class_results import confusion_counts, wilson
from xrfm_cli.reports.fit.marks import drawing, heat_cell, label_at, label_up
from xrfm_cli.reports.formats import percent
from xrfm_cli.reports.labels import short_label

SMALL_MATRIX, LARGE_MATRIX = 12, 40  # classes of a confusion matrix as a table, and as a picture
GAIN_SHARE = 0.2  # share of the rows that the gain curve's finding names
SHOWN_GAP = 0.02  # differences of a frequency from its probability below this are called small

Array = NDArray[np.float64]


def curve_figures(summary: Mapping[str, Any], label: str, own: float, auc: float | None) -> list[Figure]:
    """Draw the ROC, precision-recall and gain curves, with the model's threshold marked."""
    curve, (others, hits) = summary["curve"], summary["class_rows"]
    if not hits or not others:
        return []
    false, true = (np.array(curve[name], dtype=float) for name in ("false_positives", "true_positives"))
    shown = short_label(label)
    marked = int(np.argmin(np.abs(np.array(curve["threshold"]) - own)))
    fpr, tpr, flagged = false / others, true / hits, (false + true) / (hits + others)
    precision = true / np.maximum(false + true, 1)
    base = hits / (hits + others)
    at = f"At the threshold {threshold_words(own)}"
    found = f"{percent(tpr[marked])} of the rows of {shown} are found"
    area = "" if auc is None else f" The area under the curve is {auc:.3f}."
    gained = float(np.interp(GAIN_SHARE, np.append(0, flagged), np.append(0, tpr)))
    some = false + true > 0
    return [
        _curve(
            "ROC curve",
            f"{at}, {found}, and {percent(fpr[marked])} of the others are flagged by mistake.{area}",
            (fpr, "share of the other rows flagged (false positive rate)"),
            (tpr, f"share of {shown} found (recall)"),
            curve["threshold"],
            marked,
            ends=((0.0, 0.0), (1.0, 1.0)),
            reference=((0.0, 0.0), (1.0, 1.0)),
        ),
        _curve(
            "Precision and recall",
            f"{at}, {percent(precision[marked])} of the rows flagged as {shown} are {shown}, "
            f"compared with {percent(base)} of all rows; {found}.",
            (tpr[some], f"share of {shown} found (recall)"),
            (precision[some], "precision of the flagged rows"),
            np.array(curve["threshold"])[some],
            int(some[:marked].sum()) if some[marked] else None,
            ends=(None, None),
            reference=((0.0, base), (1.0, base)),
        ),
        _curve(
            "Gain",
            f"The {percent(GAIN_SHARE).replace('.0', '')} of the rows with the highest probability contain "
            f"{percent(gained)} of all rows of {shown}.",
            (flagged, "share of all rows, highest probability first"),
            (tpr, f"share of {shown} found"),
            curve["threshold"],
            marked,
            ends=((0.0, 0.0), (1.0, 1.0)),
            reference=((0.0, 0.0), (1.0, 1.0)),
        ),
    ]


def _curve(
    title: str,
    finding: str,
    x: tuple[Array, str],
    y: tuple[Array, str],
    thresholds: Sequence[float] | Array,
    marked: int | None,
    *,
    ends: tuple[tuple[float, float] | None, tuple[float, float] | None],
    reference: tuple[tuple[float, float], tuple[float, float]],
) -> Figure:
    """Draw a curve over thresholds; ``ends`` are points before the first and after the last."""
    chart = Chart(
        x=number_axis(0, 1, x[1], is_exact=True), y=number_axis(0, 1, y[1], is_exact=True), height=290
    )
    chart.line([point[0] for point in reference], [point[1] for point in reference], "line soft dashed")
    points = list(zip(x[0].tolist(), y[0].tolist(), strict=True))
    whole = [*([ends[0]] if ends[0] else []), *points, *([ends[1]] if ends[1] else [])]
    chart.line([point[0] for point in whole], [point[1] for point in whole], "line")
    tips = [
        f"threshold {threshold_words(t)}: {percent(a)} across, {percent(b)} up"
        for t, (a, b) in zip(thresholds, points, strict=True)
    ]
    every = max(1, len(points) // 60)
    chart.dots(x[0][::every].tolist(), y[0][::every].tolist(), "hover", tips[::every], r=6)
    if marked is not None:
        chart.dots(
            [points[marked][0]], [points[marked][1]], "fill warm", [f"the model’s {tips[marked]}"], r=5
        )
    rows = tuple(
        (threshold_words(t), percent(a), percent(b)) for t, (a, b) in zip(thresholds, points, strict=True)
    )
    return Figure(
        title=title, finding=finding, svg=chart.svg(finding), columns=("threshold", x[1], y[1]), rows=rows
    )


def calibration_figure(summary: Mapping[str, Any], label: str) -> Figure | None:
    """Draw observed frequencies against predicted probabilities, above a histogram of the latter."""
    bins = summary.get("reliability") or []
    if len(bins) < 2:
        return None
    predicted, observed = (np.array([item[name] for item in bins]) for name in ("predicted", "observed"))
    rows = np.array([item["rows"] for item in bins], dtype=float)
    low, high = wilson(observed, rows)
    gaps = observed - predicted
    worst = int(np.abs(gaps).argmax())
    off = int(((predicted < low) | (predicted > high)).sum())
    size = f"{100 * abs(gaps[worst]):.0f} percentage points"
    if abs(gaps[worst]) < SHOWN_GAP:
        finding = f"Probabilities agree with frequencies: every bin is within {SHOWN_GAP:.0%}."
    elif off <= max(1, len(bins) // 5):
        finding = (
            f"Probabilities agree with frequencies within chance in {len(bins) - off} of {len(bins)} bins; "
            f"the largest difference is {size}."
        )
    else:
        side = "low" if gaps[worst] > 0 else "high"
        finding = (
            f"Probabilities near {predicted[worst]:.2f} are {size} too {side}; {off} of {len(bins)} bins "
            "differ by more than chance."
        )
    chart = Chart(
        x=number_axis(0, 1, f"predicted probability of {label}", is_exact=True),
        y=number_axis(0, 1, "observed frequency", is_exact=True),
        height=290,
    )
    counts = np.array(summary.get("histogram") or [])
    if len(counts) and counts.max() > 0:
        for k, count in enumerate(counts.tolist()):
            a, b = k / len(counts), (k + 1) / len(counts)
            tip = f"{a:.2f} to {b:.2f}: {counted(int(count), 'row')}"
            chart.column(a, b, 0.22 * count / counts.max(), "fill3", tip)
        finding += " Grey bars: how many rows have such a probability."
    chart.line([0, 1], [0, 1], "line soft dashed")
    for a, from_, to in zip(predicted, low, high, strict=True):
        chart.line([a, a], [from_, to], "line thin")
    chart.line(predicted.tolist(), observed.tolist(), "line")
    tips = [
        f"predicted {p:.3f}, observed {o:.3f} in {counted(round(n), 'row')}"
        for p, o, n in zip(predicted, observed, rows, strict=True)
    ]
    chart.dots(predicted.tolist(), observed.tolist(), "fill", tips)
    return Figure(
        title="Calibration",
        finding=finding,
        svg=chart.svg(finding),
        columns=("predicted probability", "observed frequency", "90 % interval", "rows"),
        rows=tuple(
            (f"{p:.3f}", f"{o:.3f}", f"{a:.3f} to {b:.3f}", f"{n:,.0f}")
            for p, o, a, b, n in zip(predicted, observed, low, high, rows, strict=True)
        ),
    )


def confusion_picture(summary: Mapping[str, Any], names: Sequence[str]) -> Markup:
    """Draw the confusion matrix of many classes; the classes themselves are named beside it."""
    counts = confusion_counts(summary, len(names))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    labels = [short_label(name, 12) for name in names]
    side, left = min(34.0, 460.0 / len(names)), 12 + 6.2 * max(map(len, labels))
    body = []
    for i, name in enumerate(labels):
        b = TOP + (i + 0.5) * side
        body.append(label_at("ink", left - 5, b + 3.5, name, "end"))
        a = left + (i + 0.5) * side
        body.append(label_up(a + 3.5, TOP + len(names) * side + 6, name))
        for j, share in enumerate(shares[i].tolist()):
            if not counts[i, j]:
                continue
            rows = counted(int(counts[i, j]), "row")
            tip = f"{name} predicted as {labels[j]}: {rows}, {percent(share)} of the class"
            cell = (left + j * side, TOP + i * side, side, side)
            body.append(heat_cell(cell, share**0.5, tip, "heat" if i == j else "heat wrong"))
    whole = left + len(names) * side
    finding = f"Confusion matrix of {len(names)} classes: rows are classes, columns are predictions."
    height = TOP + len(names) * side + max(BOTTOM, 8 + 6.2 * max(map(len, labels)))
    return drawing(whole + 8, height, finding, "".join(body))


def threshold_words(value: float) -> str:
    """Write a probability with at most three digits.

    >>> threshold_words(0.5), threshold_words(0.43219)
    ('0.5', '0.432')
    """
    return f"{value:.3g}"
