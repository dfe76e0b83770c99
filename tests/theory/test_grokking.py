"""Modular arithmetic: chance at first, then all of it, by the learned feature matrix alone.

Mallinar, Beaglehole, Zhu, Radhakrishnan, Pandit and Belkin, "Emergence in non-neural models: grokking
modular arithmetic via average gradient outer product", arXiv 2407.20199. Their setting: two one-hot numbers
side by side, one-hot targets, a random half of the table to train on, float64, hardly any ridge, a full
feature matrix from centred gradients, to a power that makes distances ``(u - v)^T AGOP^(1/2) (u - v)``.
Here inputs are multiplied by the matrix's power, so that their 1/2 is an ``agop_power`` of 1/4; 0.3 needs
fewer steps. They take p = 61 (benchmarks/theory.py), and smaller primes fit the time of a test. Their
Gaussian kernel of bandwidth 2.5 has ``kernel_p = kernel_q = 2`` and the bandwidth 2.5 * sqrt(2); a wider
one here makes up for metrics whose largest entry is normalised to 1.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from tests.leaf_variants import generator
from tests.theory.tasks import (
    Operation,
    accuracy,
    circulance,
    mirrored_table,
    modular_table,
    powers_of_primitive_root,
)
from xrfm_cli.leaf_models import LeafConfig, LeafModel, iterate_leaf
from xrfm_cli.leaf_models.agop import agop

CONFIG = LeafConfig(
    kernel_p=2.0,
    kernel_q=2.0,
    bandwidth=5.0,
    ridge=1e-8,
    iterations=22,
    metric_shape="full",
    agop_rows=10_000,
    agop_power=0.3,
    agop_centred=True,
)
LEARNED = 0.99


def grok(operation: Operation, p: int, *, seed: int) -> tuple[LeafModel, list[float]]:
    """The first leaf that knows 99 % of the other half, or the last one, and every accuracy until then."""
    split = modular_table(operation, p, seed=seed)
    history = []
    for leaf in iterate_leaf(split.x, split.y, CONFIG, generator=generator(seed)):
        # Training rows are right from the start: only the feature matrix differs between steps.
        assert accuracy(leaf, split.x, split.y) == 1.0
        history.append(accuracy(leaf, split.new_x, split.new_y))
        if history[-1] >= LEARNED:
            break
    return leaf, history


@pytest.mark.slow
@pytest.mark.parametrize(("operation", "p"), [("addition", 41), ("multiplication", 43)])
def test_half_of_the_table_teaches_the_other_half(operation: Operation, p: int) -> None:
    leaf, history = grok(operation, p, seed=0)
    assert max(history[:5]) <= 2 / p  # no better than chance, and not for want of a few steps
    assert history[-1] >= LEARNED

    # The features are block-circulant: for multiplication, once numbers are in the order of their logarithms.
    # A matrix without structure has a circulance of 1 / p, here below 0.03.
    size = p if operation == "addition" else p - 1
    natural = leaf.feature_matrix[:size, :size]
    if operation == "addition":
        assert circulance(natural) > 0.3
    else:
        order = torch.tensor(powers_of_primitive_root(p)) - 1
        assert circulance(natural[order][:, order]) > 0.3
        assert circulance(natural) < 0.1


@pytest.mark.slow
def test_centred_gradients_make_the_difference() -> None:
    # A smaller table: neither way gets far, but what the mean gradients hide is plain to see.
    split = modular_table("addition", 31, seed=0)
    centred, plain = (
        [
            accuracy(leaf, split.new_x, split.new_y)
            for leaf in iterate_leaf(split.x, split.y, config, generator=generator())
        ]
        for config in (CONFIG, replace(CONFIG, agop_centred=False))
    )
    assert centred[0] == plain[0] <= 2 / 31
    assert centred[-1] > 0.5
    assert plain[-1] < 0.25


@pytest.mark.slow
def test_a_symmetric_half_of_the_table_teaches_nothing() -> None:
    """Tomas Bernal, Mallinar and Belkin (2026): learning needs training rows that break the symmetry.

    Addition commutes. Where the training rows hold ``b + a`` whenever they hold ``a + b``, new rows are not
    learned; as many rows with one of each pair are.
    """
    config = replace(CONFIG, iterations=18)
    reached = {}
    for is_symmetric in (True, False):
        split = mirrored_table(31, is_symmetric=is_symmetric, seed=0)
        *_, last = iterate_leaf(split.x, split.y, config, generator=generator())
        reached[is_symmetric] = accuracy(last, split.new_x, split.new_y)
    assert reached[True] < 0.1
    assert reached[False] > 0.5


def test_centred_means_the_covariance_of_the_gradients() -> None:
    split = modular_table("addition", 11, seed=0)
    config = replace(CONFIG, iterations=2)
    leaves = list(iterate_leaf(split.x, split.y, config, generator=generator()))
    for before, after in pairwise(leaves):
        gradients = before.gradients(split.x)
        covariance = agop(gradients - gradients.mean(0))
        torch.testing.assert_close(
            after.feature_matrix, covariance / covariance.abs().max(), rtol=1e-9, atol=1e-9
        )


def test_a_circulant_matrix_is_told_from_one_without_structure() -> None:
    noise = torch.randn(40, 40, generator=generator(), dtype=torch.float64)
    row = noise[0]
    circulant = torch.stack([row.roll(shift) for shift in range(40)])
    assert circulance(circulant) == pytest.approx(1.0)
    assert circulance(noise) < 0.1


def test_logarithms_turn_products_into_sums() -> None:
    powers = powers_of_primitive_root(53)
    assert sorted(powers) == list(range(1, 53))
    assert all(after == before * powers[1] % 53 for before, after in pairwise(powers))
