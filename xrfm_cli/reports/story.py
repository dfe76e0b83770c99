"""Sentences about a search: the selection and the cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xrfm_cli.reports.formats import number, seconds

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
    return (
        f"{text} selected by this score, so it is slightly optimistic. To check it, run xrfm evaluate on "
        "rows that were set aside before the fit; it shows both scores side by side."
    )


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
