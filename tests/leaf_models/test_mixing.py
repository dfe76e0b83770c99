"""Random mixtures of many outputs."""

from __future__ import annotations

import torch

from xrfm_cli.leaf_models import LeafConfig, fit_leaf
from xrfm_cli.leaf_models.agop import agop
from xrfm_cli.leaf_models.leaf import RFMLeaf
from xrfm_cli.leaf_models.mixing import MANY_OUTPUTS, MIXTURES, output_mixture

OUTPUTS = 200


def a_leaf(outputs: int = OUTPUTS) -> tuple[RFMLeaf, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 6, generator=generator)
    y = torch.randn(300, outputs, generator=generator) + x[:, :1] * 3 + x[:, 1:2]
    leaf = fit_leaf(x, y, LeafConfig(bandwidth=4.0, iterations=0), generator=generator)
    assert isinstance(leaf, RFMLeaf)
    return leaf, x


def mixture(seed: int = 1) -> torch.Tensor:
    found = output_mixture(OUTPUTS, like=torch.ones(1), generator=torch.Generator().manual_seed(seed))
    assert found is not None
    return found


def test_mixtures_of_gradients_are_gradients_of_mixtures() -> None:
    leaf, x = a_leaf()
    signs = mixture()
    expected = torch.einsum("ncd,cm->nmd", leaf.gradients(x), signs)
    assert torch.allclose(leaf.mixed(signs).gradients(x), expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(leaf.mixed(signs).predict(x), leaf.predict(x) @ signs, rtol=1e-4, atol=1e-4)


def test_the_agop_of_mixtures_is_near_that_of_all_outputs() -> None:
    leaf, x = a_leaf()
    exact = agop(leaf.gradients(x))
    found = torch.stack([agop(leaf.mixed(mixture(seed)).gradients(x)) for seed in range(40)])
    # One draw errs by about sqrt(2 / MIXTURES), the mean of forty by a sixth of that.
    assert float((found.mean(0) - exact).norm() / exact.norm()) < 2 * (2 / MIXTURES / 40) ** 0.5
    assert float((found[0] - exact).norm() / exact.norm()) < 3 * (2 / MIXTURES) ** 0.5


def test_few_outputs_are_not_mixed_and_draw_nothing() -> None:
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    assert output_mixture(MANY_OUTPUTS, like=torch.ones(1), generator=generator) is None
    assert torch.equal(generator.get_state(), before)
