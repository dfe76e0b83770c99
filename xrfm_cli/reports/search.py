"""Summaries of the search: the values tried, the improvements and the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xrfm_cli.tuning.search.candidate import kernel_family

Trial = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One value of a hyperparameter, and the results of its trials."""

    name: str
    value: str
    trials: int
    complete: int
    best: float | None  # score of its best complete trial


def tried_choices(trials: Sequence[Mapping[str, Any]], *, lower_is_better: bool) -> list[Tried]:
    """Return the tried values of every categorical hyperparameter with their results, best value first.

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
            out += sorted(rows, key=lambda row: rank_order(row.best, lower_is_better=lower_is_better))
    return out


def is_timed(trials: Sequence[Trial]) -> bool:
    """Return whether the end times of all trials are known; a model file does not keep them."""
    return bool(trials) and all(trial.get("ended_s") is not None for trial in trials)


def improvements(trials: Sequence[Trial], *, lower_is_better: bool) -> list[dict[str, Any]]:
    """Return the complete trials that were the best so far when they ended, in order.

    >>> trials = [{"number": 0, "state": "complete", "score": 3.0, "ended_s": 4.0},
    ...           {"number": 1, "state": "complete", "score": 5.0, "ended_s": 2.0},
    ...           {"number": 2, "state": "pruned", "score": 1.0, "ended_s": 5.0}]
    >>> [tuple(step.values()) for step in improvements(trials, lower_is_better=True)]
    [(1, 5.0, 2.0), (0, 3.0, 4.0)]
    """
    place = "ended_s" if is_timed(trials) else "number"
    complete = [t for t in trials if t["state"] == "complete" and t["score"] is not None]
    steps, best = list[dict[str, Any]](), float("inf")
    for trial in sorted(complete, key=lambda t: (t[place], t["number"])):
        rank = rank_order(trial["score"], lower_is_better=lower_is_better)
        if not steps or rank < best:
            steps.append({"trial": trial["number"], "score": trial["score"], "ended_s": trial.get("ended_s")})
            best = rank
    return steps


def best_trial(trials: Sequence[Trial], *, lower_is_better: bool) -> dict[str, Any] | None:
    """Return the best single trial: the last improvement."""
    return next(reversed(improvements(trials, lower_is_better=lower_is_better)), None)


def trial_seconds(trials: Sequence[Trial]) -> dict[str, dict[str, float]]:
    """Return the total seconds of the trials by state and by kernel family, largest first.

    >>> params = {"kernel": "norm", "kernel_p": 1.0}
    >>> trial_seconds([{"state": "complete", "seconds": 2.5, "params": params}] * 2)
    {'state': {'complete': 5.0}, 'family': {'l1': 5.0}}
    """
    spent: dict[str, dict[str, float]] = {"state": {}, "family": {}}
    for trial in trials:
        params = trial["params"]
        family = kernel_family(params["kernel"], params["kernel_p"])
        for by, name in (("state", trial["state"]), ("family", family)):
            spent[by][name] = spent[by].get(name, 0.0) + trial.get("seconds", 0.0)
    return {
        by: {name: round(value, 4) for name, value in sorted(sums.items(), key=lambda item: -item[1])}
        for by, sums in spent.items()
    }


CHOICES = (
    "kernel",
    "kernel_p",
    "metric_shape",
    "numeric_transform",
    "category_encoding",
    "target_transform",
    "loss",
)


def _shown(name: str, params: Mapping[str, Any]) -> str:
    value = params.get(name)
    if name == "kernel_p":  # a number, but 1 and 2 are kernels in their own right
        if params.get("kernel", "norm") != "norm":
            return ""
        return f"{value:g}" if value in (1, 2) else "between"
    return "" if value is None else str(value)


def _tried(name: str, value: str, trials: Sequence[Mapping[str, Any]], lower_is_better: bool) -> Tried:
    own = [trial for trial in trials if _shown(name, trial["params"]) == value]
    scores = [t["score"] for t in own if t["state"] == "complete" and t["score"] is not None]
    best = (min if lower_is_better else max)(scores, default=None)
    return Tried(name=name, value=value, trials=len(own), complete=len(scores), best=best)


def rank_order(score: float | None, *, lower_is_better: bool) -> float:
    """Return a sort key that puts the best score first and a missing one last."""
    if score is None:
        return float("inf")
    return score if lower_is_better else -score
