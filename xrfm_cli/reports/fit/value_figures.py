"""Figures of out-of-fold predictions of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xrfm_cli.reports.fit.charts import Axis, Chart, Figure, date_axis, number_axis
from xrfm_cli.reports.formats import number
from xrfm_cli.reports.labels import short_label

POINTS = 500  # points of a scatter plot: more only make the file larger
Spelled = Callable[[float], str]
CLEAR_BIAS = 0.25  # a median residual above this share of the typical error is called a bias


def residual_figure(
    target: str,
    y_true: np.ndarray,
    predicted: np.ndarray,
    bands: Sequence[Mapping[str, float]],
    typical: float,
) -> Figure | None:
    """Draw residuals of a sample of rows against the predictions, with running quartiles of all rows."""
    residual = y_true - predicted
    if len(residual) < 2 or not np.isfinite(residual).all() or not bands:
        return None
    shown = np.unique(np.linspace(0, len(residual) - 1, min(len(residual), POINTS)).astype(int))
    low, high = np.quantile(residual, [0.01, 0.99])
    wide = max(high - low, typical, np.finfo(float).tiny)
    left, right = np.quantile(predicted, [0.005, 0.995])
    axis = number_axis(float(left), float(right), f"predicted {short_label(target)}", is_exact=True)
    chart = Chart(
        x=axis,
        y=number_axis(float(low - 0.1 * wide), float(high + 0.1 * wide), "actual − predicted"),
        height=290,
    )
    chart.dots(predicted[shown].tolist(), residual[shown].tolist(), "fill3", r=2.2)
    _draw_bands(chart, bands)
    finding = f"Half of all errors are below {number(typical)}. {_bias_words(bands, typical, number)}"
    return _banded(
        "Residuals and predictions", finding, chart, bands, f"predicted {short_label(target)}", number
    )


def time_figure(over_time: Mapping[str, Any], typical: float) -> Figure | None:
    """Draw the quartiles of the residuals along time."""
    bands = over_time["bands"]
    if len(bands) < 2:
        return None
    moments = [band["at"] for band in bands]
    name = short_label(over_time["column"])
    spelled = _date if over_time["is_date"] else number
    axis: Axis = (date_axis if over_time["is_date"] else number_axis)(min(moments), max(moments), name)
    low, high = min(band["low"] for band in bands), max(band["high"] for band in bands)
    chart = Chart(x=axis, y=number_axis(min(low, 0.0), max(high, 0.0), "actual − predicted"), height=250)
    _draw_bands(chart, bands)
    finding = _bias_words(bands, typical, spelled, name)
    return _banded("Residuals over time", finding, chart, bands, name, spelled)


def decile_figure(target: str, deciles: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw the mean absolute error in deciles of the target."""
    if len(deciles) < 2:
        return None
    errors = [item["mean_absolute_error"] for item in deciles]
    names = [f"{number(item['low'])} to {number(item['high'])}" for item in deciles]
    worst, best = int(np.argmax(errors)), int(np.argmin(errors))
    finding = (
        f"The mean absolute error is largest, {number(errors[worst])}, where {short_label(target)} is "
        f"{names[worst]}, and smallest, {number(errors[best])}, where it is {names[best]}."
    )
    chart = Chart(
        x=number_axis(0, max(errors), "mean absolute error"), y=None, names=names, height=48 + 22 * len(names)
    )
    for k, (item, error) in enumerate(zip(deciles, errors, strict=True)):
        mean = f"actual − predicted {number(item['mean_error'])} on average"
        tip = f"{names[k]}: {number(error)} over {item['rows']:,} rows; {mean}"
        chart.bar(k, 0, error, "fill2", tip)
    return Figure(
        title="Errors by decile of the target",
        finding=finding,
        svg=chart.svg(finding),
        columns=(short_label(target), "rows", "mean absolute error", "mean of actual − predicted"),
        rows=tuple(
            (name, f"{item['rows']:,}", number(item["mean_absolute_error"]), number(item["mean_error"]))
            for name, item in zip(names, deciles, strict=True)
        ),
    )


def _draw_bands(chart: Chart, bands: Sequence[Mapping[str, float]]) -> None:
    at = [band["at"] for band in bands]
    chart.line([chart.x.low, chart.x.high], [0, 0], "line soft")
    chart.band(at, [band["low"] for band in bands], [band["high"] for band in bands], "area")
    middles = [band["middle"] for band in bands]
    chart.line(at, middles, "line")
    tips = [
        f"median {number(band['middle'])}, quartiles {number(band['low'])} and {number(band['high'])}"
        for band in bands
    ]
    chart.dots(at, middles, "fill", tips, r=3)


def _bias_words(
    bands: Sequence[Mapping[str, float]], typical: float, spelled: Spelled, name: str = ""
) -> str:
    """Say where the median residual is far from zero; along a column of dates if it is named.

    >>> bands = [{"at": 5.0, "middle": 0.0}, {"at": 9.0, "middle": -3.0}]
    >>> _bias_words(bands, 4.0, number)
    'Predictions near 9 are typically 3 too high.'
    """
    worst = max(bands, key=lambda band: abs(band["middle"]))
    if abs(worst["middle"]) <= CLEAR_BIAS * typical:
        return f"The median error stays near zero over all {'of ' + name if name else 'predictions'}."
    side = "low" if worst["middle"] > 0 else "high"
    where = f"Predictions near {spelled(worst['at'])}" + (f" in {name}" if name else "")
    return f"{where} are typically {number(abs(worst['middle']))} too {side}."


def _banded(
    title: str, finding: str, chart: Chart, bands: Sequence[Mapping[str, float]], name: str, spelled: Spelled
) -> Figure:
    return Figure(
        title=title,
        finding=finding,
        svg=chart.svg(finding),
        columns=(name, "lower quartile", "median", "upper quartile"),
        rows=tuple(
            (spelled(band["at"]), number(band["low"]), number(band["middle"]), number(band["high"]))
            for band in bands
        ),
    )


def _date(moment: float) -> str:
    return str(np.datetime64(int(moment), "us").astype("datetime64[D]"))
