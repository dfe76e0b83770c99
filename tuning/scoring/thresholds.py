"""Decision thresholds: which class to predict for the chosen metric."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
QUANTILES = np.linspace(0.005, 0.995, 199)  # of the positive class's probabilities: the thresholds to try
STEPS = 10_000  # of thresholds between 0 and 1
EXPONENTS = np.linspace(0.0, 1.5, 13)  # of the class shares, to favour rare classes
FEWEST_ROWS = 1.0  # lower limit of a class's rows


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionThreshold:
    """How class codes follow from probabilities.

    >>> shares = np.array([[0.6, 0.4]])
    >>> DecisionThreshold().codes(shares), DecisionThreshold(threshold=0.3).codes(shares)
    (array([0]), array([1]))
    >>> DecisionThreshold(class_weights=(1.0, 1.0, 4.0)).codes(np.array([[0.5, 0.3, 0.2]]))
    array([2])
    """

    threshold: float | None = None  # for two classes: the probability from which the second is predicted
    class_weights: tuple[float, ...] = ()  # for several classes: factors of their probabilities

    def codes(self, probabilities: Array) -> Codes:  # (n, classes) -> (n,)
        """Return class codes; the first of equals wins."""
        if self.threshold is not None:
            return (probabilities[:, 1] >= self.threshold).astype(np.int64)
        weighted = probabilities * np.array(self.class_weights) if self.class_weights else probabilities
        return weighted.argmax(1)

    def check(self, classes: int) -> None:
        """Raise ValueError if this does not decide between so many classes; 0 for regression."""
        threshold, weights = self.threshold, np.array(self.class_weights)
        if threshold is not None and (classes != 2 or not math.isfinite(threshold)):
            raise ValueError("the threshold does not fit the classes")
        if len(weights) and (len(weights) != classes or not np.all((weights > 0) & np.isfinite(weights))):
            raise ValueError("the class weights do not fit the classes")


MOST_PROBABLE = DecisionThreshold()


def confusion_matrix(y_true: Codes, codes: Codes, weights: Array | None, classes: int) -> Array:
    """Return the weight of the rows by true and predicted class, ``(classes, classes)``.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), None, 2)
    array([[1., 0.],
           [1., 1.]])
    """
    found = np.bincount(y_true * classes + codes, weights, minlength=classes * classes)
    return found.reshape(classes, classes).astype(np.float64)


def choose_decision(
    loss: Callable[[Array], Array], y_true: Codes, probabilities: Array, weights: Array | None = None
) -> DecisionThreshold:
    """Choose the decision threshold or class weights with the least loss on out-of-fold probabilities.

    For two classes the threshold is free. Several classes are weighted by a power of their shares, so there
    is one number to learn: balanced accuracy needs the full inverse share if probabilities are right (Menon
    et al., ICLR 2021, logit adjustment).

    Each row counts twice: once with its class, and once with every class by its probability. Observed counts
    of rare classes are noisy and expected counts depend on calibration, so we average both.

    Args:
        loss: of confusion matrices ``(k, classes, classes)``, one number each.
        y_true: class codes ``(n,)``.
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
        )  # the middle is the most robust
    rows = np.maximum(np.bincount(y_true, weights, minlength=classes), FEWEST_ROWS)
    choices = [
        DecisionThreshold(class_weights=tuple((rows.max() / rows) ** exponent)) for exponent in EXPONENTS
    ]
    found = [_sums(choice.codes(probabilities), mass, classes) for choice in choices]
    least = int(np.argmin(loss(np.stack(found))))  # the first of equals changes least
    return choices[least] if least else MOST_PROBABLE


def _confusions_above(mass: Array, positive: Array, thresholds: Array) -> Array:
    """Return the confusion matrix at each of the ascending thresholds ``(k, 2, 2)``."""
    passed = np.searchsorted(
        thresholds, positive, side="right"
    )  # number of thresholds at which a row is positive
    by_passed = _sums(passed, mass, len(thresholds) + 1)
    below = by_passed.cumsum(1)[:, :-1]
    return np.stack([below, by_passed.sum(1, keepdims=True) - below], axis=2).transpose(1, 0, 2)


def _sums(places: Codes, mass: Array, count: int) -> Array:
    """Return the sums of the rows of ``mass (n, classes)`` by place: ``(classes, count)``."""
    return np.stack([np.bincount(places, column, minlength=count) for column in mass.T])
