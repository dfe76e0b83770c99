"""Mixed differences of predictions: joint effects of columns beyond those of fewer columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SLOPE_STEPS = 6  # of Newton's method, which needs about four
LEAST_SLOPE, LARGEST_SLOPE = 0.1, 5.0  # of log odds that fit the targets better
SURE = 1e-4  # probabilities closer than this to 0 or 1 are set to it: they are rarely so certain


@dataclass(slots=True, kw_only=True, eq=False)
class Mixed:
    """Predictions ``(n, k)`` of the same rows after the swap of each of some sets of columns.

    Class probabilities are compared as logarithms, so additive effects on the odds do not count as an
    interaction; a constant added to all classes does not count either. The square of a change is its variance
    over the classes. For small changes, this is about the variance of the change of the probabilities. For
    two classes it is ``p (1 - p)`` times the squared change of the log odds.

    The weight of a row must not depend on the order of the swaps, because sums would then seem to interact.
    It is the harmonic mean of the doubts about its class after each swap. ``units`` turns the variance of log
    probabilities into that of probabilities, by the differences of neighbouring rows.
    """

    plain: Array  # of two classes, that of the second alone
    is_classes: bool
    predicted: dict[tuple[int, ...], Array] = field(default_factory=dict)  # of all classes
    units: float = 1.0

    def __post_init__(self) -> None:
        """Add the rows without any swap."""
        self.add({(): self.plain})
        if not self.is_classes or not len(self.plain):
            return
        one = self.predicted[()]
        two = np.roll(one, 1, axis=0)
        spread = float((_shared_weights([one, two]) * _variance(one, np.log(one / two))).mean()) / 2
        self.units = float(self.plain.var(0).sum()) / spread if spread > 0 else 1.0

    def add(self, found: Mapping[tuple[int, ...], Array]) -> None:
        """Add predictions after the swaps of sets of columns."""
        self.predicted.update(
            {columns: _whole(own) if self.is_classes else own for columns, own in found.items()}
        )

    def squares(self, columns: tuple[int, ...]) -> Array:  # -> (n,)
        """Return squares whose mean is the variance that involves all of the columns."""
        difference = self._difference(columns)
        if not self.is_classes:
            return np.square(difference).sum(1) / 2 ** len(columns)
        squares = _variance(self.predicted[()], difference) / 2 ** len(columns)
        return self.units * self._weights(columns) * squares

    def confirmed(self, columns: tuple[int, ...], residual: Array) -> Array:  # (n, k) -> (n,)
        """Return the same in terms of targets, given the residuals; its mean is 0 if true effects add up.

        Residuals of classes stand for those of log odds only where they are small. So they are those of the
        prediction without what the columns do together, whose log odds are scaled to fit the targets: few
        rows shrink log odds, and large residuals of shrunk ones would seem to interact.
        """
        difference = self._difference(columns)
        if not self.is_classes:
            return self.squares(columns) + (residual * difference).sum(1)
        targets = _whole(residual + self.plain, certain=True)
        part = difference / 2 ** len(columns)
        alone = {some: np.log(self.predicted[some]) - (-1) ** len(some) * part for some in _subsets(columns)}
        slope = _fitting_slope(alone[()], targets)
        expected = {some: np.clip(_softmax(slope * own), SURE, 1 - SURE) for some, own in alone.items()}
        weights = self.units * _shared_weights(list(expected.values()))
        return weights * ((targets - expected[()]) * difference).sum(1)

    def _weights(self, columns: tuple[int, ...]) -> Array:  # -> (n,)
        return _shared_weights([self.predicted[some] for some in _subsets(columns)])

    def _difference(self, columns: tuple[int, ...]) -> Array:  # -> (n, k)
        """Return the mixed difference of some columns, all of whose subsets have been added."""
        out = np.zeros_like(self.predicted[()])
        for some in _subsets(columns):
            values = self.predicted[some]
            out += (-1) ** len(some) * (np.log(values) if self.is_classes else values)
        return out


def log_odds(probabilities: Array) -> Array:
    """Return the log odds of probabilities, which calibration keeps away from 0 and 1.

    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    p = np.clip(probabilities, SURE, 1 - SURE)
    return np.log(p / (1 - p))


def _whole(chances: Array, *, certain: bool = False) -> Array:  # (n, 1) or (n, k) -> (n, 2) or (n, k)
    """Return the probabilities of all classes, none of them certain unless they may be."""
    p = chances if certain else np.clip(chances, SURE, 1 - SURE)
    return np.column_stack([1 - p, p]) if p.shape[1] == 1 else p


def _softmax(scores: Array) -> Array:  # (n, k) -> (n, k)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _fitting_slope(scores: Array, targets: Array) -> float:
    """Return the factor of log probabilities with the least log loss, by Newton's method."""
    slope = 1.0
    for _ in range(SLOPE_STEPS):
        chances = _softmax(slope * scores)
        curvature = float(_variance(chances, scores).sum())
        if curvature <= 0:
            return slope
        gradient = float(((targets - chances) * scores).sum())
        slope = min(max(slope + gradient / curvature, LEAST_SLOPE), LARGEST_SLOPE)
    return slope


def _variance(chances: Array, values: Array) -> Array:  # (n, k), (n, k) -> (n,)
    """Return the variance of values over the classes."""
    share = chances / chances.sum(1, keepdims=True)
    return (share * np.square(values - (share * values).sum(1, keepdims=True))).sum(1)


def _shared_weights(predicted: Sequence[Array]) -> Array:  # (n, k) each -> (n,)
    """Return the harmonic mean of the doubts about several predictions, over that about the first."""
    doubts = [_doubt(own) for own in predicted]
    return len(doubts) / np.sum([doubts[0] / own for own in doubts], axis=0)


def _doubt(chances: Array) -> Array:  # (n, k) -> (n,)
    """Return the probability that two draws from the classes differ."""
    share = chances / chances.sum(1, keepdims=True)
    return 1 - np.square(share).sum(1)


def _subsets(columns: tuple[int, ...]) -> chain[tuple[int, ...]]:
    return chain.from_iterable(combinations(columns, size) for size in range(len(columns) + 1))
