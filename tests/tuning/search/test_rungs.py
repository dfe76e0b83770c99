"""The feature matrix from which each rung of a candidate starts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.tuning.tables import described, law, table_of
from xrfm_cli.events import ignore_event
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search import trial as evaluation
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.run_step import path_score, run_step
from xrfm_cli.tuning.search.step import Fitted, Step
from xrfm_cli.tuning.search.trial import MORE_UPDATES, evaluate, starts_afresh, usual_solves

SIZES = (40, 80, 120)


@pytest.fixture
def problem(monkeypatch: pytest.MonkeyPatch) -> Problem:
    """Two folds of 120 training rows in three rungs; the last learns no feature matrix."""
    monkeypatch.setattr(evaluation, "WARM_START_ROWS", 100)
    found = set_up_problem(*described(table_of(law(240))), FitConfig(folds=2)).problem
    return found.with_plan(replace(found.plan, rung_sizes=SIZES))


def taken(problem: Problem, candidate: Candidate) -> list[tuple[Step, Fitted]]:
    """The steps of a whole evaluation, with what they came to."""
    steps = []

    def run(step: Step) -> Fitted:
        steps.append((step, run_step(problem, step, ignore_event)))
        return steps[-1][1]

    evaluate(problem, candidate, trial=0, run=run)
    return [(step, fitted) for step, fitted in steps if not step.is_refinement]


def candidate(leaf_size: int) -> Candidate:
    return Candidate.from_dict({"leaf_size": leaf_size, "iterations": 6, "bandwidth": 2.0, "ridge": 0.01})


def test_a_metric_is_learned_anew_from_more_rows_and_carried_where_rows_are_many(problem: Problem) -> None:
    steps = taken(problem, candidate(500))
    assert [(step.fold, step.rung) for step, _ in steps] == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]
    (few, path), (more, longer), (all_rows, _), (other, others), (other_rows, _) = steps
    assert few.start is more.start is other.start is None
    validation_scores = [path_score(problem, few, iterate).loss for iterate in path.path]
    best = validation_scores.index(min(validation_scores))
    assert more.iterations == min(6, best + MORE_UPDATES)
    later = [path_score(problem, more, iterate).loss for iterate in longer.path]
    chosen = later.index(min(later))
    assert all_rows.iterations == 0
    assert all_rows.start is not None
    assert torch.equal(all_rows.start, longer.path[chosen].feature_matrix)
    assert other.iterations == chosen
    assert other_rows.start is not None
    assert torch.equal(other_rows.start, others.path[-1].feature_matrix)


def test_a_tree_of_several_leaves_carries_its_metric(problem: Problem) -> None:
    steps = taken(problem, candidate(60))
    assert [(step.fold, step.rung) for step, _ in steps] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert [step.start is None for step, _ in steps] == [True, False, False, True, False, False]


def test_solves_to_expect_are_those_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tree = candidate(5_000), candidate(400)
    assert starts_afresh(whole, 4_500)
    assert not starts_afresh(tree, 4_500)
    assert not starts_afresh(candidate(50_000), evaluation.WARM_START_ROWS + 1)
    assert usual_solves(whole, 4_500) > usual_solves(tree, 4_500) > usual_solves(whole, 50_000) == 1
