"""Mixed differences of predictions: what columns do together, beyond the sum of what fewer of them do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SURE = 1e-4  # probabilities closer than this to 0 or 1 count as this: they are rarely so certain


@dataclass(slots=True, kw_only=True, eq=False)
class Mixed:
    """Predictions ``(n, k)`` of the same rows after the swap of each of some sets of columns.

    Those of classes are compared as log probabilities, in which effects on the odds that merely add up do not
    interact: what is added to all classes alike does not count. The square of a change is its variance over
    the classes, which is about that of the change of the probabilities, if it is small. For two classes it is
    ``p (1 - p)`` times the squared change of the log odds.

    Rows weigh the same whichever of the swaps comes first, without which sums would seem to interact: by the
    harmonic mean of the doubts about their classes after each swap. ``units`` turns the variance of log
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
        """Return the same in terms of targets, given the residuals; its mean is 0 if the truth just adds."""
        difference = self._difference(columns)
        if not self.is_classes:
            return self.squares(columns) + (residual * difference).sum(1)
        if residual.shape[1] == 1:
            residual = np.column_stack([-residual[:, 0], residual[:, 0]])
        found = self.units * self._weights(columns) * (residual * difference).sum(1)
        return self.squares(columns) + found

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


def _whole(probabilities: Array) -> Array:  # (n, 1) or (n, k) -> (n, 2) or (n, k)
    """Return the probabilities of all classes, none of them certain."""
    p = np.clip(probabilities, SURE, 1 - SURE)
    return np.column_stack([1 - p, p]) if p.shape[1] == 1 else p


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
