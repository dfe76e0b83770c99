"""Leaves and trees on a device without float64: no tensor there has it, and models agree with the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.leaf_variants import VARIANTS, assert_same_bits, categories, generator, sample
from tests.simulated_device import DEVICE, Pretence, far, near
from xrfm_cli.leaf_models import LeafConfig, fit_leaf, precision
from xrfm_cli.leaf_models.precision import in_float64, widened
from xrfm_cli.trees import TreeConfig, fit_tree


@pytest.fixture
def pretence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(precision, "_WITHOUT_FLOAT64", {DEVICE.type})
    with Pretence():
        yield


@pytest.mark.usefixtures("pretence")
def test_the_pretended_device_refuses_what_the_real_one_refuses() -> None:
    x = far(torch.ones(3))
    assert (x + 1).device == DEVICE
    with pytest.raises(TypeError, match="no float64"):
        x.double()
    with pytest.raises(RuntimeError, match="two devices"):
        x + torch.ones(3)


@pytest.mark.usefixtures("pretence")
def test_wide_numbers_stay_and_decompositions_go_to_the_processor() -> None:
    x = far(torch.ones(3))
    assert widened(x).device == DEVICE
    assert widened(x).dtype == torch.float32
    assert in_float64(x).device.type == "cpu"
    assert in_float64(x).dtype == torch.float64


@pytest.mark.slow
@pytest.mark.parametrize("config", VARIANTS.values(), ids=list(VARIANTS))
def test_a_leaf_agrees_with_the_one_on_the_cpu(config: LeafConfig, request: pytest.FixtureRequest) -> None:
    x, y = sample(60, dtype=torch.float32)
    weights = 0.5 + torch.rand(60, generator=generator(1))
    new = torch.randn(20, 3, generator=generator(2))  # no ties, next to which slopes are steep
    expected = fit_leaf(x, y, config, generator=generator(), weights=weights)
    predictions, gradients = expected.predict(new), expected.gradients(new)
    request.getfixturevalue("pretence")
    leaf = fit_leaf(far(x), far(y), config, generator=generator(), weights=far(weights))
    assert leaf.coefficients.device == DEVICE
    torch.testing.assert_close(near(leaf.predict(far(new))), predictions, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(near(leaf.gradients(far(new))), gradients, rtol=1e-2, atol=1e-2)


def test_columns_with_two_values_agree_with_the_cpu(request: pytest.FixtureRequest) -> None:
    x, y = categories(50, dtype=torch.float32)
    config = VARIANTS["norm1-diagonal"]
    predictions = fit_leaf(x, y, config, generator=generator()).predict(x)
    request.getfixturevalue("pretence")
    leaf = fit_leaf(far(x), far(y), config, generator=generator())
    torch.testing.assert_close(near(leaf.predict(far(x))), predictions, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_a_tree_agrees_with_the_one_on_the_cpu(temperature: float, request: pytest.FixtureRequest) -> None:
    x, y = sample(300, dtype=torch.float32)
    config = TreeConfig(leaf=VARIANTS["norm1-full"], leaf_size=80, temperature=temperature, overlap=0.05)
    expected = fit_tree(x, y, config, generator=generator())
    predictions, gradients = expected.predict(x), expected.gradients(x)
    request.getfixturevalue("pretence")
    inputs = far(x)
    tree = fit_tree(inputs, far(y), config, generator=generator())
    assert len(tree.splits) == len(expected.splits)
    torch.testing.assert_close(near(tree.predict(inputs)), predictions, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(near(tree.gradients(inputs)), gradients, rtol=1e-2, atol=1e-2)
    moved = expected.to(DEVICE)
    torch.testing.assert_close(near(moved.predict(inputs)), predictions, rtol=1e-3, atol=1e-3)
    back = moved.to("cpu")
    assert back.splits[0].direction.dtype == torch.float64
    assert_same_bits(back.leaves[0].coefficients, expected.leaves[0].coefficients)
