"""The report of a search, from hand-written trials."""

from __future__ import annotations

from typing import Any

import pytest

from xrfm_cli.reports.fit.search_figures import history_figure
from xrfm_cli.reports.search import best_trial, improvements, trial_seconds
from xrfm_cli.reports.story import cost_words, selection_words

L2, L1 = {"kernel": "norm", "kernel_p": 2.0}, {"kernel": "norm", "kernel_p": 1.0}
LINEAR = {"kernel": "linear", "kernel_p": 2.0}


def trial(number: int, score: float | None, ended_s: float, **facts: Any) -> dict[str, Any]:
    base = {"number": number, "state": "complete", "score": score, "ended_s": ended_s, "seconds": 1.5}
    return base | {"params": L2} | facts


TRIALS = [
    trial(0, 4.0, 9.0),
    trial(1, 6.0, 3.0, params=L1),
    trial(2, 1.0, 2.0, state="pruned", seconds=0.25),
    trial(3, 5.0, 12.0),
    trial(4, 3.0, 14.0, params=LINEAR, seconds=0.5),
    trial(5, 3.0, 15.0),
    trial(6, None, 16.0, state="failed", seconds=0.0),
]
TIMELESS = [{k: v for k, v in t.items() if k not in ("ended_s", "seconds")} for t in TRIALS]


def test_improvements_come_in_the_order_in_which_trials_ended() -> None:
    found = improvements(TRIALS, lower_is_better=True)
    assert [tuple(step.values()) for step in found] == [(1, 6.0, 3.0), (0, 4.0, 9.0), (4, 3.0, 14.0)]
    assert best_trial(TRIALS, lower_is_better=True) == {"trial": 4, "score": 3.0, "ended_s": 14.0}
    assert best_trial(TRIALS, lower_is_better=False) == {"trial": 1, "score": 6.0, "ended_s": 3.0}


def test_without_a_clock_they_come_by_number() -> None:
    found = improvements(TIMELESS, lower_is_better=True)
    assert [tuple(step.values()) for step in found] == [(0, 4.0, None), (4, 3.0, None)]


def test_no_trials_have_no_best() -> None:
    assert improvements([], lower_is_better=True) == []
    assert best_trial(TRIALS[2:3], lower_is_better=True) is None


def test_seconds_by_state_and_by_family() -> None:
    assert trial_seconds(TRIALS) == {
        "state": {"complete": 6.5, "pruned": 0.25, "failed": 0.0},
        "family": {"l2": 4.75, "l1": 1.5, "linear": 0.5},
    }
    assert trial_seconds([]) == {"state": {}, "family": {}}


def test_what_it_cost_in_words() -> None:
    words = cost_words({"trials": TRIALS, "trial_seconds": trial_seconds(TRIALS)})
    assert words == (
        "6.50 s on 5 trials completed, 0.25 s on 1 pruned, 0.00 s on 1 failed; "
        "4.75 s on norm kernels with p = 2, 1.50 s on norm kernels with p = 1, 0.50 s on linear leaves"
    )
    assert cost_words({"trials": TIMELESS, "trial_seconds": trial_seconds(TIMELESS)}) == ""
    assert cost_words({"trials": [], "trial_seconds": trial_seconds([])}) == ""


@pytest.mark.parametrize(
    ("members", "begins"),
    [
        (
            2,
            "The best single trial scores 3, the ensemble of 2 models 2.5. Trials and weights were selected",
        ),
        (1, "The model is the best of 5 completed trials. It was selected by this score"),
    ],
)
def test_selection_in_words(members: int, begins: str) -> None:
    best = best_trial(TRIALS, lower_is_better=True)
    document: dict[str, Any] = {
        "trials": TRIALS,
        "best_trial": best,
        "score": 2.5,
        "ensemble": [{}] * members,
    }
    assert selection_words(document).startswith(begins)
    assert "xrfm evaluate" in selection_words(document)


def test_one_trial_selects_nothing() -> None:
    document = {"trials": TRIALS[:1], "best_trial": best_trial(TRIALS[:1], lower_is_better=True)}
    assert selection_words(document) == ""
    assert selection_words({"trials": [], "best_trial": None}) == ""


def test_the_history_is_over_seconds_where_they_are_known() -> None:
    timed = history_figure(TRIALS, "rmse", 2.5, lower_is_better=True)
    assert timed is not None
    assert "seconds since the search began" in timed.svg
    assert "the ensemble (dashed) scores 2.5" in timed.finding
    numbered = history_figure(TIMELESS, "rmse", lower_is_better=True)
    assert numbered is not None
    assert "seconds since" not in numbered.svg
    assert ">trial<" in numbered.svg
    assert "ensemble" not in numbered.svg
