"""Target transforms of classes: corners of a simplex, or log odds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Up to this many classes, scores add up contrast by contrast, which keeps the bits of earlier versions.
MANY_CLASSES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTransform:
    """Classes as corners of a simplex around the prior.

    Class ``k`` becomes ``U^T (e_k - prior)`` with ``U (classes, classes - 1)`` orthonormal and orthogonal to
    the ones; a leaf's output ``f`` becomes ``prior + U f``. Decoded predictions add to one, and far from the
    data they are the prior.

    >>> target_transform = ClassTransform.fit(np.array([0, 1, 1, 1]), 2, None)
    >>> target_transform.decode(np.zeros((1, 1))).tolist()
    [[0.25, 0.75]]
    """

    prior: tuple[float, ...]

    @classmethod
    def fit(cls, codes: NDArray[np.int64], n_classes: int, weights: Array | None) -> ClassTransform:
        """Fit to training codes ``(n,)``."""
        counts = np.bincount(codes, weights=weights, minlength=n_classes).astype(float)
        return cls(prior=tuple((counts / counts.sum()).tolist()))

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return len(self.prior), len(self.prior) - 1

    def encode(self, codes: NDArray[np.int64]) -> Array:
        """Encode class codes ``(n,)`` as ``(n, classes - 1)``."""
        return (np.eye(len(self.prior))[codes] - np.array(self.prior)) @ self.contrasts()

    def decode(self, outputs: Array) -> Array:
        """Decode outputs ``(n, classes - 1)`` to ``(n, classes)`` that add to one."""
        if len(self.prior) > MANY_CLASSES:
            return self._decode_many(outputs)
        scores = np.tile(np.array(self.prior), (len(outputs), 1))
        # Column by column: a matrix product would round a row differently depending on the other rows.
        for k, column in enumerate(self.contrasts().T):
            scores[:, : k + 2] += outputs[:, k, None] * column[: k + 2]  # the rest is zero
        return scores

    def _decode_many(self, outputs: Array) -> Array:
        """Like `decode`, in linear time: contrast ``k`` adds the same number to every class below ``k``."""
        k = np.arange(1, len(self.prior))
        scaled = outputs / np.sqrt(k * (k + 1))
        above = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]  # sums over the contrasts above a class
        scores = np.tile(np.array(self.prior), (len(outputs), 1))
        scores[:, :-1] -= above
        scores[:, 1:] += k * scaled
        return scores

    def rates(self, start: Array, end: Array) -> Array:
        """Return decoded values per unit of output ``(n, classes, classes - 1)``, the same everywhere."""
        return np.broadcast_to(self.contrasts(), (len(end), *self.sizes))

    def pulled_back(self, outputs: Array, slopes: Array) -> Array:  # (n, classes - 1), (n, classes)
        """Convert slopes by the decoded predictions into slopes by the outputs (the chain rule)."""
        pulled: Array = slopes @ self.contrasts()
        return pulled

    def contrasts(self) -> Array:
        """Return ``U (classes, classes - 1)``: Helmert's orthonormal contrasts."""
        n = len(self.prior)
        u = np.zeros((n, n - 1))
        for k in range(1, n):
            u[:k, k - 1] = -1.0 / np.sqrt(k * (k + 1))
            u[k, k - 1] = k / np.sqrt(k * (k + 1))
        return u

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {"kind": "classes", "prior": list(self.prior)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitTransform:
    """Two classes as -1 and 1; log odds ``f`` decode to the probabilities ``1 / (1 + exp(-+f))``.

    >>> LogitTransform().encode(np.array([0, 1])).tolist(), LogitTransform().decode(np.zeros((1, 1))).tolist()
    ([[-1.0], [1.0]], [[0.5, 0.5]])
    """

    @property
    def sizes(self) -> tuple[int, int]:
        """Return the numbers of decoded and of raw outputs."""
        return 2, 1

    def encode(self, codes: NDArray[np.int64]) -> Array:
        """Encode class codes ``(n,)`` as ``(n, 1)``."""
        signs = 2.0 * codes.astype(np.float64) - 1.0
        return signs[:, None]

    def decode(self, outputs: Array) -> Array:
        """Decode log odds ``(n, 1)`` to probabilities ``(n, 2)``."""
        return np.concatenate([_logistic(-outputs), _logistic(outputs)], axis=1)

    def rates(self, start: Array, end: Array) -> Array:
        """Return probabilities per unit of log odds ``(n, 2, 1)`` between ``start`` and ``end (n, 1)``.

        The slope of the secant, as for the log transform, without a difference of near numbers:
        ``p(high) - p(low) = p(high) (1 - p(low)) (1 - exp(low - high))``.
        """
        low, high = np.minimum(start, end), np.maximum(start, end)
        way = high - low
        slope = _logistic(high) * _logistic(-low)
        shares = np.where(way == 0, 1.0, -np.expm1(-way) / np.where(way == 0, 1.0, way))
        return np.stack([-slope * shares, slope * shares], axis=1)

    def pulled_back(self, outputs: Array, slopes: Array) -> Array:  # (n, 1), (n, 2)
        """Convert slopes by the probabilities into slopes by the log odds (the chain rule)."""
        return (slopes[:, 1:] - slopes[:, :1]) * _logistic(outputs) * _logistic(-outputs)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters, ready for JSON."""
        return {"kind": "logits"}


def _logistic(odds: Array) -> Array:
    """Return ``1 / (1 + exp(-odds))``, for odds of any size."""
    small = np.exp(-np.abs(odds))
    share: Array = np.where(odds >= 0, 1.0, small) / (1.0 + small)
    return share
