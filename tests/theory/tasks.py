"""Targets with known answers, and measures of how well a model finds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tests.leaf_variants import generator
from xrfm_cli.leaf_models import LeafModel

Operation = Literal["addition", "multiplication"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Training rows and held-out rows."""

    x: Tensor  # (n, d)
    y: Tensor  # (n, c)
    new_x: Tensor
    new_y: Tensor


def modular_table(operation: Operation, p: int, *, seed: int) -> Split:
    """A random half of the table of an operation modulo the prime ``p``, and its other half.

    A row is two one-hot vectors side by side, its target a one-hot vector. The numbers are ``0 .. p - 1``
    for addition and ``1 .. p - 1``, a group of order ``p - 1``, for multiplication.
    """
    first = 0 if operation == "addition" else 1
    size = p - first
    left, right = torch.cartesian_prod(torch.arange(first, p), torch.arange(first, p)).T
    result = (left + right if operation == "addition" else left * right) % p
    x = torch.cat([one_hot(left - first, size), one_hot(right - first, size)], dim=1).double()
    y = one_hot(result - first, size).double()
    order = torch.randperm(len(x), generator=generator(seed))
    train, new = order[: len(x) // 2], order[len(x) // 2 :]
    return Split(x=x[train], y=y[train], new_x=x[new], new_y=y[new])


def mirrored_table(p: int, *, is_symmetric: bool, seed: int) -> Split:
    """Half of the table of addition modulo ``p``, chosen by the pairs of ``a + b`` and ``b + a``.

    A symmetric half has both entries of a pair or neither; the other kind has exactly one of them.
    """
    left, right = torch.cartesian_prod(torch.arange(p), torch.arange(p)).T
    low, high = torch.minimum(left, right), torch.maximum(left, right)
    chosen = (torch.rand(p, p, generator=generator(seed)) < 0.5)[low, high]
    train = chosen if is_symmetric else (left <= right) == chosen
    x = torch.cat([one_hot(left, p), one_hot(right, p)], dim=1).double()
    y = one_hot((left + right) % p, p).double()
    return Split(x=x[train], y=y[train], new_x=x[~train], new_y=y[~train])


def powers_of_primitive_root(p: int) -> list[int]:
    """``g^0 .. g^(p - 2)`` modulo a prime: numbers in the order of their discrete logarithms.

    >>> powers_of_primitive_root(7)
    [1, 3, 2, 6, 4, 5]
    """
    for root in range(1, p):
        powers = [pow(root, exponent, p) for exponent in range(p - 1)]
        if len(set(powers)) == p - 1:
            return powers
    raise ValueError(f"{p} is not a prime")


def accuracy(leaf: LeafModel, x: Tensor, y: Tensor) -> float:
    """Share of rows whose largest output is the right one."""
    return float((leaf.predict(x).argmax(1) == y.argmax(1)).double().mean())


def r_squared(leaf: LeafModel, x: Tensor, y: Tensor) -> float:
    """Explained share of the variance."""
    return 1 - float((leaf.predict(x) - y).square().sum() / (y - y.mean(0)).square().sum())


def circulance(block: Tensor) -> float:
    """Share of the variance off the diagonal that is between the values of ``j - i`` modulo the size.

    1 for a circulant matrix, near ``1 / size`` for a matrix without structure.
    """
    size = len(block)
    index = torch.arange(size)
    distance = (index[None, :] - index[:, None]) % size
    off = distance > 0
    values, groups = block[off], distance[off]
    means = torch.stack([values[groups == group].mean() for group in range(1, size)])
    return float((means[groups - 1] - values.mean()).square().sum() / (values - values.mean()).square().sum())


def hypercube(n: int, d: int, *, seed: int) -> Tensor:  # -> (n, d)
    """Rows drawn uniformly from ``{-1, 1}^d``."""
    return torch.randint(0, 2, (n, d), generator=generator(seed)).double() * 2 - 1


def staircase(x: Tensor) -> Tensor:  # (n, d) -> (n, 1)
    """``x1 + x1 x2 + x1 x2 x3 + x1 x2 x3 x4``: each monomial adds one coordinate, its leap is 1."""
    return x[:, :4].cumprod(1).sum(1, keepdim=True)


def pairs(x: Tensor) -> Tensor:  # (n, d) -> (n, 1)
    """``x1 x2 + x1 x2 x3 x4``: two coordinates at a time, its leap is 2."""
    return x[:, :2].prod(1, keepdim=True) + x[:, :4].prod(1, keepdim=True)


def parity(x: Tensor) -> Tensor:  # (n, d) -> (n, 1)
    """``x1 x2 x3 x4`` alone: all four coordinates at once, its leap is 4."""
    return x[:, :4].prod(1, keepdim=True)


def subspace(d: int, rank: int, *, seed: int) -> Tensor:  # -> (d, rank)
    """Orthonormal columns in a random direction."""
    return torch.linalg.qr(torch.randn(d, rank, generator=generator(seed), dtype=torch.float64)).Q


def normal(n: int, d: int, *, seed: int) -> Tensor:  # -> (n, d)
    """Standard normal rows."""
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def two_index(z: Tensor) -> Tensor:  # (n, 2) -> (n, 1)
    """Degree 4 in Hermite polynomials; its part of degree 2, ``z1 z2``, already has both directions."""
    return z[:, :1] * z[:, 1:] + (z[:, :1] ** 3 - 3 * z[:, :1]) * z[:, 1:] / 6**0.5


def quadratic_form(x: Tensor, basis: Tensor, signs: Sequence[float]) -> Tensor:  # (n, d), (d, r) -> (n, 1)
    """``x^T A x - trace(A)`` for the matrix ``A = basis diag(signs) basis^T``."""
    values = (x @ basis).square() @ torch.tensor(signs, dtype=x.dtype)
    return values[:, None] - sum(signs)


def largest_angle(feature_matrix: Tensor, basis: Tensor) -> float:  # (d, d), (d, r) -> degrees
    """Largest principal angle between the top-r eigenspace of a feature matrix and the span of a basis.

    >>> round(largest_angle(torch.diag(torch.tensor([1.0, 0.0])), torch.tensor([[3.0], [3.0]]) / 18**0.5))
    45
    """
    top = torch.linalg.eigh(feature_matrix.double()).eigenvectors[:, -basis.shape[1] :]
    # The sine stays exact where the cosine of a small angle is rounded to 1.
    beyond = basis.double() - top @ (top.T @ basis.double())
    return math.degrees(math.asin(min(1.0, float(torch.linalg.svdvals(beyond).max()))))
