"""Directions along which a node may be split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xrfm_cli.events import OnEvent
from xrfm_cli.leaf_models import LeafConfig, agop_rows, fit_leaf
from xrfm_cli.leaf_models.agop import agop
from xrfm_cli.leaf_models.mixing import output_mixture
from xrfm_cli.leaf_models.precision import in_float64, wide_dtype
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.tasks import content_hash

# The model whose AGOP gives the direction, as in the reference: a plain Laplace kernel machine.
SPLIT_MODEL = LeafConfig(kernel_p=2.0, kernel_q=1.0, bandwidth=10.0, ridge=1e-3, iterations=0)
CANDIDATES = 5  # directions tried before a node that cannot be split becomes a leaf


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectionTask:
    """All that the directions of a node depend on."""

    x: Tensor  # (n, d), rows drawn from the node
    y: Tensor  # (n, c)
    weights: Tensor | None  # (n,)
    seed: int
    leaf_size: int  # of the tree
    memory_bytes: int

    @cached_property
    def key(self) -> str:
        """Return a hash of the task, under which its result is known."""
        return content_hash({"seed": self.seed}, self.x, self.y, self.weights)

    @property
    def n_rows(self) -> int:
        """Return the number of rows that were drawn."""
        return len(self.x)

    @property
    def most_rows(self) -> int:
        """Return the most rows of a kernel matrix of the tree."""
        return max(len(self.x), self.leaf_size)

    def run(self, on_event: OnEvent) -> list[Tensor]:
        """Return unit vectors, strongest first; see :func:`agop_directions`.

        One thread computes them: eigenvectors depend on the number of threads in their last bits.
        """
        with compute_threads(1):
            generator = torch.Generator().manual_seed(self.seed)
            return agop_directions(self.x, self.y, self.weights, generator=generator)

    def pack(self, result: list[Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return directions as facts and tensors."""
        return {}, {str(number): direction.contiguous() for number, direction in enumerate(result)}

    def unpack(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the directions of :meth:`pack`."""
        return [tensors[str(number)] for number in range(len(tensors))]


def agop_directions(
    x: Tensor, y: Tensor, weights: Tensor | None, *, generator: torch.Generator
) -> list[Tensor]:
    """Return the top eigenvectors of the AGOP of a kernel machine on rows of a node, strongest first.

    Principal components follow: they separate rows even if the target is constant.

    Args:
        x: inputs of rows drawn from the node ``(n, d)``.
        y: targets ``(n, c)``.
        weights: row weights ``(n,)`` or None.
        generator: for the model's own draws.

    Returns unit vectors ``(d,)`` in the device's widest type. Their largest entry is positive, so that left
    and right mean the same in every run. Beaglehole et al., arXiv 2508.10053 (2025), section 3.
    """
    inputs, targets, row_weights = x, y, weights
    if row_weights is not None:
        kept = row_weights > 0
        inputs, targets, row_weights = inputs[kept], targets[kept], row_weights[kept]
    if len(inputs) < 2:
        return []
    leaf = fit_leaf(inputs, targets, SPLIT_MODEL, weights=row_weights, generator=generator)
    mixture = output_mixture(targets.shape[1], like=leaf.coefficients, generator=generator)
    if mixture is not None:
        leaf = leaf.mixed(mixture)
    gradients, (n, d) = leaf.gradients(inputs), inputs.shape
    wide_inputs = in_float64(inputs)
    if n * gradients.shape[1] < d:
        found = _leading_of_rows(in_float64(agop_rows(gradients, row_weights)))
    else:
        found = _leading(in_float64(agop(gradients, row_weights)))
    if n < d:
        found += _leading_of_rows(wide_inputs - wide_inputs.mean(0))
    else:
        found += _leading(torch.cov(wide_inputs.T).reshape(d, d))
    return [vector.to(x.device, wide_dtype(x.device)) for vector in found]


def _leading(matrix: Tensor) -> list[Tensor]:
    """Return the eigenvectors of the largest positive eigenvalues, strongest first."""
    values, vectors = torch.linalg.eigh(matrix)
    strongest = values.argsort(descending=True, stable=True)[:CANDIDATES]
    return [_fixed_sign(vectors[:, k]) for k in strongest.tolist() if float(values[k]) > 0]


def _leading_of_rows(rows: Tensor) -> list[Tensor]:  # (r, d) with r < d
    """Return the same for ``rows.T @ rows`` without forming it: a wide table has thousands of columns.

    Its eigenvectors are those of ``rows @ rows.T``, multiplied by ``rows.T``.
    """
    values, vectors = torch.linalg.eigh(rows @ rows.T)
    strongest = values.argsort(descending=True, stable=True)[:CANDIDATES]
    least = (
        float(values.max()) * len(rows) * torch.finfo(values.dtype).eps
    )  # smaller eigenvalues are rounding errors
    wide = [rows.T @ vectors[:, k] for k in strongest.tolist() if float(values[k]) > least]
    return [_fixed_sign(vector / vector.norm()) for vector in wide]


def _fixed_sign(vector: Tensor) -> Tensor:
    largest = vector[vector.abs().argmax()]
    return vector if float(largest) > 0 else -vector
