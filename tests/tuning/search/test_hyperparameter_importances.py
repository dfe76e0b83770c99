"""Importances of hyperparameters, on searches that were written down by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pytest

from tests.tuning.tables import fit, law
from xrfm_cli.events import Event
from xrfm_cli.tuning.rows import ImportanceRow
from xrfm_cli.tuning.search.hyperparameter_importances import (
    best_trials,
    hyperparameter_importances,
    tell_importances,
)

BASE = {
    "kernel": "norm",
    "kernel_p": 2.0,
    "metric_shape": "diagonal",
    "numeric_transform": "standard",
    "category_encoding": "one_hot",
    "target_transform": "none",
    "ridge": 0.1,
    "bandwidth": 2.0,
}


def trial(score: float | None, state: str = "complete", **params: Any) -> dict[str, Any]:
    return {"state": state, "score": score, "params": BASE | params}


def decided_by(name: str, good: Any, bad: Any, count: int = 24) -> list[dict[str, Any]]:
    """Trials of which one choice decides, in either way, whether the score is 1 or 2; the shape does not."""
    shapes = ("diagonal", "full", "full")
    return [
        trial(1.0 + (k % 2) + 0.001 * k, **{name: (good, bad)[k % 2], "metric_shape": shapes[k % 3]})
        for k in range(count)
    ]


DECIDED = decided_by("ridge", 0.01, 3.0)


def told(trials: Sequence[Mapping[str, Any]], *, lower: bool = True, seed: int = 0) -> list[ImportanceRow]:
    return hyperparameter_importances(trials, lower_is_better=lower, seed=seed)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("numeric_transform", "quantile", "standard"), ("ridge", 0.01, 3.0), ("kernel_p", 1.0, 2.0)],
)
@pytest.mark.parametrize("lower", [True, False])
def test_what_decides_comes_first_and_is_no_chance(name: str, good: Any, bad: Any, lower: bool) -> None:
    rows = told(decided_by(name, good, bad), lower=lower)
    assert [row["name"] for row in rows] == ["family" if name == "kernel_p" else name, "metric_shape"]
    assert rows[0]["share"] > 0.9
    assert rows[0]["share"] > rows[0]["by_chance"]
    assert rows[1]["share"] <= rows[1]["by_chance"]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)


def test_a_choice_without_an_alternative_is_not_named() -> None:
    trials = [trial(float(k % 2), numeric_transform=("quantile", "standard")[k % 2]) for k in range(10)]
    assert [(row["name"], row["share"]) for row in told(trials)] == [("numeric_transform", 1.0)]
    assert told([trial(float(k)) for k in range(30)]) == []


def test_too_few_validated_to_their_end_tell_nothing() -> None:
    trials = decided_by("numeric_transform", "quantile", "standard", 9)
    assert told(trials) == []
    assert told(trials + [trial(0.5, "pruned")] * 30) == []
    assert told([*trials, trial(None), trial(float("nan"))]) == []
    assert told([]) == []


def test_pruned_trials_are_none_of_the_best_whatever_their_score() -> None:
    trials = [trial(0.0, "pruned"), *(trial(1.0 + k) for k in range(10)), trial(0.0, "pruned")]
    assert best_trials(trials, lower_is_better=True) == {1, 2, 3, 4, 5}
    assert best_trials(trials, lower_is_better=False) == {6, 7, 8, 9, 10}
    better = [t | {"score": -5.0} if t["state"] == "pruned" else t for t in trials]
    assert best_trials(better, lower_is_better=True) == {1, 2, 3, 4, 5}
    pruned = [trial(9.0, "pruned", numeric_transform="quantile") for _ in range(10)]
    (row,) = told([*trials, *pruned])  # among the validated trials, nothing differed
    assert row["name"] == "numeric_transform"


def test_a_tenth_of_many_trials_must_have_been_validated() -> None:
    trials = [trial(float(k)) for k in range(10)] + [trial(0.0, "pruned")] * 91
    assert best_trials(trials, lower_is_better=True) == set()
    assert len(best_trials(trials[:100], lower_is_better=True)) == 10


def test_equals_and_last_bits_go_by_the_order_of_the_trials() -> None:
    nearly = [trial(1.0 + 1e-9 * (10 - k)) for k in range(10)]
    assert best_trials(nearly, lower_is_better=True) == {0, 1, 2, 3, 4}


def test_trials_that_say_nothing_of_choices_are_left_out() -> None:
    trials = decided_by("numeric_transform", "quantile", "standard")
    others = [trial(0.0, kernel="constant"), trial(None, "failed"), trial(5.0, "out of time")]
    assert told(trials + others) == told(trials)


@pytest.mark.skipif(int(optuna.__version__.split(".")[0]) < 5, reason="Optuna 5 knows conditional parameters")
def test_a_scale_that_other_kernels_do_not_share_is_compared_among_its_own() -> None:
    trials = DECIDED + [trial(9.0, kernel="linear", ridge=1e3)] * 4
    rows = {row["name"]: row["share"] for row in told(trials)}
    assert set(rows) == {"ridge", "family", "metric_shape"}
    assert rows["ridge"] > 0.7


def test_the_seed_decides_the_shuffles_alone() -> None:
    trials = [t | {"params": t["params"] | {"bandwidth": 1.0 + k * k % 7}} for k, t in enumerate(DECIDED)]
    assert told(trials) == told(trials)
    first, second = told(trials, seed=0), told(trials, seed=1)
    assert [(r["name"], r["share"]) for r in first] == [(r["name"], r["share"]) for r in second]
    assert [r["by_chance"] for r in first] != [r["by_chance"] for r in second]


def test_a_fault_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("of nothing")

    heard: list[Event] = []
    monkeypatch.setattr(optuna.importance, "get_param_importances", fail)
    assert tell_importances(DECIDED, lower_is_better=True, seed=0, on_event=heard.append) == []
    assert [(e.kind, e.message) for e in heard] == [
        ("fallback", "no importances of hyperparameters: ZeroDivisionError: of nothing")
    ]


@pytest.mark.slow
def test_a_search_is_told_the_same_every_time() -> None:
    verbosity = optuna.logging.get_verbosity()
    state = repr(np.random.get_state())
    models = [fit(law(40), trials=26, folds=2) for _ in range(2)]
    reports = [model.report.timeless() for model in models]
    assert reports[0] == reports[1]
    rows = reports[0].hyperparameter_importances
    assert "family" in {row["name"] for row in rows}  # other names depend on the version of Optuna's sampler
    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
    assert (optuna.logging.get_verbosity(), repr(np.random.get_state())) == (verbosity, state)
