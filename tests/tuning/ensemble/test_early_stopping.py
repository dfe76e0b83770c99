"""A search that ends by itself once its ensemble gains less than validation can tell apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tuning.tables import Ticks, described, fit, law, noise_table, table_of
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.events import Event
from xrfm_cli.tuning import FitConfig, FittedModel
from xrfm_cli.tuning.ensemble.early_stopping import PATIENCE_TRIALS, EarlyStopping
from xrfm_cli.tuning.problem.dependent_rows import split_dependent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.portfolio import first_candidates
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.trial import Trial, ValidationResult
from xrfm_cli.tuning.search.trial_records import SearchResult, TrialRecord

LIMIT_S = 1e6  # never reached: a clock that only ticks


def problem_of(columns: dict[str, Any], overrides: SchemaOverrides | None = None, **options: Any) -> Problem:
    config = FitConfig(trials=1, folds=2, **options)
    return set_up_problem(*described(table_of(columns), overrides), config).problem


def add_trial(result: SearchResult, problem: Problem, predictions: NDArray[np.float64]) -> None:
    """Let one more trial end with these out-of-fold predictions."""
    number, candidate = len(result.records), Candidate.from_dict({})
    score = problem.scorer.validation_score(predictions[:, None])
    validated = ValidationResult(
        candidate=candidate,
        scores=predictions[:, None],
        loss=score.loss,
        score=score.score,
        factor=1.0,
        iterations=0,
        last_iterations=0,
        feature_matrices=(),
        temperature=0.0,
    )
    result.validation_results.append((number, validated))
    result.records.append(TrialRecord.of(Trial.start(number, candidate)))


def trials_until_converged(errors: list[float], *, limit: int = 200) -> int | None:
    """Return the number of trials after which a search converges; None if it does not.

    Trial ``k`` errs by ``errors[k]`` times the same noise, and the last error holds for all after it.
    """
    problem = problem_of(law(200))
    early_stopping = EarlyStopping(problem=problem, max_members=3)
    result = SearchResult(costs=CostModel(product_rate=float("inf")))
    noise = np.random.default_rng(0).normal(size=len(problem.plan.validation_rows))
    for k in range(limit):
        error = errors[min(k, len(errors) - 1)]
        add_trial(result, problem, problem.scorer.y_valid + error * noise)
        if early_stopping.has_converged(result):
            assert f"of {k + 1} trials" in early_stopping.reason
            return k + 1
    return None


def test_a_search_without_gain_converges_once_patience_ends() -> None:
    ended = trials_until_converged([1.0])
    assert ended is not None
    assert PATIENCE_TRIALS < ended <= 2 * PATIENCE_TRIALS


def test_a_search_that_gains_goes_on() -> None:
    assert trials_until_converged([0.99**k for k in range(200)], limit=150) is None


def test_a_late_gain_is_waited_for_once_more() -> None:
    ended = trials_until_converged([1.0] * 15 + [0.5])
    assert ended is not None
    assert 2 * 15 <= ended <= 3 * 15


def test_gains_that_no_row_shows_are_no_gains() -> None:
    assert trials_until_converged([1.0 - 1e-6 * k for k in range(200)]) == trials_until_converged([1.0])


def searched(step_s: float = 1.0, **options: Any) -> FittedModel:
    """Return a fit of noise whose limit is far away."""
    chosen: dict[str, Any] = {"folds": 2, "pinned": {"iterations": 0}, "time_limit_s": LIMIT_S} | options
    return fit(noise_table(60), clock=Ticks(step_s), **chosen)


@pytest.mark.slow
def test_a_converged_search_says_so_and_does_not_hang_on_the_clock() -> None:
    heard: list[Event] = []
    model = searched(on_event=heard.append)
    assert model.report.stopped_by == "converged"
    first = len(first_candidates(make_space(problem_of(noise_table(60), pinned={"iterations": 0}))))
    assert len(model.report.trials) >= first + PATIENCE_TRIALS
    (reason,) = [event.message for event in heard if "has converged" in event.message]
    assert reason in model.report.notes
    assert f"of {len(model.report.trials)} trials" in reason
    slower = searched(step_s=7.0)
    assert slower.report.stopped_by == "converged"
    assert slower.report.timeless() == replace(model.report.timeless(), seconds={})


@pytest.mark.slow
def test_trials_that_were_asked_for_are_all_run() -> None:
    count = len(searched().report.trials) + 5
    model = searched(trials=count)
    assert (model.report.stopped_by, len(model.report.trials)) == ("trials", count)


@pytest.mark.slow
def test_without_early_stop_the_limit_ends_the_search() -> None:
    model = searched(early_stop=False, step_s=0.1, time_limit_s=60.0)
    assert model.report.stopped_by == "time"
    assert len(model.report.trials) > len(searched().report.trials)


@pytest.mark.parametrize("role", ["group", "time"])
def test_rows_that_depend_on_each_other_stay_together(role: str) -> None:
    place = np.arange(120) // 10
    overrides = SchemaOverrides(target="y", **{role: "place"})  # type: ignore[arg-type]
    problem = problem_of(law(120) | {"place": place}, overrides)
    parts = split_dependent(problem, 4)
    assert parts is not None
    rows = problem.plan.validation_rows
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))
    if role == "group":
        held = [set(place[rows[part]]) for part in parts]
        assert sum(map(len, held)) == len(set().union(*held))
    else:
        ends = [(place[rows[part]].min(), place[rows[part]].max()) for part in parts]
        assert all(before[1] <= after[0] for before, after in pairwise(ends))
    assert split_dependent(problem_of(law(60)), 4) is None
