"""Curves of single rows: how the prediction of each row changes with the value of a column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets.cells.scale import to_order_one
from xrfm_cli.tuning.explain.effects import set_all
from xrfm_cli.tuning.explain.mixed import log_odds
from xrfm_cli.tuning.explain.sample import Sample
from xrfm_cli.tuning.explain.settings import Setting
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
POINTS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of a number at which its effect is measured
MOST_LEVELS = 6  # the most frequent


def curve_points(setting: Setting) -> Array:
    """Return the points of a column's curve: numbers, or the codes of its most frequent levels."""
    if setting.kind == "levels":
        counts = np.bincount(setting.values.astype(np.int64), minlength=len(setting.points))
        frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_LEVELS])
        return frequent[counts[frequent] > 0].astype(np.float64)
    known = setting.values[np.isfinite(setting.values)]
    return np.unique(np.quantile(known, POINTS, method="inverted_cdf")) if len(known) else known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """The predictions of each row over the points of some columns, and the point next to the row's value."""

    predicted: tuple[Array, ...]  # (n, points, k) of each column
    nearest: tuple[NDArray[np.int64], ...]  # (n,) of each column; -1 for missing values and rare levels
    weights: Array  # (n,)
    variance: float  # of the predictions, summed over rows by weight

    @classmethod
    def measure(
        cls, model: FittedModel, sample: Sample, plain: Array, settings: Sequence[tuple[Setting, Array]]
    ) -> Curves:
        """Predict the rows of a sample with each column set to each of its points."""
        is_classes = bool(model.target.classes)
        doubt = plain * (1 - plain) if is_classes else np.ones_like(plain)
        scale = np.sqrt(doubt.mean(0))
        exponent = (
            0 if is_classes else to_order_one(plain - plain.mean())[1]
        )  # squares of large values overflow

        def outcome(values: Array) -> Array:
            return log_odds(values) * scale if is_classes else np.ldexp(values, -exponent)

        predicted, nearest = [], []
        for setting, points in settings:
            if len(points) < 2:
                continue
            if setting.kind == "levels":
                encoded = {key: own[points.astype(np.int64)] for key, own in setting.encoded.items()}
                places = np.full(len(setting.points), -1)
                places[points.astype(np.int64)] = np.arange(len(points))
                own = places[setting.values[: len(plain)].astype(np.int64)]
            else:
                encoded = setting.at(points)
                values = setting.values[: len(plain), None]
                own = np.where(np.isnan(values[:, 0]), -1, np.abs(np.nan_to_num(values) - points).argmin(1))
            after = set_all(model, sample.matrices, setting, encoded, len(points))
            predicted.append(outcome(after).transpose(1, 0, 2))
            nearest.append(own)
        weights = doubt.sum(1)
        return cls(
            predicted=tuple(predicted),
            nearest=tuple(nearest),
            weights=weights,
            variance=_spread(outcome(plain), weights),
        )

    def within(self, rows: Mask) -> Array:  # -> (rows, all points x k)
        """Return the centred curves of some rows, over the points that occur among them.

        Only values of a column that occur in the region count.
        """
        blocks = [np.zeros((int(rows.sum()), 1))]
        for values, places in zip(self.predicted, self.nearest, strict=True):
            own = places[rows]
            counts = np.bincount(own[own >= 0], minlength=values.shape[1])
            if not counts.sum():
                continue
            share = counts / counts.sum()
            centred = values[rows] - np.einsum("p,npk->nk", share, values[rows])[:, None]
            blocks.append((centred * np.sqrt(share)[:, None]).reshape(len(own), -1))
        return np.concatenate(blocks, axis=1)

    def difference(self, rows: Mask) -> float:
        """Return the variance of the curves between some rows, summed over the rows by weight."""
        return _spread(self.within(rows), self.weights[rows])


def _spread(values: Array, weights: Array) -> float:  # (n, m), (n,)
    total = weights.sum()
    if not total > 0:
        return 0.0
    return float((weights @ np.square(values - weights @ values / total)).sum())
