"""How targets enter a leaf and come back: standardised values, or classes on a simplex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCoding:
    """Regression targets, standardised by their (weighted) mean and deviation.

    >>> coding = ValueCoding.fit(np.array([1.0, 3.0]), None)
    >>> coding.encode(np.array([5.0])).tolist(), coding.decode(np.array([[3.0]])).tolist()
    ([[3.0]], [[5.0]])
    """

    mean: float
    deviation: float

    @classmethod
    def fit(cls, y: Array, weights: Array | None) -> ValueCoding:
        """From training values ``(n,)``."""
        mean = float(np.average(y, weights=weights))
        deviation = float(np.sqrt(np.average((y - mean) ** 2, weights=weights)))
        return cls(mean=mean, deviation=deviation if deviation > 0 else 1.0)

    def encode(self, y: Array) -> Array:
        """Values ``(n,)`` to codes ``(n, 1)``."""
        return ((y - self.mean) / self.deviation)[:, None]

    def decode(self, codes: Array) -> Array:
        """Codes ``(n, 1)`` to values ``(n, 1)``."""
        return codes * self.deviation + self.mean

    def decode_matrix(self) -> Array:
        """The linear part of :meth:`decode` ``(outputs decoded, outputs coded)``."""
        return np.array([[self.deviation]])

    def to_json(self) -> dict[str, Any]:
        """The facts to build it again."""
        return {"kind": "values", "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCoding:
    """Classes as corners of a simplex around the prior.

    Class ``k`` becomes ``U^T (e_k - prior)`` with ``U (classes, classes - 1)`` orthonormal and orthogonal to
    the ones; a leaf's output ``f`` becomes ``prior + U f``. Scores add to one, and far from the data they
    are the prior.

    >>> coding = ClassCoding.fit(np.array([0, 1, 1, 1]), 2, None)
    >>> coding.decode(np.zeros((1, 1))).tolist()
    [[0.25, 0.75]]
    """

    prior: tuple[float, ...]

    @classmethod
    def fit(cls, codes: NDArray[np.int64], n_classes: int, weights: Array | None) -> ClassCoding:
        """From training codes ``(n,)``."""
        counts = np.bincount(codes, weights=weights, minlength=n_classes).astype(float)
        return cls(prior=tuple((counts / counts.sum()).tolist()))

    def encode(self, codes: NDArray[np.int64]) -> Array:
        """Class codes ``(n,)`` to ``(n, classes - 1)``."""
        return (np.eye(len(self.prior))[codes] - np.array(self.prior)) @ self.decode_matrix()

    def decode(self, outputs: Array) -> Array:
        """Outputs ``(n, classes - 1)`` to scores ``(n, classes)`` that add to one."""
        scores = np.tile(np.array(self.prior), (len(outputs), 1))
        # Column by column: a matrix product would round a row differently among other rows.
        for k, column in enumerate(self.decode_matrix().T):
            scores += outputs[:, k, None] * column
        return scores

    def decode_matrix(self) -> Array:
        """``U (classes, classes - 1)``: Helmert's orthonormal contrasts."""
        n = len(self.prior)
        u = np.zeros((n, n - 1))
        for k in range(1, n):
            u[:k, k - 1] = -1.0 / np.sqrt(k * (k + 1))
            u[k, k - 1] = k / np.sqrt(k * (k + 1))
        return u

    def to_json(self) -> dict[str, Any]:
        """The facts to build it again."""
        return {"kind": "classes", "prior": list(self.prior)}


TargetCoding = ValueCoding | ClassCoding


def coding_from_json(facts: Mapping[str, Any]) -> TargetCoding:
    """Build again what ``to_json`` described."""
    if facts["kind"] == "values":
        return ValueCoding(mean=float(facts["mean"]), deviation=float(facts["deviation"]))
    return ClassCoding(prior=tuple(float(p) for p in facts["prior"]))


def fit_coding(truth: NDArray[Any], n_classes: int, weights: Array | None) -> TargetCoding:
    """The coding of a task: values if there are no classes."""
    return ClassCoding.fit(truth, n_classes, weights) if n_classes else ValueCoding.fit(truth, weights)
