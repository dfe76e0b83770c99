"""Configurations to try before the sampler draws its own: a small set of which one suits almost any table.

Chosen greedily from 60 random configurations judged on held-out training rows of 24 public tables, so that
the best of the first k has the least regret on average (``benchmarks/portfolio.py``). Some stand there for
other reasons: the linear leaf since it costs next to nothing and is exact where the truth is linear, numbers
cut into pieces since more rows than those held-out ones show their worth, and last the constant, for tables
that have nothing to learn.
"""

from __future__ import annotations

from typing import Any

from xrfm_cli.leaf_models import LINEAR_FAMILIES
from xrfm_cli.tuning.search.space import SearchSpace

_NAMES = (
    "family",
    "q",
    "bandwidth",
    "ridge",
    "metric_shape",
    "numeric_transform",
    "category_encoding",
    "power",
    "lp_share",  # where between q and 2 the p of an lp kernel is
    "loss",  # for two classes
)
_ROWS: tuple[tuple[Any, ...], ...] = (
    ("l2", 0.7, 8.0, 0.02, "diagonal", "quantile", "one_hot", None, None, "logistic"),
    ("l2", 1.55, 15.0, 0.001, "diagonal", "standard", "one_hot", None, None, "squared"),
    ("sum_power", 0.7, 6.0, 1.7, "diagonal", "quantile", "one_hot", 6, None, "logistic"),
    ("linear", None, None, 0.3, "diagonal", "standard", "one_hot", None, None, None),
    ("l1", 0.75, 1.0, 0.03, "diagonal", "quantile", "target", None, None, "squared"),
    ("sum_power", 1.6, 15.0, 2e-4, "full", "quantile", "one_hot", 2, None, "squared"),
    ("l2", 1.13, 1.3, 0.007, "full", "standard", "one_hot", None, None, "squared"),
    ("l1", 0.73, 4.5, 7.5, "diagonal", "quantile", "one_hot", None, None, "logistic"),
    ("l1", 0.72, 2.3, 0.16, "diagonal", "standard", "one_hot", None, None, "squared"),
    ("lp", 0.9, 3.0, 0.03, "diagonal", "quantile", "one_hot", None, 0.5, "logistic"),
    ("l2", 1.0, 8.0, 0.1, "diagonal", "piecewise", "one_hot", None, None, "logistic"),
    ("l1", 0.8, 4.0, 1.0, "diagonal", "piecewise", "one_hot", None, None, "logistic"),
    ("lp", 1.2, 8.0, 0.1, "diagonal", "piecewise", "one_hot", None, 0.35, "logistic"),
)


def first_candidates(space: SearchSpace) -> list[dict[str, Any]]:
    """Parameters of the configurations that a search begins with, the default first, in the sampler's names.

    Those of kernels that the space lacks are left out; a full metric becomes diagonal in a wide table.
    The constant has no parameters but its family, which is none that the sampler draws. Where the logarithm
    of the target may be learned, every second kernel machine does, the first among them. For two classes some
    learn log odds.
    """
    candidates: list[dict[str, Any]] = []
    for row in _ROWS:
        params = dict(zip(_NAMES, row, strict=True))
        family = params["family"]
        if family not in space.families or (params["numeric_transform"] == "piecewise" and not space.pieces):
            continue
        for name in ("ridge",) if family == "linear" else ("q", "bandwidth"):
            params[f"{family}_{name}"] = params.pop(name)
        if not space.full_feature_matrix:
            params["metric_shape"] = "diagonal"
        if not space.log_odds:
            params["loss"] = None
        if space.log_target:
            kernels = [before for before in candidates if before["family"] != "linear"]
            params["target_transform"] = "none" if family == "linear" or len(kernels) % 2 else "log"
        candidates.append({name: value for name, value in params.items() if value is not None})
    return candidates + ([{"family": "constant"}] if space.tries_constant else [])


def encoded_first(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same configurations, kernel machines on the encoding of the baselines first: its rows are there.

    >>> standard = {"family": "l2", "numeric_transform": "standard", "category_encoding": "one_hot"}
    >>> encoded_first([standard | {"numeric_transform": "quantile"}, standard])[0] == standard
    True
    """

    def is_encoded(params: dict[str, Any]) -> bool:
        encoding = (params.get("numeric_transform"), params.get("category_encoding"))
        return encoding == ("standard", "one_hot") and params["family"] not in LINEAR_FAMILIES

    return sorted(candidates, key=lambda params: not is_encoded(params))
