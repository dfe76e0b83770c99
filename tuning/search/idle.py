"""Hyperparameters that have no effect on a kernel family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WITHOUT_DISTANCES = {"kernel_p", "kernel_q", "power", "constant", "bandwidth", "bandwidth_mode", "agop_rows"}
_WITHOUT_DISTANCES |= {"agop_centred", "max_centers", "center_choice", "loss", "quantile", "feature_matrix"}
IDLE: dict[str, set[str]] = {
    "norm": {"power", "constant"},
    "sum_power": {"kernel_p"},
    "linear": _WITHOUT_DISTANCES,
    "constant": _WITHOUT_DISTANCES
    | {"ridge", "iterations", "metric_shape", "agop_power", "target_transform"},
}


def idle_on(kernel: str, pinned: Mapping[str, Any]) -> set[str]:
    """Return the hyperparameters without an effect on a kernel family; a constant may be a quantile."""
    idle = IDLE.get(kernel, set())
    return idle - {"loss", "quantile"} if kernel == "constant" and pinned.get("loss") == "quantile" else idle
