"""Configurations to try before the sampler draws its own: a small set that covers almost any table.

The set was chosen greedily from 60 random configurations, evaluated on held-out training rows of 24 public
tables, so that the best of the first k has the least mean regret (``benchmarks/portfolio.py``). Some were
added for other reasons: the linear leaf because it is very cheap and exact for linear targets, the
piecewise-linear encodings because they need more rows than that benchmark held out, and the constant, last,
for tables with nothing to learn.
"""

from __future__ import annotations

from typing import Any

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.leaf_models import LINEAR_FAMILIES
from xrfm_cli.tuning.search.candidate import LINKS, TRANSLATED
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
    "lp_share",  # position of an lp kernel's p between q and 2
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
# Uses of a base model by the configurations, in turn; every fourth configuration does not use it.
_TRANSFERS: tuple[dict[str, str], ...] = (
    {"transfer": "translation", "start_matrix": "identity"},
    {"transfer": "both", "start_matrix": "base"},
    {"transfer": "projection", "start_matrix": "identity"},
    {"transfer": "none", "start_matrix": "identity"},
    {"transfer": "translation", "start_matrix": "base"},
    {"transfer": "none", "start_matrix": "base"},
    {"transfer": "both", "start_matrix": "identity"},
)
# Place of the configuration that starts from squares of the target. It is early because a minute on 10,000
# rows of 100 columns has time for only a few.
SQUARES_PLACE = 2
# Families whose kernels cost several times those of p = 1 and 2.
SLOW_FAMILIES = ("sum_power", "lp")
# Shares of the size of a model and how its centers are chosen, in turn, if the size is limited.
_SIZES = ((1.0, "landmarks"), (0.5, "landmarks"), (1.0, "drawn"), (0.5, "drawn"), (0.25, "landmarks"))


def first_candidates(space: SearchSpace) -> list[dict[str, Any]]:
    """Return the first configurations of a search, the default first, as sampler parameters.

    Kernels that the space lacks are left out; a full feature matrix becomes diagonal in a wide table. The
    constant has only its family as a parameter, which the sampler never draws. If the log target transform
    is allowed, every second kernel machine uses it, including the first. For two classes some learn log odds.
    """
    candidates: list[dict[str, Any]] = []
    for row in _ROWS:
        params = dict(zip(_NAMES, row, strict=True))
        family = params["family"]
        if family not in space.families or (params["numeric_transform"] == "piecewise" and not space.pieces):
            continue
        if params["numeric_transform"] not in space.numeric_transforms:  # its knots have no room in the file
            params["numeric_transform"] = space.numeric_transforms[0]
        for name in ("ridge",) if family == "linear" else ("q", "bandwidth"):
            params[f"{family}_{name}"] = params.pop(name)
        if not space.full_feature_matrix:
            params["metric_shape"] = "diagonal"
        if len(space.losses) == 1 or family == "linear":
            params["loss"] = None
        elif "logistic" not in space.losses:
            params["loss"] = space.losses[1 - len(candidates) % 2]
        if space.log_target and params["loss"] not in LINKS:
            kernels = [before for before in candidates if before["family"] != "linear"]
            params["target_transform"] = "none" if family == "linear" or len(kernels) % 2 else "log"
        if space.transfers:
            params |= _TRANSFERS[len(candidates) % len(_TRANSFERS)]
            if params["transfer"] in TRANSLATED and params.get("loss") in LINKS:
                params["loss"] = "squared"
        if space.size is not None and family not in LINEAR_FAMILIES:
            share, choice = _SIZES[len(candidates) % len(_SIZES)]
            params |= {"size_share": share, "center_choice": choice}
        candidates.append({name: value for name, value in params.items() if value is not None})
    if space.squares:
        candidates = _also_from_squares(candidates)
    constant = [{"family": "constant"}] if space.tries_constant else []
    # With a base model the constant is its own prediction, which may be the best model of few rows.
    place = 1 if space.transfers else len(candidates)
    return candidates[:place] + constant + candidates[place:]


def _also_from_squares(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let kernel machines start from the identity, and a copy of the second from squares of the target."""
    identity = {"start_matrix": "identity"}
    found = [p if p["family"] in LINEAR_FAMILIES else p | identity for p in candidates]
    kernels = [params for params in found if "start_matrix" in params]
    copies = [params | {"start_matrix": "squares"} for params in kernels[1:2]]
    return [*found[:SQUARES_PLACE], *copies, *found[SQUARES_PLACE:]]


def quick_first(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put families with slow kernels last, for a limit that may end before all configurations have begun.

    >>> [params["family"] for params in quick_first([{"family": "sum_power"}, {"family": "l1"}])]
    ['l1', 'sum_power']
    """
    return sorted(candidates, key=lambda params: params["family"] in SLOW_FAMILIES)


def encoded_first(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put kernel machines with the encoding of the baselines first, as its rows are already encoded.

    >>> standard = {"family": "l2", "numeric_transform": "standard", "category_encoding": "one_hot"}
    >>> encoded_first([standard | {"numeric_transform": "quantile"}, standard])[0] == standard
    True
    """

    standard = EncodingConfig()  # the one that the baselines use

    def is_encoded(params: dict[str, Any]) -> bool:
        encoding = (params.get("numeric_transform"), params.get("category_encoding"))
        return encoding == (standard.numeric, standard.category) and params["family"] not in LINEAR_FAMILIES

    return sorted(candidates, key=lambda params: not is_encoded(params))
