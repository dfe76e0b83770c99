"""The average gradient outer product (AGOP), from which a leaf learns its feature matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import in_float64, widened


def agop(gradients: Tensor, weights: Tensor | None = None) -> Tensor:  # (n, c, d) -> (d, d)
    """Return the average gradient outer product of a sample of rows.

    Entry ``[j, k]`` averages, over rows, the products of the partial derivatives by features ``j`` and ``k``,
    summed over the ``c`` outputs; ``weights (n,)`` are row weights. It is computed in float64, because
    squares of large float32 values overflow float32.

    >>> agop(torch.tensor([[[3.0, 0.0]], [[0.0, 4.0]]]))
    tensor([[4.5000, 0.0000],
            [0.0000, 8.0000]], dtype=torch.float64)

    Radhakrishnan et al., Science 383 (2024).
    """
    flat, row_weights = _weighted_rows(gradients, weights)
    return flat.T @ (flat * row_weights[:, None])


def agop_rows(gradients: Tensor, weights: Tensor | None = None) -> Tensor:  # (n, c, d) -> (n * c, d)
    """Return rows whose outer products add to :func:`agop`: ``agop == rows.T @ rows``.

    >>> agop_rows(torch.tensor([[[3.0, 0.0]], [[0.0, 4.0]]])).square().sum(0)
    tensor([4.5000, 8.0000], dtype=torch.float64)
    """
    flat, shares = _weighted_rows(gradients, weights)
    return flat * shares.sqrt()[:, None]


def agop_diagonal(gradients: Tensor, weights: Tensor | None = None) -> Tensor:  # (n, c, d) -> (d,)
    """Return the diagonal of :func:`agop`: the mean squared sensitivity to each feature.

    >>> agop_diagonal(torch.tensor([[[3.0, 0.0]], [[0.0, 4.0]]]))
    tensor([4.5000, 8.0000], dtype=torch.float64)
    """
    flat, row_weights = _weighted_rows(gradients, weights)
    return row_weights @ flat.square()


def normalise_feature_matrix(feature_matrix: Tensor, previous: Tensor) -> Tensor:
    """Divide by the largest absolute entry; return ``previous`` for a matrix of zeros (a constant model).

    The result has the type of ``previous``.
    """
    largest = feature_matrix.abs().max()
    if not bool(torch.isfinite(largest)) or float(largest) <= torch.finfo(feature_matrix.dtype).tiny:
        return previous
    return (feature_matrix / largest).to(previous.dtype)


def feature_matrix_power(feature_matrix: Tensor, power: float) -> Tensor:
    """Return ``M^power`` of a diagonal ``(d,)`` or symmetric positive semidefinite ``(d, d)`` feature matrix.

    The decomposition is in float64: float32 would blur the directions of small eigenvalues.

    >>> feature_matrix_power(torch.tensor([4.0, 9.0]), 0.5)
    tensor([2., 3.])
    """
    return (
        feature_matrix.clamp(min=0).pow(power)
        if feature_matrix.ndim == 1
        else spectral_power(feature_matrix, power)
    )


def spectral_power(matrices: Tensor, power: float) -> Tensor:  # (*batch, d, d) -> (*batch, d, d)
    """Raise the eigenvalues of symmetric positive semidefinite matrices to a power.

    >>> spectral_power(torch.diag(torch.tensor([4.0, 9.0])), 0.5).diagonal()
    tensor([2., 3.])
    """
    values, vectors = torch.linalg.eigh(in_float64(matrices))
    return ((vectors * values.clamp(min=0).pow(power)[..., None, :]) @ vectors.mT).to(matrices)


def unit_scale(u: Tensor) -> float:
    """Return the power of two that scales the largest entry to between 1/2 and 1; 1 if there is none.

    Multiplying by it is exact, and distances of huge or tiny rows neither overflow nor vanish in float32.

    >>> unit_scale(torch.tensor([[-3.0, 1.0]])), unit_scale(torch.zeros(1, 2))
    (0.25, 1.0)
    """
    return scale_of(float(u.abs().max()) if u.numel() else 0.0)


def scale_of(largest: float) -> float:
    """Return the power of two that scales a positive number to between 1/2 and 1; 1 if there is none.

    >>> scale_of(3.0), scale_of(math.inf)
    (0.25, 1.0)
    """
    if not 0 < largest < math.inf:
        return 1.0
    return 2.0 ** min(126, -math.frexp(largest)[1])


def apply_feature_matrix(x: Tensor, root: Tensor) -> Tensor:  # (n, d), (d,) | (d, d) -> (n, d)
    """Transform rows into the coordinates of the feature matrix.

    A full feature matrix is applied in float64 and the result is rounded to float32. So a row has the same
    result in any batch, and a center is at distance zero from itself.
    """
    return x * root if root.ndim == 1 else (in_float64(x) @ in_float64(root)).to(x)


def _weighted_rows(gradients: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return every gradient as a row, and its share, in float64, where the order of sums hardly matters."""
    n, outputs, d = gradients.shape
    shares = torch.ones(n, device=gradients.device) if weights is None else weights
    shares = widened(shares) / widened(shares).sum()
    return widened(gradients).reshape(n * outputs, d), shares[:, None].expand(n, outputs).reshape(-1)
