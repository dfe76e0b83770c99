"""The same leaf on another device: equal within float32 rounding, and stored where it was fitted."""

from __future__ import annotations

import pytest
import torch

from tests.leaf_models.kernels import triton_cases
from tests.leaf_variants import VARIANTS, generator, sample
from xrfm_cli.commands.common.compute import prepare_device
from xrfm_cli.leaf_models import LeafConfig, fit_leaf
from xrfm_cli.leaf_models.kernels import coordinates
from xrfm_cli.trees import TreeConfig, fit_tree

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture
def with_triton() -> None:
    if coordinates.triton_module() is None:
        pytest.skip("Triton is not installed, or does not run here")
    assert coordinates.backend(torch.zeros(1, device="cuda")) == "triton"


@needs_cuda
@pytest.mark.gpu
@pytest.mark.parametrize("config", VARIANTS.values(), ids=list(VARIANTS))
def test_a_leaf_on_the_gpu_equals_the_one_on_the_cpu(config: LeafConfig) -> None:
    x, y = sample(200, dtype=torch.float32)
    near = fit_leaf(x, y, config, generator=generator())
    far = fit_leaf(x.cuda(), y.cuda(), config, generator=generator())
    assert far.coefficients.is_cuda
    torch.testing.assert_close(far.predict(x.cuda()).cpu(), near.predict(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(far.gradients(x.cuda()).cpu(), near.gradients(x), rtol=1e-2, atol=1e-2)


@needs_cuda
@pytest.mark.gpu
def test_a_tree_on_the_gpu_equals_the_one_on_the_cpu() -> None:
    x, y = sample(400, dtype=torch.float32)
    config = TreeConfig(leaf=VARIANTS["norm2-full"], leaf_size=100, temperature=0.3)
    near = fit_tree(x, y, config, generator=generator())
    far = fit_tree(x.cuda(), y.cuda(), config, generator=generator())
    torch.testing.assert_close(far.predict(x.cuda()).cpu(), near.predict(x), rtol=1e-2, atol=1e-2)
    moved = far.to("cpu")
    torch.testing.assert_close(moved.predict(x), far.predict(x.cuda()).cpu(), rtol=1e-3, atol=1e-3)


@needs_cuda
@pytest.mark.gpu
@pytest.mark.usefixtures("with_triton")
@pytest.mark.parametrize("shape", [*triton_cases.SHAPES, (300, 10_000, 20, 3)], ids=str)
@pytest.mark.parametrize("name", triton_cases.TERMS)
def test_triton_equals_the_formula_and_torch(name: str, shape: tuple[int, int, int, int]) -> None:
    # The GPU's own logarithms and exponentials are good to some units in the last place, torch's to one.
    for what, error in triton_cases.term_errors(triton_cases.TERMS[name], shape, "cuda").items():
        assert error <= (0 if what.startswith("same") else 1e-5), what


@needs_cuda
@pytest.mark.gpu
@pytest.mark.usefixtures("with_triton")
def test_triton_adds_spans_of_centers_up() -> None:
    assert max(triton_cases.span_errors("cuda").values()) <= 1e-5


@needs_cuda
@pytest.mark.gpu
@pytest.mark.usefixtures("with_triton")
@pytest.mark.parametrize("name", triton_cases.LEAVES)
def test_a_leaf_through_triton_equals_the_one_through_torch(name: str) -> None:
    errors = triton_cases.leaf_errors(VARIANTS[name], "cuda")
    assert errors["predictions"] <= 1e-3
    assert errors["gradients"] <= 1e-2


@needs_cuda
@pytest.mark.gpu
def test_products_in_tf32_are_off() -> None:
    prepare_device("cuda", threads=None)
    x = 1 + torch.rand(256, 256, generator=generator()) / 1024  # TF32 keeps 10 bits of it
    exact = x.double() @ x.double()
    torch.testing.assert_close((x.cuda() @ x.cuda()).cpu().double(), exact, rtol=1e-5, atol=0)
