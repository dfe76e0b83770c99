"""Configurations to try before the sampler draws its own: one good start for each kind of table."""

from __future__ import annotations

from typing import Any

# In the sampler's own parameters; those that a table's space does not have are not asked for.
PORTFOLIO: tuple[dict[str, Any], ...] = (
    {
        "family": "l1",
        "l1_q": 1.0,
        "l1_bandwidth": 3.0,
        "ridge": 3e-2,
        "metric_shape": "diagonal",
        "numeric_transform": "quantile",
        "category_encoding": "one_hot",
    },
    {
        "family": "l2",
        "l2_q": 1.0,
        "l2_bandwidth": 3.0,
        "ridge": 3e-2,
        "metric_shape": "diagonal",
        "numeric_transform": "standard",
        "category_encoding": "one_hot",
    },
    {
        "family": "sum_power",
        "sum_power_q": 1.0,
        "sum_power_bandwidth": 2.0,
        "power": 4,
        "ridge": 3e-2,
        "metric_shape": "diagonal",
        "numeric_transform": "quantile",
        "category_encoding": "one_hot",
    },
    {
        "family": "l2",
        "l2_q": 1.0,
        "l2_bandwidth": 3.0,
        "ridge": 1e-1,
        "metric_shape": "full",
        "numeric_transform": "quantile",
        "category_encoding": "target",
    },
)


def first_candidates() -> list[dict[str, Any]]:
    """Parameters of the configurations that every search begins with, the default first."""
    return [dict(params) for params in PORTFOLIO]
