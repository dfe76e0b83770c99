"""What tuning tried, choice by choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One value of a choice that the search had, and how well its trials did."""

    name: str
    value: str
    trials: int
    complete: int
    best: float | None  # score of its best complete trial


def tried_choices(trials: Sequence[Mapping[str, Any]], *, lower_is_better: bool) -> list[Tried]:
    """For every hyperparameter that took a few values, each of them with its trials, the best value first.

    >>> trials = [{"state": "complete", "score": p, "params": {"kernel_p": p}} for p in (2, 1)]
    >>> [(choice.name, choice.value, choice.best) for choice in tried_choices(trials, lower_is_better=True)]
    [('kernel_p', '1', 1), ('kernel_p', '2', 2)]
    """
    names = dict.fromkeys(name for trial in trials for name in trial["params"])
    out = []
    for name in names:
        if name not in CHOICES:
            continue
        values = dict.fromkeys(str(_shown(name, trial["params"])) for trial in trials)
        rows = [_tried(name, value, trials, lower_is_better) for value in values if value]
        if len(rows) > 1:
            out += sorted(rows, key=lambda row: _order(row.best, lower_is_better))
    return out


CHOICES = (
    "kernel",
    "kernel_p",
    "metric_shape",
    "numeric_transform",
    "category_encoding",
    "target_transform",
)


def _shown(name: str, params: Mapping[str, Any]) -> str:
    value = params.get(name)
    if name == "kernel_p":  # a number, but 1 and 2 are kernels of their own
        if params.get("kernel", "norm") != "norm":
            return ""
        return f"{value:g}" if value in (1, 2) else "between"
    return "" if value is None else str(value)


def _tried(name: str, value: str, trials: Sequence[Mapping[str, Any]], lower_is_better: bool) -> Tried:
    own = [trial for trial in trials if _shown(name, trial["params"]) == value]
    scores = [t["score"] for t in own if t["state"] == "complete" and t["score"] is not None]
    best = (min if lower_is_better else max)(scores, default=None)
    return Tried(name=name, value=value, trials=len(own), complete=len(scores), best=best)


def _order(best: float | None, lower_is_better: bool) -> float:
    if best is None:
        return float("inf")
    return best if lower_is_better else -best
