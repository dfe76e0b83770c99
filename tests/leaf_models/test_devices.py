"""The same leaf on another device: equal within float32 rounding, and stored where it was fitted."""

from __future__ import annotations

import pytest
import torch

from tests.leaf_variants import VARIANTS, generator, sample
from xrfm_cli.leaf_models import LeafConfig, fit_leaf
from xrfm_cli.trees import TreeConfig, fit_tree

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


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
