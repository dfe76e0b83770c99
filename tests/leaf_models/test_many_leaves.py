"""Pairs of rows and leaves: one compiled call gives the bits of the leaves' own predictions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.leaf_variants import KERNEL_VARIANTS, VARIANTS, assert_same_bits, generator, sample
from xrfm_cli.leaf_models import LeafConfig, LeafModel, RFMLeaf, fit_leaf
from xrfm_cli.leaf_models.compiled import loops
from xrfm_cli.leaf_models.many_leaves import FEW_ROWS, LeafTable, predict_pairs

COUNTS = (0, 1, 5, FEW_ROWS + 9, 0, 20)  # pairs of each leaf


def made_leaves(config: LeafConfig) -> tuple[LeafModel, ...]:
    """Leaves of different sizes. The last three have binary columns; one of these is constant in its leaf."""
    found = []
    for number in range(len(COUNTS)):
        x, y = sample(40 + 150 * (number % 3), 5, 2, seed=number, dtype=torch.float32)
        if number >= 3:
            x[:, 1:3] = (x[:, 1:3] > 0).float() * (number - 1.5)
        if number == 4:
            x[:, 3] = 1.0
        found.append(fit_leaf(x, y, replace(config, iterations=1), generator=generator(number)))
    return tuple(found)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=list(VARIANTS))
def test_pairs_equal_the_predictions_of_each_leaf(config: LeafConfig) -> None:
    leaves = made_leaves(config)
    table = LeafTable.of(leaves)
    has_table = (
        loops.is_compiled() and config.metric_shape == "diagonal" and config in KERNEL_VARIANTS.values()
    )
    assert (table is not None) == has_table
    if table is not None:  # as with the logistic loss
        shifted = tuple(replace(leaf, intercept=0.1 * k) for k, leaf in enumerate(table.leaves))
        leaves, table = shifted, LeafTable.of(shifted)
    x = sample(300, 5, 2, seed=9, dtype=torch.float32)[0]
    x[::2, 1:3] = (x[::2, 1:3] > 0).float() * 1.5  # the others have a third value in binary columns
    rows = torch.randint(0, 300, (sum(COUNTS),), generator=generator(1))
    starts = torch.tensor([0, *COUNTS]).cumsum(0)
    found = predict_pairs(leaves, table, x, rows, starts)
    for number, leaf in enumerate(leaves):
        own = slice(int(starts[number]), int(starts[number + 1]))
        if own.start < own.stop:
            assert_same_bits(found[own], leaf.predict(x[rows[own]]))


@pytest.mark.skipif(not loops.is_compiled(), reason="the package was installed without a compiler")
@pytest.mark.parametrize("binary", [0, 3, 200])
def test_pairs_of_wide_leaves_equal_the_predictions_of_each_leaf(binary: int) -> None:
    leaves = []
    for number in range(3):
        x, y = sample(300, 300, 2, seed=number, dtype=torch.float32)
        x[:, :binary] = (x[:, :binary] > 0).float()
        config = replace(KERNEL_VARIANTS["norm1-diagonal"], iterations=0)
        leaves.append(fit_leaf(x, y, config, generator=generator(number)))
    x = sample(70, 300, 2, seed=9, dtype=torch.float32)[0]
    x[:, :binary] = (x[:, :binary] > 0).float()
    x[::5, 0] = 0.5  # a third value, if the column is binary
    rows, starts = torch.arange(150) % 70, torch.tensor([0, 50, 51, 150])
    found = predict_pairs(leaves, LeafTable.of(leaves), x, rows, starts)
    for number, leaf in enumerate(leaves):
        own = slice(int(starts[number]), int(starts[number + 1]))
        assert_same_bits(found[own], leaf.predict(x[rows[own]]))


@pytest.mark.skipif(not loops.is_compiled(), reason="the package was installed without a compiler")
def test_threads_and_wrong_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = made_leaves(KERNEL_VARIANTS["norm1-diagonal"])
    table = LeafTable.of(leaves)
    x, starts = sample(50, 5, dtype=torch.float32)[0], torch.tensor([0, *COUNTS]).cumsum(0)
    rows = torch.randint(0, 50, (sum(COUNTS),), generator=generator(1))
    alone = predict_pairs(leaves, table, x, rows, starts)
    monkeypatch.setattr(loops, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert_same_bits(predict_pairs(leaves, table, x, rows, starts), alone)
    with pytest.raises(ValueError, match="do not fit together"):
        predict_pairs(leaves, table, x, rows + 50, starts)


@pytest.mark.parametrize("config", [LeafConfig(), LeafConfig(kernel_p=1.0)])
def test_other_precisions_predict_one_after_the_other(config: LeafConfig) -> None:
    x, y = sample(30)
    leaf = fit_leaf(x, y, config, generator=generator())
    assert isinstance(leaf, RFMLeaf)
    assert LeafTable.of((leaf, leaf)) is None
    found = predict_pairs((leaf, leaf), None, x, torch.arange(30), torch.tensor([0, 10, 30]))
    assert_same_bits(found, leaf.predict(x))
