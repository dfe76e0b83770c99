"""Which class is predicted: the most probable one, or the one that serves the metric asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
QUANTILES = np.linspace(0.005, 0.995, 199)  # of the positive class's probabilities: thresholds to try
STEPS = 10_000  # of thresholds between 0 and 1
EXPONENTS = np.linspace(0.0, 1.5, 13)  # of the classes' shares, by which rare classes are favoured
FEWEST_ROWS = 1.0  # a class without rows counts as one of so many


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionThreshold:
    """How class codes follow from probabilities.

    >>> shares = np.array([[0.6, 0.4]])
    >>> DecisionThreshold().codes(shares), DecisionThreshold(threshold=0.3).codes(shares)
    (array([0]), array([1]))
    >>> DecisionThreshold(class_weights=(1.0, 1.0, 4.0)).codes(np.array([[0.5, 0.3, 0.2]]))
    array([2])
    """

    threshold: float | None = None  # of two classes: the probability from which the second one is predicted
    class_weights: tuple[float, ...] = ()  # of several: what their probabilities are multiplied by

    def codes(self, probabilities: Array) -> Codes:  # (n, classes) -> (n,)
        """Class codes; the first of equals."""
        if self.threshold is not None:
            return (probabilities[:, 1] >= self.threshold).astype(np.int64)
        weighted = probabilities * np.array(self.class_weights) if self.class_weights else probabilities
        return weighted.argmax(1)

    def check(self, classes: int) -> None:
        """Refuse with ValueError what does not decide between so many classes; 0 for a regression."""
        threshold, weights = self.threshold, np.array(self.class_weights)
        if threshold is not None and (classes != 2 or not math.isfinite(threshold)):
            raise ValueError("the threshold does not fit the classes")
        if len(weights) and (len(weights) != classes or not np.all((weights > 0) & np.isfinite(weights))):
            raise ValueError("the weights of the classes do not fit them")


MOST_PROBABLE = DecisionThreshold()


def confusion_matrix(y_true: Codes, codes: Codes, weights: Array | None, classes: int) -> Array:
    """Weight of the rows by true and predicted class, ``(classes, classes)``.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), None, 2)
    array([[1., 0.],
           [1., 1.]])
    """
    found = np.bincount(y_true * classes + codes, weights, minlength=classes * classes)
    return found.reshape(classes, classes).astype(np.float64)


def choose_decision(
    loss: Callable[[Array], Array], y_true: Codes, probabilities: Array, weights: Array | None = None
) -> DecisionThreshold:
    """The decision with the least loss on rows whose probabilities were made without them.

    Of two classes the threshold is chosen freely. Several classes are weighted by a power of their shares,
    which has one number to learn: the whole inverse share is what balanced accuracy asks of probabilities
    that are right (Menon et al., ICLR 2021, logit adjustment).

    Each row counts twice: with its class, and with every class by its probability. What is seen of few rows
    hangs on chance, where a class is rare on a handful; what probabilities expect hangs on their calibration.

    Args:
        loss: of confusion matrices ``(k, classes, classes)``, one number each.
        truth: class codes ``(n,)``.
        probabilities: ``(n, classes)``.
        weights: of the rows ``(n,)``.
    """
    classes = probabilities.shape[1]
    mass = probabilities.copy()
    mass[np.arange(len(y_true)), y_true] += 1
    if weights is not None:
        mass *= weights[:, None]
    if classes == 2:
        quantiles = np.quantile(probabilities[:, 1], QUANTILES)
        thresholds = np.unique(np.floor(quantiles * STEPS) / STEPS)
        losses = loss(_confusions_above(mass, probabilities[:, 1], thresholds))
        best = np.flatnonzero(losses == losses.min())
        return DecisionThreshold(
            threshold=float(thresholds[best[len(best) // 2]])
        )  # the middle is the least fragile
    rows = np.maximum(np.bincount(y_true, weights, minlength=classes), FEWEST_ROWS)
    choices = [
        DecisionThreshold(class_weights=tuple((rows.max() / rows) ** exponent)) for exponent in EXPONENTS
    ]
    found = [_sums(choice.codes(probabilities), mass, classes) for choice in choices]
    least = int(np.argmin(loss(np.stack(found))))  # the first of equals changes least
    return choices[least] if least else MOST_PROBABLE


def _confusions_above(mass: Array, positive: Array, thresholds: Array) -> Array:
    """The confusion matrix at each of some ascending thresholds ``(k, 2, 2)``."""
    passed = np.searchsorted(thresholds, positive, side="right")  # thresholds at which a row is positive
    by_passed = _sums(passed, mass, len(thresholds) + 1)
    below = by_passed.cumsum(1)[:, :-1]
    return np.stack([below, by_passed.sum(1, keepdims=True) - below], axis=2).transpose(1, 0, 2)


def _sums(places: Codes, mass: Array, count: int) -> Array:
    """The mass of the rows, ``(n, classes)``, at each of so many places: ``(classes, count)``."""
    return np.stack([np.bincount(places, column, minlength=count) for column in mass.T])
