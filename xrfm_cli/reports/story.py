"""How a search went, in sentences: what was selected and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xrfm_cli.reports.formats import number, seconds

FAMILIES = {  # as people read them
    "l2": "norm kernels with p = 2",
    "l1": "norm kernels with p = 1",
    "lp": "norm kernels with another p",
    "sum_power": "sum-power kernels",
    "linear": "linear leaves",
    "constant": "the constant",
}
STATES = {
    "complete": "judged to the end",
    "pruned": "pruned",
    "failed": "that failed",
    "out of time": "that time ran out on",
    "interrupted": "interrupted",
}


def selection_words(document: Mapping[str, Any]) -> str:
    """The best single trial beside the models together, and what selecting them does to the score.

    Empty where nothing was selected.

    >>> trials = [{"state": "complete"}, {"state": "complete"}]
    >>> best = {"trial": 1, "score": 0.91, "ended_s": 3.0}
    >>> selection_words({"trials": trials, "best_trial": best, "score": 0.92, "ensemble": [1, 2]})[:60]
    'The best single trial has 0.91, the 2 models together 0.92. '
    """
    complete = sum(trial["state"] == "complete" for trial in document["trials"])
    best = document["best_trial"]
    if complete < 2 or best is None:
        return ""
    members = len(document["ensemble"])
    if members > 1:
        text = (
            f"The best single trial has {number(best['score'])}, "
            f"the {members} models together {number(document['score'])}. Trials and weights were"
        )
    else:
        text = f"The model is the best of {complete} trials that were judged to the end. It was"
    return (
        f"{text} chosen by this score, which flatters it a little; on rows set aside from the start, "
        "xrfm evaluate shows both scores side by side."
    )


def cost_words(document: Mapping[str, Any]) -> str:
    """What the trials cost, by their state and by their kernel family; empty where no clock is known.

    >>> document = {"trials": [{"state": "complete"}, {"state": "pruned"}],
    ...             "trial_seconds": {"state": {"complete": 5.0, "pruned": 1.0}, "family": {"l1": 6.0}}}
    >>> cost_words(document)
    '5.00 s on 1 trial judged to the end, 1.00 s on 1 pruned; 6.00 s on norm kernels with p = 1'
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
