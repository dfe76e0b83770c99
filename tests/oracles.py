"""Slow float64 reference loops, written only from the formulas; tests compare the fast code with them.

Rows are 1-D arrays. As in the papers, ``u = M^a x`` is a row under the feature matrix and ``a`` a center.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class NormKernel:
    """``exp(-(||u - v||_p / L)^q)``."""

    p: float = 2.0
    q: float = 1.0
    bandwidth: float = 10.0

    def value(self, u: Array, v: Array) -> float:
        return math.exp(-((norm(u - v, self.p) / self.bandwidth) ** self.q))

    def gradient(self, u: Array, v: Array) -> Array:
        """Gradient by ``u``; a center at distance zero and an equal coordinate contribute nothing."""
        distance = norm(u - v, self.p)
        result = np.zeros(len(u))
        if distance == 0.0:
            return result
        outer = -(self.q / self.bandwidth**self.q) * self.value(u, v) * distance ** (self.q - self.p)
        for j in range(len(u)):
            delta = u[j] - v[j]
            if delta != 0.0:
                result[j] = outer * abs(delta) ** (self.p - 1.0) * math.copysign(1.0, delta)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPowerKernel:
    """``(c0 + (1 - c0)/d * sum_j exp(-(|u_j - v_j| / L)^q))^power``."""

    q: float = 1.0
    bandwidth: float = 10.0
    power: float = 2.0
    constant: float = 0.0

    def base(self, u: Array, v: Array) -> float:
        total = 0.0
        for j in range(len(u)):
            total += math.exp(-((abs(u[j] - v[j]) / self.bandwidth) ** self.q))
        return self.constant + (1.0 - self.constant) / len(u) * total

    def value(self, u: Array, v: Array) -> float:
        return self.base(u, v) ** self.power

    def gradient(self, u: Array, v: Array) -> Array:
        """Gradient by ``u``; an equal coordinate contributes nothing."""
        result = np.zeros(len(u))
        outer = self.power * self.base(u, v) ** (self.power - 1.0) * (1.0 - self.constant) / len(u)
        for j in range(len(u)):
            delta = u[j] - v[j]
            if delta != 0.0:
                term = math.exp(-((abs(delta) / self.bandwidth) ** self.q))
                slope = -(self.q / self.bandwidth**self.q) * abs(delta) ** (self.q - 1.0)
                result[j] = outer * term * slope * math.copysign(1.0, delta)
        return result


Kernel = NormKernel | SumPowerKernel


def norm(delta: Array, p: float) -> float:
    """``(sum_j |delta_j|^p)^(1/p)``."""
    total = 0.0
    for value in delta:
        total += abs(float(value)) ** p
    return float(total ** (1.0 / p))


def kernel_matrix(kernel: Kernel, rows: Array, centers: Array) -> Array:
    """``(n, m)`` kernel values."""
    result = np.zeros((len(rows), len(centers)))
    for i, row in enumerate(rows):
        for j, center in enumerate(centers):
            result[i, j] = kernel.value(row, center)
    return result


def feature_matrix_power(feature_matrix: Array, power: float) -> Array:
    """``M^a`` of a diagonal ``(d,)`` or full ``(d, d)`` matrix; negative rounding errors become zero."""
    if feature_matrix.ndim == 1:
        return np.maximum(feature_matrix, 0.0) ** power
    values, vectors = np.linalg.eigh(feature_matrix)
    return (vectors * np.maximum(values, 0.0) ** power) @ vectors.T


def transform(rows: Array, root: Array) -> Array:
    """``u = M^a x`` for each row, alone, so that equal rows stay equal to the last bit."""
    return np.array([root * row if root.ndim == 1 else root @ row for row in rows])


def ridge_solve(gram: Array, y: Array, ridge: float, weights: Array | None = None) -> Array:
    """``(K + ridge * diag(1/w))^-1 Y``; rows of weight 0 are left out and get coefficient 0."""
    n = len(gram)
    weights = np.ones(n) if weights is None else weights
    kept = np.flatnonzero(weights > 0)
    system = gram[np.ix_(kept, kept)] + np.diag(ridge / weights[kept])
    result = np.zeros_like(y, dtype=np.float64)
    result[kept] = np.linalg.solve(system, y[kept])
    return result


def leaf_predict(kernel: Kernel, rows: Array, centers: Array, coefficients: Array, root: Array) -> Array:
    """``f(x) = k(M^a x, M^a X) alpha``, shape ``(n, c)``."""
    return kernel_matrix(kernel, transform(rows, root), transform(centers, root)) @ coefficients


def leaf_gradients(kernel: Kernel, rows: Array, centers: Array, coefficients: Array, root: Array) -> Array:
    """``grad f(x) = M^a sum_i alpha_i grad_u k(u, a_i)``, shape ``(n, c, d)``."""
    moved, moved_centers = transform(rows, root), transform(centers, root)
    result = np.zeros((len(rows), coefficients.shape[1], rows.shape[1]))
    for r, u in enumerate(moved):
        for i, a in enumerate(moved_centers):
            slope = kernel.gradient(u, a)
            slope = root * slope if root.ndim == 1 else root @ slope
            for output in range(coefficients.shape[1]):
                result[r, output] += coefficients[i, output] * slope
    return result


def agop(gradients: Array, weights: Array | None = None) -> Array:
    """``G = sum_x w_x sum_outputs grad f grad f^T / sum w_x``, shape ``(d, d)``."""
    weights = np.ones(len(gradients)) if weights is None else weights
    total = np.zeros((gradients.shape[2], gradients.shape[2]))
    for weight, outputs in zip(weights, gradients, strict=True):
        for gradient in outputs:
            total += weight * np.outer(gradient, gradient)
    return total / float(np.sum(weights))


def next_feature_matrix(g: Array, previous: Array, shape: str) -> Array:
    """``G / max|G_ij|``, or only its diagonal; a zero AGOP keeps the previous feature matrix."""
    used = np.diag(g) if shape == "diagonal" else g
    largest = np.max(np.abs(used))
    return previous if largest == 0.0 else used / largest


def median_distance(rows: Array, p: float) -> float:
    """Median of the off-diagonal distances of the rows."""
    distances = [norm(rows[i] - rows[j], p) for i in range(len(rows)) for j in range(i)]
    return float(np.median(distances))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A node: children ``>= 0`` are nodes, ``< 0`` the leaf ``~child``."""

    direction: Array
    threshold: float
    iqr: float
    left: int
    right: int


def route(splits: Sequence[Split], row: Array, goes_right: Callable[[float, float], bool]) -> int:
    """Return the leaf that one row reaches under a tie rule ``goes_right(projection, threshold)``."""
    node = 0 if splits else ~0
    while node >= 0:
        split = splits[node]
        node = split.right if goes_right(float(split.direction @ row), split.threshold) else split.left
    return ~node


def paths(splits: Sequence[Split]) -> dict[int, list[tuple[int, bool]]]:
    """Return for each leaf the ``(node, goes right)`` steps from the root."""
    found: dict[int, list[tuple[int, bool]]] = {}

    def descend(node: int, steps: list[tuple[int, bool]]) -> None:
        if node < 0:
            found[~node] = steps
            return
        descend(splits[node].left, [*steps, (node, False)])
        descend(splits[node].right, [*steps, (node, True)])

    descend(0 if splits else ~0, [])
    return found


def sigmoid(value: float) -> float:
    """``1 / (1 + exp(-value))`` without overflow."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    return math.exp(value) / (1.0 + math.exp(value))


def path_weights(
    splits: Sequence[Split], row: Array, temperature: float, goes_right: Callable[[float, float], bool]
) -> Array:
    """Return the weight of every leaf before any is dropped: the product of shares along its path."""
    found = paths(splits)
    weights = np.ones(len(found))
    for leaf, steps in found.items():
        for node, right in steps:
            split = splits[node]
            projection = float(split.direction @ row)
            scale = temperature * split.iqr
            if scale > 0:
                share = sigmoid((projection - split.threshold) / scale)
            else:
                share = float(goes_right(projection, split.threshold))
            weights[leaf] *= share if right else 1.0 - share
    return weights


def voting_weights(weights: Array, *, share: float = 0.99, most: int = 12) -> Array:
    """Renormalise the heaviest leaves that reach the share, up to a maximum number; the others get 0."""
    result = np.zeros_like(weights)
    held = 0.0
    for leaf in sorted(range(len(weights)), key=lambda index: -weights[index])[:most]:
        if held >= share:
            break
        result[leaf] = weights[leaf]
        held += weights[leaf]
    return result / result.sum()


def log_weight_gradient(
    splits: Sequence[Split], steps: list[tuple[int, bool]], row: Array, temperature: float
) -> Array:
    """``sum over the path of (right: 1 - s, left: -s) v / (temperature * IQR)``; hard splits add nothing."""
    total = np.zeros(len(row))
    for node, right in steps:
        split = splits[node]
        scale = temperature * split.iqr
        if scale > 0:
            share = sigmoid((float(split.direction @ row) - split.threshold) / scale)
            total += ((1.0 - share) if right else -share) * split.direction / scale
    return total


def mixture_gradient(
    splits: Sequence[Split],
    row: Array,
    temperature: float,
    votes: Array,
    leaf_values: Array,
    leaf_slopes: Array,
) -> Array:
    """``sum_l w_l grad f_l + f_l grad w_l``, shape ``(c, d)``, over the leaves with weight.

    ``votes (l,)`` are renormalised, so they have the slope of a quotient: ``w_l (g_l - sum_k w_k g_k)``
    with ``g = grad log w``. ``leaf_values (l, c)`` and ``leaf_slopes (l, c, d)`` are the leaves' at the row.
    """
    found = paths(splits)
    slopes = np.array(
        [log_weight_gradient(splits, found[leaf], row, temperature) for leaf in range(len(votes))]
    )
    mean_slope = votes @ slopes
    result = np.zeros(leaf_slopes.shape[1:])
    for leaf, vote in enumerate(votes):
        result += vote * leaf_slopes[leaf] + np.outer(leaf_values[leaf], vote * (slopes[leaf] - mean_slope))
    return result
