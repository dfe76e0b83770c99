"""The AGOP of a leaf is that of its predictions, differentiated numerically in float64.

Radhakrishnan, Beaglehole, Pandit and Belkin, Science 383 (2024), define it for any predictor: the mean over
training rows of the outer product of its gradient with itself. Central differences of the predictions need
no formula for a kernel's derivative, its feature matrix's root or its centers, and check all of them at once.

Kernels with ``q = 1`` have a cusp at every center. The gradient leaves that center out, and so does a
central difference, as the cusp is symmetric; a one-sided difference does not.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Literal

import pytest
import torch
from torch import Tensor

from tests.leaf_variants import generator
from xrfm_cli.leaf_models import LeafConfig, LeafModel, agop_diagonal, fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.agop import agop

KERNELS = {
    "norm p=1": LeafConfig(kernel_p=1.0, kernel_q=1.0),
    "norm p=1.5": LeafConfig(kernel_p=1.5, kernel_q=1.0),
    "norm p=1.5 q=1.5": LeafConfig(kernel_p=1.5, kernel_q=1.5),
    "norm p=2": LeafConfig(kernel_p=2.0, kernel_q=1.0),
    "norm p=2 q=2": LeafConfig(kernel_p=2.0, kernel_q=2.0),
    "sum_power": LeafConfig(kernel="sum_power", kernel_q=1.0, power=2),
    "sum_power q=1.5": LeafConfig(kernel="sum_power", kernel_q=1.5, power=3, constant=0.2),
}
Shape = Literal["diagonal", "full"]
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))
each_shape = pytest.mark.parametrize("shape", ["diagonal", "full"])


def rows(n: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs ``(n, 4)`` and two smooth targets of them."""
    x = torch.randn(n, 4, generator=generator(seed), dtype=torch.float64)
    return x, torch.stack([torch.sin(x[:, 0] + x[:, 1]), x[:, 2].square() + 0.3 * x[:, 0]], dim=1)


def settings(kernel: LeafConfig, shape: Shape, iterations: int) -> LeafConfig:
    """Return a leaf configuration that learns a feature matrix of this shape, beyond its scale."""
    return dataclasses.replace(kernel, metric_shape=shape, iterations=iterations, bandwidth=3.0, ridge=1e-2)


def differences(leaf: LeafModel, x: Tensor, *, one_sided: bool = False) -> Tensor:  # (n, d) -> (n, c, d)
    """Slopes of the predictions along every coordinate, central ones if not one-sided."""
    # But for the Euclidean norm, a kernel has a kink wherever a row shares a coordinate with a center, and a
    # step must be too short to meet one. Euclidean distances as short as that would have few digits.
    step = 1e-4 if leaf.config.kernel == "norm" and leaf.config.kernel_p == 2 else 1e-7
    ahead = 0.0 if one_sided else step
    slopes = []
    for column in torch.eye(x.shape[1], dtype=x.dtype):
        change = leaf.predict(x + ahead * column) - leaf.predict(x - step * column)
        slopes.append(change / (ahead + step))
    return torch.stack(slopes, dim=2)


def distance(left: Tensor, right: Tensor) -> float:
    """Relative to the size of the right one."""
    return float((left - right).norm() / right.norm())


@each_shape
@each_kernel
def test_agop_on_new_rows_is_that_of_differences(kernel: LeafConfig, shape: Shape) -> None:
    x, y = rows(60, seed=0)
    new, _ = rows(40, seed=1)  # continuous: away from the centers
    leaf = fit_leaf(x, y, settings(kernel, shape, 2), generator=generator())
    assert distance(agop(leaf.gradients(new)), agop(differences(leaf, new))) < 1e-6
    # Sharp enough to tell the sample of 40 rows from another.
    assert distance(agop(leaf.gradients(x)), agop(differences(leaf, new))) > 1e-2


@each_shape
@each_kernel
def test_the_next_metric_is_the_normalised_agop_of_differences(kernel: LeafConfig, shape: Shape) -> None:
    x, y = rows(60, seed=0)
    leaves = list(iterate_leaf(x, y, settings(kernel, shape, 3), generator=generator()))
    average = agop_diagonal if shape == "diagonal" else agop
    for before, after in pairwise(leaves):
        found = average(differences(before, x))
        assert distance(after.feature_matrix, found / found.abs().max()) < 1e-6
        assert distance(after.feature_matrix, before.feature_matrix) > 1e-3  # it did learn something


@pytest.mark.parametrize("name", ["norm p=1", "norm p=2", "sum_power"])
def test_a_one_sided_difference_sees_the_cusp_at_a_center(name: str) -> None:
    x, y = rows(60, seed=0)
    leaf = fit_leaf(x, y, settings(KERNELS[name], "full", 1), generator=generator())
    central, one_sided = differences(leaf, x), differences(leaf, x, one_sided=True)
    assert distance(central, leaf.gradients(x)) < 1e-5
    assert distance(one_sided, leaf.gradients(x)) > 1e-2
