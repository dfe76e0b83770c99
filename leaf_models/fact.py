"""The feature matrix of the Features at Convergence Theorem (FACT), an alternative to the AGOP.

A layer ``W`` trained with weight decay satisfies ``W^T W = mean of -(loss gradient at its input) x^T``, by
first-order optimality. For kernel ridge regression the loss gradients are the coefficients, so that the
right-hand side is ``(1/n) sum_i grad f(x_i)^T alpha_i x_i^T``. It is symmetric at convergence only; before,
``(F F^T)^(1/2)`` takes its place. Boix-Adsera, Mallinar, Simon, Belkin, arXiv 2507.05644 (2025).
"""

from __future__ import annotations

import torch
from torch import Tensor

from xrfm_cli.leaf_models.precision import in_float64, widened


def fact(gradients: Tensor, coefficients: Tensor, x: Tensor) -> Tensor:  # -> (d, d)
    """Return the sum of ``grad f(x_i)^T alpha_i x_i^T`` over rows and outputs.

    Args:
        gradients: of the predictions at the rows, ``(n, c, d)``.
        coefficients: of the rows as centers, ``(n, c)``.
        x: the rows ``(n, d)``.

    >>> fact(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[2.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([[6., 8.],
            [0., 0.]], dtype=torch.float64)
    """
    weighted = (widened(gradients) * widened(coefficients)[:, :, None]).sum(1)
    return weighted.T @ widened(x)


def fact_diagonal(gradients: Tensor, coefficients: Tensor, x: Tensor) -> Tensor:  # -> (d,)
    """Return the diagonal of :func:`fact`."""
    weighted = (widened(gradients) * widened(coefficients)[:, :, None]).sum(1)
    return (weighted * widened(x)).sum(0)


def symmetrised(matrix: Tensor) -> Tensor:  # (d,) | (d, d)
    """Return ``(F F^T)^(1/2)``: symmetric and positive semidefinite; the absolute values of a diagonal.

    >>> symmetrised(torch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([[2., 0.],
            [0., 1.]], dtype=torch.float64)
    """
    if matrix.ndim == 1:
        return matrix.abs()
    left, values, _ = torch.linalg.svd(in_float64(matrix))
    return (left * values) @ left.T
