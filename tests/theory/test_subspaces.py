"""The subspace that matters: found by the AGOP before predictions are good, and then used.

Zhu, Davis, Drusvyatskiy and Fazel, "Average gradient outer product in kernel regression provably recovers
the central subspace for multi-index models", arXiv 2605.15082. Their setting: a polynomial ``h(U x)`` of
few directions whose low-degree part already depends on all of them; kernel ridge regression, once, and the
top eigenspace of its AGOP. It aligns with the span of ``U`` from rows in the order of ``d^(p + delta)``,
``p`` the degree of that part, where accurate prediction takes ``d^degree``.

Radhakrishnan, Belkin and Drusvyatskiy, "Linear Recursive Feature Machines provably recover low-rank
matrices", arXiv 2401.04553: reweighting by the AGOP recovers a matrix of low rank from fewer rows than it
has entries. Theirs is linear regression on matrices; here the matrix is that of a quadratic form, its rows
``x x^T`` seen through a kernel. A power of 1/4 of the feature matrix recovers it to more digits than 1/2.
"""

from __future__ import annotations

import pytest
import torch

from tests.leaf_variants import generator
from tests.theory.tasks import largest_angle, normal, quadratic_form, r_squared, subspace, two_index
from xrfm_cli.leaf_models import LeafConfig, fit_leaf, iterate_leaf
from xrfm_cli.leaf_models.agop import agop

MULTI_INDEX = LeafConfig(bandwidth=10.0, ridge=1e-3, iterations=3, metric_shape="full", agop_rows=10_000)
QUADRATIC = LeafConfig(
    kernel_p=2.0,
    kernel_q=2.0,
    bandwidth=10.0,
    ridge=1e-7,
    iterations=8,
    metric_shape="full",
    agop_rows=10_000,
    agop_power=0.25,
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_directions_are_found_while_predictions_are_poor(seed: int) -> None:
    basis = subspace(20, 2, seed=seed)
    x, new = normal(2_000, 20, seed=50 + seed), normal(2_000, 20, seed=100 + seed)
    y, new_y = two_index(x @ basis), two_index(new @ basis)
    leaves = list(iterate_leaf(x, y, MULTI_INDEX, generator=generator(seed)))
    # The feature matrix of leaf 1 is the AGOP of leaf 0, the plain kernel machine.
    assert r_squared(leaves[0], new, new_y) < 0.5
    assert largest_angle(leaves[1].feature_matrix, basis) < 25
    # With it, predictions of the same rows are good, which aligns it further.
    assert r_squared(leaves[-1], new, new_y) > r_squared(leaves[0], new, new_y) + 0.25
    assert largest_angle(leaves[-1].feature_matrix, basis) < 0.75 * largest_angle(
        leaves[1].feature_matrix, basis
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_directions_are_not_found_from_too_few_rows_or_from_noise(seed: int) -> None:
    basis = subspace(20, 2, seed=seed)
    few = normal(60, 20, seed=50 + seed)
    leaf = fit_leaf(few, two_index(few @ basis), MULTI_INDEX, generator=generator(seed))
    assert largest_angle(leaf.feature_matrix, basis) > 35
    x = normal(2_000, 20, seed=50 + seed)
    shuffled = two_index(x @ basis)[torch.randperm(2_000, generator=generator(seed))]
    leaf = fit_leaf(x, shuffled, MULTI_INDEX, generator=generator(seed))
    assert largest_angle(leaf.feature_matrix, basis) > 35


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("signs", [(1.0, -1.0), (1.0, 1.0, -1.0)])
def test_a_quadratic_form_of_low_rank_is_recovered(signs: tuple[float, ...], seed: int) -> None:
    # Fewer rows than the 465 coefficients of a quadratic form of 30 variables.
    d, n = 30, 400
    basis = subspace(d, len(signs), seed=seed)

    x, new = normal(n, d, seed=50 + seed), normal(1_500, d, seed=100 + seed)
    y, new_y = quadratic_form(x, basis, signs), quadratic_form(new, basis, signs)
    leaves = list(iterate_leaf(x, y, QUADRATIC, generator=generator(seed)))
    assert r_squared(leaves[0], new, new_y) < 0.8  # the plain kernel
    assert largest_angle(agop(leaves[0].gradients(x)), basis) > 5
    assert r_squared(leaves[-1], new, new_y) > 0.99
    assert largest_angle(leaves[-1].feature_matrix, basis) < 1
    values = torch.linalg.eigvalsh(leaves[-1].feature_matrix)  # of the rank of the form, and no more
    assert float(values[-len(signs) - 1]) < 1e-3 * float(values[-len(signs)])
