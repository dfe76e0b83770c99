"""Directions of splits: of a wide table as of a narrow one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xrfm_cli.leaf_models import fit_leaf
from xrfm_cli.leaf_models.agop import agop
from xrfm_cli.trees.directions import SPLIT_MODEL, agop_directions


def sample(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of independent columns of different scale, and a target of two of them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=generator) * torch.linspace(0.5, 2.0, d)
    return x, (x[:, :1] + x[:, 1:2] ** 2) / 2


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "d"), [(30, 5), (30, 30), (30, 31), (30, 200)])
def test_directions_are_the_leading_eigenvectors(n: int, d: int, weighted: bool) -> None:
    x, y = sample(n, d)
    weights = torch.linspace(0.1, 2.0, n) if weighted else None
    generator = torch.Generator().manual_seed(1)
    found = agop_directions(x, y, weights, generator=generator)
    gradients = fit_leaf(x, y, SPLIT_MODEL, weights=weights, generator=torch.Generator()).gradients(x)
    for matrix, own in (
        (agop(gradients, weights).double().numpy(), found[:5]),
        (np.cov(x.double().numpy().T), found[5:]),
    ):
        values, vectors = np.linalg.eigh(matrix)
        assert len(own) == 5
        for rank, vector in enumerate(own):
            expected = vectors[:, -1 - rank]
            gap = np.diff(values)[-1 - rank :][:2].min() / values[-1]
            assert float(vector.norm()) == pytest.approx(1.0, abs=1e-9)
            assert float(vector[vector.abs().argmax()]) > 0
            if gap > 1e-6:  # the directions of equal eigenvalues are arbitrary
                assert abs(float(vector.numpy() @ expected)) == pytest.approx(1.0, abs=1e-6)


def test_a_wide_table_without_a_target_has_the_principal_components_alone() -> None:
    x, y = sample(20, 100)
    found = agop_directions(x, torch.zeros_like(y), None, generator=torch.Generator())
    assert len(found) == 5
    assert len(agop_directions(x, y, None, generator=torch.Generator())) == 10
