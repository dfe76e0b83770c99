"""Leaf configurations for the contract suites; add a new kernel or family to the list here."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from tests import oracles
from xrfm_cli.leaf_models import LeafConfig, LeafModel

_KERNELS: dict[str, LeafConfig] = {
    "norm2": LeafConfig(kernel_p=2.0),
    "norm2_gauss": LeafConfig(kernel_p=2.0, kernel_q=2.0),
    "norm2_q0.8": LeafConfig(kernel_p=2.0, kernel_q=0.8),
    "norm1": LeafConfig(kernel_p=1.0),
    "norm1.5": LeafConfig(kernel_p=1.5, kernel_q=1.2),
    "norm0.7": LeafConfig(kernel_p=0.7, kernel_q=0.7),
    "sum1": LeafConfig(kernel="sum_power", power=1),
    "sum2": LeafConfig(kernel="sum_power", power=2, kernel_q=1.3, constant=0.2),
    "sum3": LeafConfig(kernel="sum_power", power=3, kernel_q=0.8),
}

_LINEAR: dict[str, LeafConfig] = {
    "linear": LeafConfig(kernel="linear"),
    "constant": LeafConfig(kernel="constant"),
}


def _in_both_shapes(configs: dict[str, LeafConfig]) -> dict[str, LeafConfig]:
    return {
        f"{name}-{shape}": dataclasses.replace(
            config, metric_shape=shape, bandwidth=3.0, ridge=1e-2, iterations=2, agop_rows=1_000
        )
        for name, config in configs.items()
        for shape in ("diagonal", "full")
    }


KERNEL_VARIANTS = _in_both_shapes(_KERNELS)  # those that oracle_kernel describes
LINEAR_VARIANTS = _in_both_shapes(_LINEAR)
VARIANTS = KERNEL_VARIANTS | LINEAR_VARIANTS


def oracle_kernel(config: LeafConfig, bandwidth: float | None = None) -> oracles.Kernel:
    """Return the slow reference kernel of a configuration."""
    scale = config.bandwidth if bandwidth is None else bandwidth
    if config.kernel == "norm":
        return oracles.NormKernel(p=config.kernel_p, q=config.kernel_q, bandwidth=scale)
    return oracles.SumPowerKernel(
        q=config.kernel_q, bandwidth=scale, power=config.power, constant=config.constant
    )


def numbers(leaf: LeafModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centers, coefficients and the root of the feature matrix as float64 arrays."""
    root = oracles.feature_matrix_power(leaf.feature_matrix.double().numpy(), leaf.config.agop_power)
    return leaf.centers.double().numpy(), leaf.coefficients.double().numpy(), root


def generator(seed: int = 0) -> torch.Generator:
    """Return a new generator: nothing seeds globally."""
    return torch.Generator().manual_seed(seed)


def assert_same_bits(left: Tensor, right: Tensor) -> None:
    """Assert equality to the last bit; the message gives the difference."""
    torch.testing.assert_close(left, right, rtol=0.0, atol=0.0)


def sample(
    n: int, d: int = 3, c: int = 2, *, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Return rows with ties in one column, and smooth targets with a little noise."""
    source = generator(seed)
    x = torch.randn(n, d, generator=source, dtype=dtype)
    x[:, -1] = x[:, -1].round()
    mixing = torch.randn(d, c, generator=source, dtype=dtype)
    noise = 0.05 * torch.randn(n, c, generator=source, dtype=dtype)
    return x, torch.sin(x @ mixing) + x[:, :1] + noise


def categories(n: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Return rows like encoded categories (four one-hot columns, a flag, a number) and one target."""
    source = generator(seed)
    level = torch.randint(0, 4, (n,), generator=source)
    flag = torch.where(torch.rand(n, generator=source) < 0.3, 5.3, 0.1)
    number = torch.randn(n, generator=source, dtype=dtype)
    one_hot = torch.nn.functional.one_hot(level, 4).to(dtype)
    x = torch.cat([one_hot, flag.to(dtype)[:, None], number[:, None]], dim=1)
    return x, torch.sin(number + level)[:, None] + 0.2 * flag.to(dtype)[:, None]
