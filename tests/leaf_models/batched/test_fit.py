"""Leaves fitted in a batch equal those fitted one by one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.leaf_variants import KERNEL_VARIANTS, categories, generator, sample
from xrfm_cli.errors import InputError, NumericalError
from xrfm_cli.events import Event
from xrfm_cli.leaf_models import LeafConfig, LeafRows, RFMLeaf, iterate_leaf, iterate_leaves, leaves
from xrfm_cli.leaf_models.batched.fit import iterate_batch
from xrfm_cli.leaf_models.batched.padding import PaddedRows
from xrfm_cli.leaf_models.batched.ridge import solve_ridges
from xrfm_cli.leaf_models.solvers.ridge import solve_ridge

COUNTS = (14, 1, 33, 20)  # of very unequal leaves
each_variant = pytest.mark.parametrize("config", KERNEL_VARIANTS.values(), ids=list(KERNEL_VARIANTS))
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def parts(
    *, weighted: bool = False, dtype: torch.dtype = torch.float64, device: str = "cpu", times: float = 1.0
) -> list[LeafRows]:
    """Four leaves of two outputs: two of numbers, one with copies of rows, one of categories."""
    found = []
    for number, n in enumerate(COUNTS):
        x, y = sample(n, d=6, seed=number)
        if number == 3:
            x, y = categories(n)
            y = torch.cat([y, -y.sin()], dim=1)
        if number == 2:
            x[20:], y[20:] = x[7:20].clone(), y[7:20].clone()
        weights = torch.rand(n, generator=generator(number), dtype=dtype) + 0.5 if weighted else None
        rows = LeafRows(
            x=(times * x).to(device, dtype),
            y=y.to(device, dtype),
            weights=None if weights is None else weights.to(device),
            generator=generator(number),
        )
        found.append(rows)
    return found


def one_by_one(
    rows: Sequence[LeafRows], config: LeafConfig, initial_feature_matrix: Tensor | None = None
) -> list[tuple[RFMLeaf, ...]]:
    """The oracle: the same rounds, a leaf at a time."""
    paths = []
    for part in rows:
        path = iterate_leaf(
            part.x,
            part.y,
            config,
            generator=part.generator,
            weights=part.weights,
            initial_feature_matrix=initial_feature_matrix,
        )
        paths.append([leaf for leaf in path if isinstance(leaf, RFMLeaf)])
    return list(zip(*paths, strict=True))


def check_equal(found: list[tuple[RFMLeaf, ...]], expected: list[tuple[RFMLeaf, ...]]) -> None:
    """Assert equal rounds: bandwidths, feature matrices, coefficients, predictions and gradients."""
    assert len(found) == len(expected)
    # Eigenvalues of zero come out as some 1e-17, and their roots as some 1e-9: a slope like |u - a|^(q - 1)
    # along such a direction is anything.
    close, slopes_close = (1e-6, 1e-3) if found[0][0].feature_matrix.ndim == 2 else (1e-8, 1e-8)
    for near, far in zip(found, expected, strict=True):
        for leaf, slow in zip(near, far, strict=True):
            probe = torch.cat([slow.centers[:3], 1.1 * slow.centers + 0.1])
            assert leaf.bandwidth == pytest.approx(slow.bandwidth, rel=close)
            assert_near(leaf.feature_matrix, slow.feature_matrix, close)
            assert_near(leaf.coefficients, slow.coefficients, close)
            assert_near(leaf.predict(probe), slow.predict(probe), close)
            assert_near(leaf.gradients(probe), slow.gradients(probe), slopes_close)


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Assert equality within a tolerance, relative or, for small numbers, absolute."""
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@each_variant
def test_leaves_equal_those_fitted_one_by_one(config: LeafConfig, weighted: bool) -> None:
    config = dataclasses.replace(config, agop_rows=18)  # fewer than some leaves have
    found = list(iterate_batch(parts(weighted=weighted), config))
    check_equal(found, one_by_one(parts(weighted=weighted), config))


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@each_variant
def test_adaptive_bandwidths_equal_those_fitted_one_by_one(
    config: LeafConfig, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("rfm", "batched.fit"):
        monkeypatch.setattr(f"xrfm_cli.leaf_models.{module}.DISTANCE_ROWS", 16)  # fewer than some leaves have
    config = dataclasses.replace(config, bandwidth_mode="adaptive", bandwidth=0.7)
    found = list(iterate_batch(parts(weighted=weighted), config))
    check_equal(found, one_by_one(parts(weighted=weighted), config))


@each_variant
def test_in_float32_they_are_within_rounding(config: LeafConfig) -> None:
    found = list(iterate_batch(parts(dtype=torch.float32), config))
    expected = one_by_one(parts(dtype=torch.float32), config)
    for leaf, slow in zip(found[-1], expected[-1], strict=True):
        torch.testing.assert_close(
            leaf.predict(slow.centers), slow.predict(slow.centers), rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("times", [1e-12, 1e12])
@pytest.mark.parametrize("name", ["norm2-full", "norm1-diagonal", "sum2-full"])
def test_inputs_of_any_scale(name: str, times: float) -> None:
    config = dataclasses.replace(KERNEL_VARIANTS[name], bandwidth_mode="adaptive", bandwidth=0.7)
    found = list(iterate_batch(parts(times=times, dtype=torch.float32), config))
    plain = list(iterate_batch(parts(dtype=torch.float32), config))
    for leaf, near in zip(found[-1], plain[-1], strict=True):
        values = leaf.predict(leaf.centers)
        torch.testing.assert_close(values, near.predict(near.centers), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", ["diagonal", "full"])
def test_centred_gradients_and_a_given_metric(shape: str) -> None:
    config = dataclasses.replace(KERNEL_VARIANTS[f"norm2-{shape}"], agop_centred=True)
    start = torch.linspace(0.2, 1.0, 6, dtype=torch.float64)
    found = list(iterate_batch(parts(weighted=True), config, initial_feature_matrix=start))
    check_equal(found, one_by_one(parts(weighted=True), config, start))


def test_a_constant_target_keeps_its_metric() -> None:
    rows = parts()
    flat = dataclasses.replace(rows[0], y=torch.zeros_like(rows[0].y))
    *_, (first, second) = iterate_batch([flat, rows[2]], KERNEL_VARIANTS["norm2-full"])
    assert torch.equal(first.feature_matrix, torch.eye(6, dtype=torch.float64))
    assert not torch.equal(second.feature_matrix, torch.eye(6, dtype=torch.float64))


def test_only_the_leaf_that_needs_a_jitter_gets_one_and_it_is_told() -> None:
    heard: list[Event] = []
    line = torch.linspace(0, 1e-3, 200, dtype=torch.float64)[:, None]
    far = 100.0 * torch.arange(30, dtype=torch.float64)[:, None]
    rows = [LeafRows(x=x, y=torch.sin(x), weights=None, generator=generator()) for x in (far, line)]
    config = LeafConfig(kernel_q=2.0, bandwidth=100.0, ridge=1e-16, iterations=0)
    (plain, mended), *_ = iterate_batch(rows, config, on_event=heard.append)
    assert plain.jitter == 0.0
    alone = one_by_one(rows, config)[0][1]
    assert mended.jitter == pytest.approx(alone.jitter)
    assert mended.jitter > 0
    torch.testing.assert_close(mended.predict(line), alone.predict(line), rtol=1e-6, atol=1e-6)
    assert [event.kind for event in heard] == ["fallback"]
    assert "200 rows" in heard[0].message


def test_each_matrix_climbs_the_ladder_as_far_as_it_must() -> None:
    vectors, _ = torch.linalg.qr(torch.randn(2, 2, generator=generator(2), dtype=torch.float64))
    lowest = (0.5, -3e-5, -3e-4)  # positive definite from so much on
    values = torch.tensor([[1.0, least] for least in lowest], dtype=torch.float64)
    matrices = (vectors * values[:, None, :]) @ vectors.T
    y, ones = torch.ones(3, 2, 1, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float64)
    found = solve_ridges(matrices, y, 1e-9, ones)
    for number, matrix in enumerate(matrices):
        slow = solve_ridge(matrix.clone(), y[number], 1e-9)
        assert found.jitters[number] == pytest.approx(slow.jitter)
        torch.testing.assert_close(found.coefficients[number], slow.coefficients, rtol=1e-6, atol=1e-9)
    assert found.jitters[0] == 0.0 < found.jitters[1] < found.jitters[2]


def test_what_no_jitter_can_mend_is_a_named_error() -> None:
    matrices = torch.stack([torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])])
    with pytest.raises(NumericalError, match=r"of 2 rows is not positive definite.*--set ridge="):
        solve_ridges(matrices, torch.ones(2, 2, 1), 1e-3, torch.ones(2, 2))


def test_rows_that_are_filled_up_change_nothing() -> None:
    config = KERNEL_VARIANTS["norm2-diagonal"]
    alone = list(iterate_batch(parts()[:1], config))
    x, y = sample(200, d=6)
    large = LeafRows(x=50 * x, y=50 * y, weights=None, generator=generator())
    beside = [found[:1] for found in iterate_batch([parts()[0], large], config)]
    check_equal(beside, alone)
    batch = PaddedRows.of([parts()[0], large])
    assert batch.x.shape == (2, 200, 6)
    assert not batch.weights[0, 14:].any()
    assert not batch.y[0, 14:].any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    rows = parts()
    rows[2].x[5, 1] = value
    with pytest.raises(NumericalError, match="not finite"):
        next(iterate_batch(rows, LeafConfig()))


def test_no_rows_are_refused() -> None:
    rows = parts()
    rows[1] = dataclasses.replace(rows[1], x=rows[1].x[:0], y=rows[1].y[:0])
    with pytest.raises(InputError, match="at least one row"):
        next(iterate_batch(rows, LeafConfig()))


CUDA, COUNTS_OF_A_TREE = torch.device("cuda"), [1_000, 900, 1_000, 950, 1_000]


def together(config: LeafConfig, *, dtype: torch.dtype = torch.float32, fitting: int = 100) -> int:
    """How many leaves of such a tree are fitted at once on a CUDA device, as the predicate has it."""
    return leaves.leaves_per_batch(CUDA, dtype, COUNTS_OF_A_TREE, config, fitting)


def test_what_is_fitted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    euclidean, taxicab = LeafConfig(kernel_p=2.0), LeafConfig(kernel_p=1.0)
    assert together(euclidean) == together(euclidean, dtype=torch.float64) == 5
    assert together(euclidean, fitting=3) == 3
    assert together(euclidean, fitting=0) == 0
    assert together(dataclasses.replace(euclidean, max_centers=999)) == 0
    assert together(dataclasses.replace(euclidean, max_centers=1_000)) == 5
    assert together(LeafConfig(kernel="linear")) == 0
    assert together(LeafConfig(kernel_p=2.0, loss="logistic")) == 0  # each leaf takes steps of its own
    for module, expected in ((None, 0), (torch, 5)):  # any module stands for Triton's
        monkeypatch.setattr(leaves.coordinates, "triton_module", lambda module=module: module)
        assert together(taxicab) == together(LeafConfig(kernel="sum_power")) == expected
        assert together(taxicab, dtype=torch.float64) == 0


def test_few_or_large_leaves_and_other_devices_are_fitted_one_by_one() -> None:
    config, kind = LeafConfig(), torch.float32
    assert leaves.leaves_per_batch(CUDA, kind, [100] * (leaves.FEWEST_LEAVES - 1), config, 100) == 0
    assert leaves.leaves_per_batch(CUDA, kind, [leaves.MOST_ROWS] * 9, config, 100) == 9
    assert leaves.leaves_per_batch(CUDA, kind, [100] * 8 + [leaves.MOST_ROWS + 1], config, 100) == 0
    for other in ("cpu", "mps"):
        assert leaves.leaves_per_batch(torch.device(other), kind, [100] * 9, config, 100) == 0


@pytest.mark.parametrize("most", [1, 3, 4])
def test_batches_of_any_number_of_leaves(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = KERNEL_VARIANTS["norm2-full"]
    expected = one_by_one(parts(), config)
    monkeypatch.setattr(leaves, "leaves_per_batch", lambda *_: most)
    found = [tuple(round_) for round_ in iterate_leaves(parts(), config)]
    check_equal(found, expected)  # type: ignore[arg-type]


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("weighted", [False, True])
@each_variant
def test_on_a_gpu_they_equal_those_fitted_one_by_one(config: LeafConfig, weighted: bool) -> None:
    rows = {"weighted": weighted, "dtype": torch.float32, "device": "cuda"}
    found = list(iterate_batch(parts(**rows), config))  # type: ignore[arg-type]
    expected = one_by_one(parts(**rows), config)  # type: ignore[arg-type]
    for leaf, slow in zip(found[-1], expected[-1], strict=True):
        assert leaf.coefficients.is_cuda
        torch.testing.assert_close(
            leaf.predict(slow.centers), slow.predict(slow.centers), rtol=1e-3, atol=1e-3
        )
