"""Sentences about a search: the selection and the cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xrfm_cli.reports.formats import number, seconds
from xrfm_cli.reports.labels import short_label

FAMILIES = {  # display names
    "l2": "norm kernels with p = 2",
    "l1": "norm kernels with p = 1",
    "lp": "norm kernels with another p",
    "sum_power": "sum-power kernels",
    "linear": "linear leaves",
    "constant": "constant leaves",
}
STATES = {
    "complete": "completed",
    "pruned": "pruned",
    "failed": "failed",
    "out of time": "out of time",
    "interrupted": "interrupted",
}


def selection_words(document: Mapping[str, Any]) -> str:
    """Compare the best single trial with the ensemble, and say that selection makes the score optimistic.

    Empty if nothing was selected.

    >>> trials = [{"state": "complete"}, {"state": "complete"}]
    >>> best = {"trial": 1, "score": 0.91, "ended_s": 3.0}
    >>> selection_words({"trials": trials, "best_trial": best, "score": 0.92, "ensemble": [1, 2]})[:60]
    'The best single trial scores 0.91, the ensemble of 2 models '
    """
    complete = sum(trial["state"] == "complete" for trial in document["trials"])
    best = document["best_trial"]
    if complete < 2 or best is None:
        return ""
    members = len(document["ensemble"])
    if members > 1:
        text = (
            f"The best single trial scores {number(best['score'])}, "
            f"the ensemble of {members} models {number(document['score'])}. Trials and weights were"
        )
    else:
        text = f"The model is the best of {complete} completed trials. It was"
    text += " selected by this score, so it is slightly optimistic"
    if document.get("test"):
        return f"{text}; the scores on the test rows are not."
    return (
        f"{text}. To check it, run xrfm evaluate on rows that were set aside before the fit, or fit with "
        "--holdout 0.2: both show the scores side by side."
    )


def verdict_words(document: Mapping[str, Any]) -> list[str]:
    """Return warnings about a model that is not better than a baseline, and about a misleading baseline.

    >>> worse = {"name": "ridge", "score": 5.0}
    >>> verdict_words({"metric": "rmse", "score": 3.0, "score_low": 2.5, "score_high": 3.2, "target": "fee",
    ...                "lower_is_better": True, "baselines": [{"name": "mean", "score": 4.0}, worse]})
    ['The baseline ‘ridge’ is worse than the mean (rmse 5 against 4), so being better than it says little.']
    """
    lower, score, metric = document["lower_is_better"], document["score"], document["metric"]
    constant, *others = [item for item in document["baselines"] if item["score"] is not None] or [None]
    if constant is None or score is None:
        return []

    def is_better(one: float, other: float) -> bool:
        return one < other if lower else one > other

    lines, simple = [], f"the {constant['name']}"
    if not is_better(score, constant["score"]):
        lines.append(
            f"This model is no better than {simple} ({metric} {number(score)} against "
            f"{number(constant['score'])}): on held-out rows, the columns do not help to predict "
            f"{short_label(document['target'])}."
        )
    elif not is_better(document["score_high" if lower else "score_low"] or score, constant["score"]):
        lines.append(
            f"This model is hardly better than {simple} ({metric} {number(score)} against "
            f"{number(constant['score'])}): in at least one fold it is no better."
        )
    for item in others:
        if is_better(constant["score"], item["score"]):
            lines.append(
                f"The baseline ‘{item['name']}’ is worse than {simple} ({metric} "
                f"{number(item['score'])} against {number(constant['score'])}), "
                "so being better than it says little."
            )
        elif is_better(item["score"], score):
            lines.append(
                f"The baseline ‘{item['name']}’ is better than this model ({metric} "
                f"{number(item['score'])} against {number(score)}). More time or trials may help."
            )
    return lines


def best_baseline(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the baseline with the best score, None if none has a score."""
    scored = [item for item in document["baselines"] if item["score"] is not None]
    return (min if document["lower_is_better"] else max)(scored, key=lambda item: item["score"], default=None)


def baseline_words(document: Mapping[str, Any]) -> str:
    """Compare the model with its best baseline, and describe the baselines.

    >>> mean = {"name": "mean", "score": 4.0, "description": "one value for all rows"}
    >>> baseline_words({"metric": "rmse", "score": 3.0, "lower_is_better": True, "baselines": [mean]})
    'The rmse is 25 % lower than that of mean, the best baseline. Baselines: mean, one value for all rows.'
    """
    scored = [item for item in document["baselines"] if item["score"] is not None]
    best, lower = best_baseline(document), document["lower_is_better"]
    if best is None or document["score"] is None:
        return ""
    compared = "; ".join(
        f"{item['name']}, {item['description']}" if item.get("description") else item["name"]
        for item in scored
    )
    metric, named = document["metric"], f"{best['name']}, the best baseline"
    text = f"The {metric} is {number(document['score'])}; {named}, has {number(best['score'])}"
    if lower and 0 < document["score"] < best["score"]:
        gain = 1 - document["score"] / best["score"]
        text = f"The {metric} is {100 * gain:.0f} % lower than that of {named}"
    return f"{text}. Baselines: {compared}."


def cost_words(document: Mapping[str, Any]) -> str:
    """Describe the cost of the trials by state and by kernel family; empty if no times are known.

    >>> document = {"trials": [{"state": "complete"}, {"state": "pruned"}],
    ...             "trial_seconds": {"state": {"complete": 5.0, "pruned": 1.0}, "family": {"l1": 6.0}}}
    >>> cost_words(document)
    '5.00 s on 1 trial completed, 1.00 s on 1 pruned; 6.00 s on norm kernels with p = 1'
    """
    spent = document["trial_seconds"]
    if not sum(spent["state"].values()):
        return ""
    states = []
    for place, (state, value) in enumerate(spent["state"].items()):
        count = sum(trial["state"] == state for trial in document["trials"])
        noun = "" if place else " trial" if count == 1 else " trials"
        states.append(f"{seconds(value)} on {count}{noun} {STATES.get(state, state)}")
    families = [f"{seconds(value)} on {FAMILIES.get(name, name)}" for name, value in spent["family"].items()]
    return f"{', '.join(states)}; {', '.join(families)}"
