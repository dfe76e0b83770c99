"""Attributions of a tree add up to the change of the prediction, and each part belongs where it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.leaf_variants import VARIANTS, generator, sample
from xrfm_cli.leaf_models import LeafConfig, RFMLeaf, fit_leaf
from xrfm_cli.trees import SplitNode, TreeConfig, TreeModel, fit_tree
from xrfm_cli.trees.explanation import gradient_blocks, sample_rows, summarise_rows
from xrfm_cli.trees.mean_gradients import segment_change
from xrfm_cli.trees.path_attributions import STEPS, _averaged, path_attributions

each_leaf = pytest.mark.parametrize("config", VARIANTS.values(), ids=list(VARIANTS))
FEW = {name: VARIANTS[name] for name in ("norm2-full", "norm1-diagonal", "norm1.5-full", "sum2-diagonal")}
LINEAR = {name: VARIANTS[name] for name in ("linear-diagonal", "linear-full", "constant-diagonal")}
each_of_few = pytest.mark.parametrize("config", FEW.values(), ids=list(FEW))


def fit(config: LeafConfig, *, seed: int = 0, **options: float) -> TreeModel:
    x, y = sample(90, 3, 2, seed=seed)
    tree = TreeConfig.from_dict({**config.to_dict(), "leaf_size": 30, "min_leaf_size": 3, **options})
    return fit_tree(x, y, tree, generator=generator(seed))


def kept_rows(tree: TreeModel) -> Tensor:
    """All training rows that the leaves keep, in the order of the leaves."""
    kept = summarise_rows(tree).rows
    return kept[torch.arange(len(kept))]


def contributions(
    tree: TreeModel, x: Tensor, baseline: Tensor, *, steps: tuple[int, ...] = STEPS, **options: int
) -> Tensor:
    """Attributions of every output ``(n, c, d)``, each output on its own."""
    references = baseline.reshape(-1, x.shape[1])
    change = tree.predict(x).double()[:, None] - tree.predict(references).double()  # (n, r, c)
    found = []
    for output in range(tree.n_outputs):
        rates = torch.zeros_like(change)
        rates[:, :, output] = 1.0
        found.append(
            path_attributions(tree, x, references, rates, change[:, :, output], steps=steps, **options)
        )
    return torch.stack(found, dim=1)


def constant_leaf(value: float, d: int) -> RFMLeaf:
    """A leaf that is flat over any distance that tests go."""
    return RFMLeaf(
        config=LeafConfig(kernel_p=2.0, kernel_q=1.0),
        centers=torch.zeros(1, d, dtype=torch.float64),
        coefficients=torch.tensor([[value]], dtype=torch.float64),
        feature_matrix=torch.ones(d, dtype=torch.float64),
        bandwidth=1e12,
    )


def step_tree(direction: Tensor, *, jump: float = 2.0, threshold: float = 0.5) -> TreeModel:
    """Two flat leaves on the sides of one hard split."""
    d = len(direction)
    split = SplitNode(direction=direction, threshold=threshold, iqr=1.0, left=-1, right=-2)
    leaves = (constant_leaf(1.0, d), constant_leaf(1.0 + jump, d))
    return TreeModel(config=TreeConfig(), splits=(split,), leaves=leaves)


class TestSegmentChange:
    @each_leaf
    def test_adds_up_to_the_change_of_the_prediction(self, config: LeafConfig) -> None:
        x, y = sample(40)
        leaf = fit_leaf(x, y, config, generator=generator())
        start, stop = sample(9, seed=1)[0], sample(9, seed=2)[0]
        change = segment_change(leaf, start, stop)
        torch.testing.assert_close(change.start_values, leaf.predict(start), rtol=1e-7, atol=1e-8)
        torch.testing.assert_close(change.stop_values, leaf.predict(stop), rtol=1e-7, atol=1e-8)
        added = (change.gradients * (stop - start)[:, None]).sum(2)
        torch.testing.assert_close(added, change.stop_values - change.start_values, rtol=1e-6, atol=1e-8)

    @each_leaf
    def test_tends_to_the_gradient_on_short_segments(self, config: LeafConfig) -> None:
        x, y = sample(40)
        leaf = fit_leaf(x, y, config, generator=generator())
        start = sample(9, seed=1)[0] + 0.123  # off the ties, where gradients jump
        change = segment_change(leaf, start, start + 1e-6)
        middle = leaf.gradients(start + 5e-7)
        torch.testing.assert_close(change.gradients, middle, rtol=1e-3, atol=1e-4)

    def test_a_segment_of_length_zero_changes_nothing(self) -> None:
        x, y = sample(20)
        leaf = fit_leaf(x, y, VARIANTS["norm1-diagonal"], generator=generator())
        change = segment_change(leaf, x, x)
        assert bool(change.gradients.isfinite().all())
        torch.testing.assert_close(change.start_values, change.stop_values)


class TestPathAttributions:
    @pytest.mark.slow
    @pytest.mark.parametrize("config", (FEW | LINEAR).values(), ids=list(FEW | LINEAR))
    @pytest.mark.parametrize("temperature", [0.0, 0.05, 0.5])
    @pytest.mark.parametrize("steps", [(1,), STEPS], ids=["one step", "refined"])
    def test_they_add_up(self, config: LeafConfig, temperature: float, steps: tuple[int, ...]) -> None:
        tree = fit(config, temperature=temperature, overlap=0.1)
        assert len(tree.leaves) > 2
        x = sample(12, seed=3)[0]
        references = torch.stack([summarise_rows(tree).mean, x[-1] / 2])
        change = (tree.predict(x)[:, None] - tree.predict(references)).mean(1)
        found = contributions(tree, x, references, steps=steps)
        torch.testing.assert_close(found.sum(2), change, rtol=1e-9, atol=1e-9)
        # Also without the remainder, which is shared out.
        rates, expected = torch.ones(12, 2, 2, dtype=torch.float64), change.sum(1)
        parts = _averaged(tree, x, references, rates, steps[0])
        torch.testing.assert_close(parts.sum(1), expected, rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("name", ["norm2-diagonal", "norm2-full", "sum1-diagonal"])
    def test_without_splits_they_are_the_path_integral(self, name: str) -> None:
        tree = fit(VARIANTS[name], leaf_size=1000)
        x, baseline = sample(4, seed=3)[0], torch.full((3,), 0.05, dtype=torch.float64)
        points = 4000
        t = (torch.arange(points, dtype=torch.float64) + 0.5) / points
        expected = torch.stack(
            [tree.gradients(baseline + t[:, None] * (row - baseline)).mean(0) * (row - baseline) for row in x]
        )
        found = contributions(tree, x, baseline, steps=(256,))
        torch.testing.assert_close(found, expected, rtol=0.02, atol=2e-3)

    @each_of_few
    def test_a_coordinate_that_does_not_move_gets_nothing(self, config: LeafConfig) -> None:
        tree = fit(config, leaf_size=1000)
        baseline = kept_rows(tree).mean(0)
        x = sample(5, seed=3)[0]
        x[:, 1] = baseline[1]
        assert float(contributions(tree, x, baseline)[:, :, 1].abs().max()) == 0.0

    def test_a_jump_belongs_to_the_direction_of_its_split(self) -> None:
        direction = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64)
        x = torch.tensor([[2.0, 1.0, 5.0], [-1.0, -1.0, 3.0]], dtype=torch.float64)
        found = contributions(step_tree(direction), x, torch.zeros(3, dtype=torch.float64))
        # The first path crosses: 2.0 is shared as 0.6 * 2 to 0.8 * 1; the second one stays on its side.
        expected = torch.tensor([[[1.2, 0.8, 0.0]], [[0.0, 0.0, 0.0]]], dtype=torch.float64)
        torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-9)

    def test_a_path_parallel_to_the_split_shares_by_size(self) -> None:
        direction = torch.tensor([1.0, -1.0], dtype=torch.float64)
        tree = step_tree(direction, threshold=1e-6)
        x = torch.tensor([[5.0, 5.0 - 2e-6]], dtype=torch.float64)
        found = contributions(tree, x, torch.zeros(2, dtype=torch.float64))
        torch.testing.assert_close(found, torch.full_like(found, 1.0), rtol=1e-3, atol=0.0)

    def test_the_place_of_a_jump_is_found(self) -> None:
        """Slopes count for the leaf they belong to, however few the steps."""
        x = torch.linspace(-2, 2, 200, dtype=torch.float64)[:, None].expand(-1, 2).contiguous()
        x = x * torch.tensor([1.0, 0.3], dtype=torch.float64)
        config = LeafConfig(bandwidth=5.0, ridge=1e-6, kernel_q=2.0)
        leaves = (constant_leaf(0.0, 2), fit_leaf(x, x[:, 1:], config, generator=generator()))
        split = SplitNode(
            direction=torch.tensor([1.0, 0.0], dtype=torch.float64), threshold=0.3, iqr=1.0, left=-1, right=-2
        )
        tree = TreeModel(config=TreeConfig(), splits=(split,), leaves=leaves)
        row = torch.tensor([[1.0, 0.3]], dtype=torch.float64)
        found = contributions(tree, row, torch.zeros(2, dtype=torch.float64), steps=(4,))
        exact = contributions(tree, row, torch.zeros(2, dtype=torch.float64), steps=(512,))
        torch.testing.assert_close(found, exact, rtol=0.0, atol=2e-3)

    def test_a_row_does_not_depend_on_its_company(self) -> None:
        tree = fit(FEW["norm2-full"], temperature=0.2)
        x, baseline = sample(12, seed=3)[0], kept_rows(tree).mean(0)
        together = contributions(tree, x, baseline)
        alone = torch.cat([contributions(tree, row[None], baseline) for row in x])
        small = contributions(tree, x, baseline, memory_bytes=1)
        torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-10)
        torch.testing.assert_close(together, small, rtol=1e-9, atol=1e-10)

    def test_a_hard_split_among_soft_ones(self) -> None:
        tree = fit(FEW["norm1-diagonal"], temperature=0.2)
        tree = replace(tree, splits=(replace(tree.splits[0], iqr=0.0), *tree.splits[1:]))
        x = sample(12, seed=3)[0]
        baseline = kept_rows(tree).mean(0)[None]
        parts = _averaged(tree, x, baseline, torch.ones(12, 1, 2, dtype=torch.float64), 16)
        change = (tree.predict(x) - tree.predict(baseline)).sum(1)
        torch.testing.assert_close(parts.sum(1), change, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("config", (FEW | LINEAR).values(), ids=list(FEW | LINEAR))
    @pytest.mark.parametrize("temperature", [0.0, 0.3])
    def test_compiled_loops_agree_with_the_segments_in_float64(
        self, config: LeafConfig, temperature: float
    ) -> None:
        """In float32, with binary columns and coordinates that do not move."""
        x, y = sample(90, 4, 1)
        x[:, 1] = (x[:, 1] > 0).double()
        options = {**config.to_dict(), "leaf_size": 30, "min_leaf_size": 3, "temperature": temperature}
        near = fit_tree(x.float(), y.float(), TreeConfig.from_dict(options), generator=generator())
        facts, tensors = near.state()
        far = TreeModel.from_state(facts, {name: value.double() for name, value in tensors.items()})
        rows, baseline = x[:9].float(), x[20:22].float()
        rates = torch.ones(9, 2, 1, dtype=torch.float64)
        found = _averaged(near, rows, baseline, rates, 8)
        expected = _averaged(far, rows.double(), baseline.double(), rates, 8)
        scale = float(expected.abs().sum(1).mean()) + 1e-9
        torch.testing.assert_close(found, expected, rtol=0.0, atol=2e-4 * scale)

    def test_no_rows(self) -> None:
        tree = fit(FEW["norm2-full"])
        found = contributions(tree, torch.zeros(0, 3, dtype=torch.float64), kept_rows(tree).mean(0))
        assert found.shape == (0, 2, 3)


class TestSampling:
    @pytest.mark.parametrize("name", ["norm2-full", "linear-diagonal"])
    def test_the_mean_and_deviations_of_the_rows_are_known(self, name: str) -> None:
        x, y = sample(90)
        config = TreeConfig(leaf=VARIANTS[name], leaf_size=30)
        tree = fit_tree(x, y, config, generator=generator())
        known = summarise_rows(tree)
        torch.testing.assert_close(known.mean, x.mean(0), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(known.deviations, x.std(0, correction=0), rtol=1e-10, atol=1e-12)
        rows = known.rows[torch.arange(len(known.rows))]
        assert set(tree.route(rows).tolist()) == set(range(len(tree.leaves)))

    def test_kept_rows_are_the_training_rows_once(self) -> None:
        x, _ = sample(90, 3, 2)
        tree = fit(FEW["norm2-full"], overlap=0.2)
        assert sum(len(leaf.centers) for leaf in tree.leaves) > len(x)
        found = kept_rows(tree).numpy()
        np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(x.numpy(), axis=0))

    def test_any_of_the_kept_rows_are_gathered_in_the_order_asked_for(self) -> None:
        tree = fit(FEW["norm2-full"], overlap=0.2)
        kept, every = summarise_rows(tree).rows, kept_rows(tree)
        some = torch.tensor([40, 3, 89, 3, 0, 61])
        assert torch.equal(kept[some], every[some])
        assert kept[some[:0]].shape == (0, 3)

    def test_samples_depend_on_the_generator_alone(self) -> None:
        centers = sample(50)[0]
        first = sample_rows(centers, 10, generator=generator(1))
        torch.manual_seed(7)
        assert torch.equal(first, sample_rows(centers, 10, generator=generator(1)))
        assert not torch.equal(first, sample_rows(centers, 10, generator=generator(2)))
        assert len(sample_rows(centers, 80, generator=generator(1))) == 50

    def test_gradient_blocks_cover_the_rows(self) -> None:
        tree, x = fit(FEW["norm2-full"], temperature=0.1), sample(7, seed=5)[0]
        found = torch.cat([block for _, block in gradient_blocks(tree, x, memory_bytes=1)])
        torch.testing.assert_close(found, tree.gradients(x))
