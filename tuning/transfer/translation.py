"""Translation: the part of a target that is linear in a base model's predictions.

A new model then learns the rest. If the base predicts the same target, the translation starts from its
prediction, and ridge regression corrects it as far as the rows support.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.scoring.class_transforms import ClassTransform, LogitTransform
from xrfm_cli.tuning.scoring.target_transforms import TargetTransform

Array = NDArray[np.float64]
# Strengths of the correction, chosen by generalised cross-validation; the largest leaves only a mean.
STRENGTHS = tuple(10.0**k for k in range(-2, 7))
FEWEST_ROWS = 5  # with fewer, only the mean is corrected


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Translation:
    """``start(b) + offset + rates . (b - centers) / deviations`` for predictions ``b (k,)`` of a base.

    The result is in the units of a tree's outputs. The start is the target transform of ``b`` if the base
    predicts the same target, else zero.
    """

    is_start: bool
    centers: tuple[float, ...]  # (k,)
    deviations: tuple[float, ...]  # (k,)
    rates: tuple[tuple[float, ...], ...]  # (k, outputs)
    offset: tuple[float, ...]  # (outputs,)

    @classmethod
    def fit(
        cls,
        outputs: Array,
        codes: Array,
        weights: Array | None,
        target_transform: TargetTransform,
        *,
        is_start: bool,
    ) -> Translation:
        """Fit to a base's predictions ``(n, k)`` of training rows and to their codes ``(n, c)``."""
        centers = np.average(outputs, axis=0, weights=weights)
        deviations = np.sqrt(np.average((outputs - centers) ** 2, axis=0, weights=weights))
        deviations = np.where(deviations > 0, deviations, 1.0)
        left = codes - start_of(outputs, target_transform) if is_start else codes
        if len(outputs) < FEWEST_ROWS:
            rates, offset = (
                np.zeros((outputs.shape[1], codes.shape[1])),
                np.average(left, axis=0, weights=weights),
            )
        else:
            from sklearn.linear_model import RidgeCV  # predictions need no scikit-learn

            ridge = RidgeCV(alphas=STRENGTHS)
            ridge.fit((outputs - centers) / deviations, left, sample_weight=weights)
            rates = np.reshape(ridge.coef_, (codes.shape[1], -1)).T
            offset = np.broadcast_to(ridge.intercept_, codes.shape[1:])
        return cls(
            is_start=is_start,
            centers=tuple(centers.tolist()),
            deviations=tuple(deviations.tolist()),
            rates=tuple(tuple(own) for own in rates.tolist()),
            offset=tuple(offset.tolist()),
        )

    def codes(self, outputs: Array, target_transform: TargetTransform) -> Array:  # (n, k) -> (n, c)
        """Return the explained part of the transformed targets; a row's part depends on that row alone."""
        found = np.tile(np.array(self.offset), (len(outputs), 1))
        if self.is_start:
            found += start_of(outputs, target_transform)
        for values, center, deviation, rates in zip(
            outputs.T, self.centers, self.deviations, self.rates, strict=True
        ):
            found += ((values - center) / deviation)[:, None] * np.array(rates)
        return found

    def check(self, predictions: int, outputs: int) -> None:
        """Raise ValueError for other numbers of predictions of the base and of outputs of a tree."""
        lengths = {len(self.centers), len(self.deviations), len(self.rates)}
        if lengths != {predictions} or {len(self.offset), *map(len, self.rates)} != {outputs}:
            raise ValueError("a translation of other sizes")
        if min(self.deviations) <= 0:
            raise ValueError("a translation with a deviation that is not positive")

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {
            "is_start": self.is_start,
            "centers": list(self.centers),
            "deviations": list(self.deviations),
            "rates": [list(own) for own in self.rates],
            "offset": list(self.offset),
        }

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Translation:
        """Rebuild from the output of `to_json`."""
        return cls(
            is_start=facts["is_start"],
            centers=tuple(facts["centers"]),
            deviations=tuple(facts["deviations"]),
            rates=tuple(tuple(own) for own in facts["rates"]),
            offset=tuple(facts["offset"]),
        )


def start_of(outputs: Array, target_transform: TargetTransform) -> Array:  # (n, k) -> (n, c)
    """Return predictions of the same target in the units of a tree's outputs.

    >>> classes = ClassTransform(prior=(0.5, 0.5))
    >>> start_of(np.array([[0.5], [1.0]]), classes).round(3).tolist(), classes.encode(np.array([1])).round(3)
    ([[0.0], [0.707]], array([[0.707]]))
    """
    assert not isinstance(target_transform, LogitTransform)  # log odds are never translated
    if not isinstance(target_transform, ClassTransform):
        return target_transform.encode(outputs[:, 0])
    shares = np.column_stack([1 - outputs[:, 0], outputs[:, 0]]) if outputs.shape[1] == 1 else outputs
    corners = target_transform.encode(np.arange(shares.shape[1]))
    found = np.zeros((len(outputs), corners.shape[1]))
    for share, corner in zip(shares.T, corners, strict=True):
        found += share[:, None] * corner
    return found
