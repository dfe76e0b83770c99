"""How a column moves the prediction: accumulated local effects, levels, and maps of two columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import to_order_one
from xrfm_cli.tuning.explain.sample import Matrices, Sample
from xrfm_cli.tuning.explain.settings import Kind, Setting, settings_of
from xrfm_cli.tuning.explain.swap_study import RANGE_ERRORS
from xrfm_cli.tuning.explain.swaps import predict_rows, row_ns
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
BUDGET_NS = 3e9  # estimated nanoseconds of prediction, over all columns
BINS = 20
LEAST_BIN_ROWS = 10
CURVE_POINTS = 16  # of partial dependence
CURVES = 25  # individual rows
FEWEST_ROWS, MOST_ROWS = 40, 500
MAP_POINTS, MAP_ROWS = 8, 40
MOST_CLASSES = 3  # those that a column moves most; nobody can read a hundred curves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effect:
    """The effect of a column, or of one part of a date, on one output.

    ``effect`` is in units of the target, or of the probability of a class, relative to the mean prediction,
    with a 90 % band over the rows. ``shares`` is the distribution of the rows: the share up to each point, or
    with each level.
    """

    column: str
    part: str
    kind: Kind
    output: str | None  # the class; None for a regression
    x: tuple[float | str, ...]  # numbers, microseconds since 1970, or levels
    effect: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float  # prediction
    curve_x: tuple[float, ...] = ()  # partial dependence and individual rows, if asked for
    dependence: tuple[float, ...] = ()
    curves: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectMap:
    """The mean prediction over pairs of points of two columns."""

    columns: tuple[str, str]
    kinds: tuple[Kind, Kind]
    output: str | None
    x: tuple[float | str, ...]
    y: tuple[float | str, ...]
    values: tuple[tuple[float, ...], ...]  # (x, y)


def column_effects(
    model: FittedModel, sample: Sample, columns: tuple[str, ...], *, curves: bool = False
) -> tuple[Effect, ...]:
    """Return the effects of the columns, in order.

    Numbers and moments have accumulated local effects, which compare only neighbouring values of a row and so
    need no rows unlike the data: Apley and Zhu, Journal of the Royal Statistical Society B (2020). Levels and
    the parts of a date are compared by setting all rows to each, one after the other.
    """
    if not columns:
        return ()
    wanted = BUDGET_NS / len(columns) / row_ns(model) / 4
    part = sample.take(slice(min(sample.n_rows, max(FEWEST_ROWS, min(MOST_ROWS, int(wanted))))))
    plain = predict_rows(model, part.matrices)
    found: list[Effect] = []
    for column in columns:
        for setting in settings_of(model, part, column):
            if setting.kind == "levels":
                found += _level_effects(model, part, setting, plain, wanted)
            else:
                found += _accumulated(model, part, setting, plain, curves=curves)
    return tuple(found)


def effect_map(model: FittedModel, sample: Sample, columns: tuple[str, str]) -> tuple[EffectMap, ...]:
    """Return the partial dependence of a pair of columns, for the class that the pair moves most.

    For that class, the map differs most from a sum of one function of each column. Dates are shown by elapsed
    time.
    """
    part = sample.take(slice(min(MAP_ROWS, sample.n_rows)))
    settings = [next(settings_of(model, part, column), None) for column in columns]
    if settings[0] is None or settings[1] is None:
        return ()
    points, encoded = zip(*(_map_points(setting) for setting in settings if setting), strict=True)
    values = np.zeros((len(points[0]), len(points[1]), predict_rows(model, part.matrices).shape[1]))
    n = part.n_rows
    for a in range(len(points[0])):
        rows = settings[0].apply(part.matrices, encoded[0], np.full(n, a))
        values[a] = set_all(model, rows, settings[1], encoded[1], len(points[1])).mean(1)
    together = values - values.mean(0) - values.mean(1)[:, None] + values.mean((0, 1))
    return tuple(
        EffectMap(
            columns=columns,
            kinds=(settings[0].kind, settings[1].kind),
            output=name,
            x=points[0],
            y=points[1],
            values=tuple(tuple(row) for row in values[:, :, k].tolist()),
        )
        for k, name in _outputs(model, together.std((0, 1)), most=1)
    )


def _map_points(setting: Setting) -> tuple[tuple[float | str, ...], dict[int, NDArray[np.float32]]]:
    if setting.kind == "levels":
        return setting.points, setting.encoded
    known = setting.values[np.isfinite(setting.values)]
    numbers = np.unique(np.quantile(known, np.linspace(0.05, 0.95, MAP_POINTS), method="inverted_cdf"))
    return tuple(shown(numbers).tolist()), setting.at(numbers)


def _outputs(model: FittedModel, moved: Array, *, most: int = MOST_CLASSES) -> list[tuple[int, str | None]]:
    """Return the columns of the predictions to show, with the names of their classes.

    ``moved`` says how far each prediction moves. Of many classes, the ``most`` that move furthest are shown.
    """
    classes = [str(label) for label in model.target.classes]
    if not classes:
        return [(0, None)]
    if len(classes) == 2:
        return [(0, classes[1])]
    return [(int(k), classes[k]) for k in np.sort(np.argsort(-moved, kind="stable")[:most])]


def _deviations(effects: Array, shares: Array) -> Array:  # (points, k), (points,) -> (k,)
    """Return how far each output moves: standard deviations over the rows, times a common factor."""
    scaled, _ = to_order_one(effects)  # squares of large values overflow; only the order counts
    return np.sqrt(shares @ np.square(scaled - shares @ scaled))


def _accumulated(
    model: FittedModel, sample: Sample, setting: Setting, plain: Array, *, curves: bool
) -> list[Effect]:
    known = np.flatnonzero(np.isfinite(setting.values))
    values = setting.values[known]
    if len(known) < 2 or values.min() == values.max():
        return []
    bins = max(1, min(BINS, len(known) // LEAST_BIN_ROWS))
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1), method="inverted_cdf"))
    place = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    encoded, own = setting.at(edges), sample.take(known)
    low = predict_rows(model, setting.apply(own.matrices, encoded, place))
    change = predict_rows(model, setting.apply(own.matrices, encoded, place + 1)) - low
    steps, exponent = to_order_one(change)  # squares of large values overflow
    counts = np.bincount(place, minlength=len(edges) - 1)
    points, after = (
        _dependence(model, own, setting) if curves else (np.empty(0), np.empty((0, 0, plain.shape[1])))
    )
    moved = np.zeros((len(counts), plain.shape[1]))
    np.add.at(moved, place, steps)
    walked = np.cumsum(moved / np.maximum(counts, 1)[:, None], axis=0)
    out = []
    for k, name in _outputs(model, _deviations(walked, counts / counts.sum())):
        mean = np.bincount(place, steps[:, k], minlength=len(counts)) / np.maximum(counts, 1)
        spread = np.bincount(place, (steps[:, k] - mean[place]) ** 2, minlength=len(counts))
        errors = spread / np.maximum(counts, 1) / np.maximum(counts - 1, 1)
        curve = np.concatenate([[0.0], np.cumsum(mean)])
        middle = float(counts @ ((curve[1:] + curve[:-1]) / 2) / counts.sum())
        # Errors accumulate from the median on, where the curve is closest to the data.
        start = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        summed = np.concatenate([[0.0], np.cumsum(errors)])
        half = RANGE_ERRORS * np.sqrt(np.abs(summed - summed[start]))
        curve = curve - middle
        out.append(
            Effect(
                column=setting.column,
                part=setting.part,
                kind=setting.kind,
                output=name,
                x=tuple(shown(edges).tolist()),
                effect=tuple(np.ldexp(curve, exponent).tolist()),
                low=tuple(np.ldexp(curve - half, exponent).tolist()),
                high=tuple(np.ldexp(curve + half, exponent).tolist()),
                shares=(0.0, *(counts / counts.sum()).tolist()),
                mean=float(plain[:, k].mean()),
                curve_x=tuple(shown(points).tolist()) if curves else (),
                dependence=tuple(after[:, :, k].mean(1).tolist()) if curves else (),
                curves=tuple(tuple(row) for row in after[:, :CURVES, k].T.tolist()),
            )
        )
    return out


def _dependence(model: FittedModel, sample: Sample, setting: Setting) -> tuple[Array, Array]:
    """Return points (p,) and the predictions (p, n, k) of some rows with the column set to each."""
    known = setting.values[np.isfinite(setting.values)]
    points = np.unique(np.quantile(known, np.linspace(0, 1, CURVE_POINTS), method="inverted_cdf"))
    part = sample.take(slice(min(sample.n_rows, 4 * CURVES)))
    return points, set_all(model, part.matrices, setting, setting.at(points), len(points))


def set_all(
    model: FittedModel, matrices: Matrices, setting: Setting, encoded: Matrices, count: int
) -> Array:  # -> (count, n, k)
    """Return the predictions of all rows with the column set to each of the encoded points."""
    n = len(next(iter(matrices.values())))
    stacked = {key: np.tile(x, (count, 1)) for key, x in matrices.items()}
    codes = np.repeat(np.arange(count), n)
    return predict_rows(model, setting.apply(stacked, encoded, codes)).reshape(count, n, -1)


def shown(points: Array) -> Array:  # (n,)
    """Round points to a millionth of their range: encoded numbers are rounded to float32.

    >>> shown(np.array([0.9999999852, 72.0])).tolist()
    [1.0, 72.0]
    """
    reach = float(np.ptp(points))
    digits = 6 - int(np.ceil(np.log10(reach))) if reach > 0 else 6
    return np.round(points, max(-300, min(digits, 300))) + 0.0  # no negative zero


def _level_effects(
    model: FittedModel, sample: Sample, setting: Setting, plain: Array, wanted: float
) -> list[Effect]:
    count = len(setting.points)
    if not count:
        return []
    rows = min(sample.n_rows, max(FEWEST_ROWS, int(4 * wanted / count)))
    part = sample.take(slice(rows))
    after = set_all(model, part.matrices, setting, setting.encoded, count)
    shares = np.bincount(setting.values.astype(np.int64), minlength=count) / len(setting.values)
    out = []
    for k, name in _outputs(model, _deviations(after.mean(1), shares)):
        relative, exponent = to_order_one(after[:, :, k] - np.einsum("l,lr->r", shares, after[:, :, k]))
        effect = relative.mean(1)
        half = RANGE_ERRORS * relative.std(1) / rows**0.5
        out.append(
            Effect(
                column=setting.column,
                part=setting.part,
                kind="levels",
                output=name,
                x=setting.points,
                effect=tuple(np.ldexp(effect, exponent).tolist()),
                low=tuple(np.ldexp(effect - half, exponent).tolist()),
                high=tuple(np.ldexp(effect + half, exponent).tolist()),
                shares=tuple(shares.tolist()),
                mean=float(plain[:, k].mean()),
            )
        )
    return out
