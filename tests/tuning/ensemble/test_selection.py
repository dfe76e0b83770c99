"""Greedy selection on predictions that were worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.tuning.tables import task_table
from xrfm_cli.datasets import SchemaOverrides, infer_schema, infer_target
from xrfm_cli.events import Event, OnEvent, ignore_event
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.final_fit import FinalEnsemble, fit_final_ensemble
from xrfm_cli.tuning.ensemble.selection import choose_candidates, greedy_weights, rounded
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.trial import ValidationResult
from xrfm_cli.tuning.search.trial_records import SearchResult


def weights_of(predictions: list[list[float]], y_true: list[float], **options: Any) -> list[float]:
    target = np.array(y_true)
    return greedy_weights(
        [np.array(p) for p in predictions], lambda p: float(((p - target) ** 2).mean()), **options
    )


@pytest.mark.parametrize(
    ("predictions", "y_true", "expected"),
    [
        ([[1.0, 2.0]], [0.0, 0.0], [1.0]),
        ([[1.0, 1.0], [0.0, 0.0]], [0.0, 0.0], [0.0, 1.0]),  # a perfect one stays alone
        ([[1.0, 1.0], [-1.0, -1.0]], [0.0, 0.0], [0.5, 0.5]),
        ([[2.0, 2.0], [-1.0, -1.0]], [0.0, 0.0], [1 / 3, 2 / 3]),
        ([[3.0, 3.0], [-1.0, -1.0]], [0.0, 0.0], [0.25, 0.75]),
        ([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]], [0.5, 0.5], [0.5, 0.5, 0.0]),
    ],
)
def test_weights_by_hand(predictions: list[list[float]], y_true: list[float], expected: list[float]) -> None:
    assert weights_of(predictions, y_true) == pytest.approx(expected)


def test_equals_go_to_the_first() -> None:
    assert weights_of([[1.0], [1.0], [1.0]], [0.0]) == [1.0, 0.0, 0.0]
    nearly = [[1.0 + 1e-9], [1.0], [1.0 - 1e-9]]  # last bits decide nothing
    assert weights_of(nearly, [0.0]) == [1.0, 0.0, 0.0]


def test_members_are_bounded() -> None:
    generator = np.random.default_rng(0)
    y_true = generator.normal(size=50)
    predictions = [y_true + generator.normal(size=50) for _ in range(9)]
    for most in (1, 2, 4):
        weights = greedy_weights(predictions, lambda p: float(((p - y_true) ** 2).mean()), max_members=most)
        assert 1 <= sum(w > 0 for w in weights) <= most
        assert sum(weights) == pytest.approx(1.0)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 6), most=st.integers(1, 6))
def test_never_worse_than_the_best_alone(seed: int, members: int, most: int) -> None:
    generator = np.random.default_rng(seed)
    y_true = generator.normal(size=12)
    predictions = [y_true + generator.normal(size=12) * generator.uniform(0.1, 2) for _ in range(members)]

    def loss(p: np.ndarray) -> float:
        return float(np.abs(p - y_true).mean())

    weights = greedy_weights(predictions, loss, max_members=most)
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1.0)
    combined = sum(w * p for w, p in zip(weights, predictions, strict=True))
    assert loss(np.asarray(combined)) <= min(loss(p) for p in predictions) * (1 + 1e-6)


def test_probabilities_stay_probabilities() -> None:
    generator = np.random.default_rng(0)
    predictions = [generator.dirichlet(np.ones(3), 40) for _ in range(4)]
    y_true = generator.integers(0, 3, 40)
    weights = greedy_weights(
        predictions, lambda p: float(-np.log(p[np.arange(40), y_true]).mean()), max_members=3
    )
    combined = np.asarray(sum(w * p for w, p in zip(weights, predictions, strict=True)))
    np.testing.assert_allclose(combined.sum(1), 1.0)


def test_a_prediction_without_a_finite_loss_is_not_chosen() -> None:
    assert weights_of([[np.inf], [1.0]], [0.0]) == [0.0, 1.0]
    assert weights_of([[np.nan], [1.0]], [0.0]) == [0.0, 1.0]


def test_rounding_keeps_seven_digits() -> None:
    assert rounded(0.123456789) == 0.1234568
    assert rounded(1234567890.0) == 1234568000.0
    assert rounded(-1e-20) == -1e-20
    assert rounded(float("nan")) == rounded(float("-inf")) == float("inf")


@given(
    kinds=st.lists(st.sampled_from("abcd"), max_size=40),
    best=st.integers(1, 10),
    of_each_kind=st.integers(0, 3),
)
def test_a_pool_holds_the_best_and_the_best_of_each_kind(
    kinds: list[str], best: int, of_each_kind: int
) -> None:
    pool = choose_candidates(kinds, best=best, of_each_kind=of_each_kind)
    assert pool == sorted(set(pool))
    assert pool[:best] == list(range(min(best, len(kinds))))
    for kind in set(kinds):
        ranked = [place for place, own in enumerate(kinds) if own == kind]
        chosen = [place for place in ranked if place in pool]
        assert chosen == ranked[: len(chosen)]
        assert len(chosen) >= min(of_each_kind, len(ranked))
        assert all(place < best for place in chosen[of_each_kind:])


def problem_of(task: str) -> Problem:
    """The problem of sixty rows."""
    table = task_table(task, 60)
    schema, target = infer_schema(table, SchemaOverrides(target="y")), infer_target(table, "y")
    return set_up_problem(table, schema, target, FitConfig(trials=1)).problem


def validation_result_of(
    problem: Problem, scores: NDArray[np.float64], loss: float, **params: Any
) -> ValidationResult:
    """Return the validation result of a candidate, with the identity as feature matrix."""
    candidate = Candidate.from_dict(params)
    folds = [problem.folds.matrices(fold, candidate.encoding) for fold in range(len(problem.plan.folds))]
    return ValidationResult(
        candidate=candidate,
        scores=scores,
        loss=loss,
        score=loss,
        factor=1.0,
        iterations=0,
        last_iterations=0,
        feature_matrices=tuple(torch.ones(fold.x_train.shape[1]) for fold in folds),
        temperature=0.0,
    )


def final(
    problem: Problem,
    validation_results: list[ValidationResult],
    *,
    most: int = 3,
    on_event: OnEvent = ignore_event,
) -> FinalEnsemble:
    """The ensemble of three members at most, unless told otherwise."""
    costs = CostModel(product_rate=float("inf"))
    result = SearchResult(validation_results=list(enumerate(validation_results)), costs=costs)
    return fit_final_ensemble(
        problem, result, max_members=most, seconds_left=lambda: float("inf"), on_event=on_event
    )


def test_after_many_near_copies_a_kernel_that_errs_differently_is_a_member() -> None:
    """Thirty trials of one kind are better than that of another; the mean of the two kinds is exact."""
    problem = problem_of("regression")
    y_true = problem.scorer.y_valid[:, None]
    errors = np.random.default_rng(0).normal(size=y_true.shape)
    copies = [1 + 0.001 * k for k in range(30)]
    validation_results = [
        validation_result_of(problem, y_true + size * errors, size, kernel_p=2.0) for size in copies
    ]
    validation_results.append(validation_result_of(problem, y_true - 1.1 * errors, 1.1, kernel_p=1.0))
    found = final(problem, validation_results)
    assert {m.trial: m.weight for m in found.members}[30] == pytest.approx(1 / 2.1, abs=0.02)
    assert np.abs(found.predictions - problem.scorer.y_valid).max() < 0.1


def test_a_large_ensemble_keeps_no_members_that_change_next_to_nothing() -> None:
    problem = problem_of("regression")
    y_true, source = problem.scorer.y_valid[:, None], np.random.default_rng(0)
    shared, own = source.normal(size=y_true.shape), source.normal(size=(12, *y_true.shape))
    # Copies but for errors of their own, whose average is worth two ten-thousandths of the loss.
    own -= shared * (own * shared).sum((1, 2), keepdims=True) / (shared**2).sum()
    validation_results = [
        validation_result_of(problem, y_true + shared + 0.02 * own[k], 1 + 1e-6 * k, kernel_p=2.0)
        for k in range(12)
    ]
    events: list[Event] = []
    few = final(problem, validation_results, most=12, on_event=events.append)
    many = final(problem, validation_results, most=6)
    assert len(few.members) < len(many.members)
    losses = [problem.scorer.loss_of_predictions(found.predictions) for found in (few, many)]
    assert losses[0] <= 1.0011 * losses[1]
    assert any("models lower the loss by at most 0.1%" in event.message for event in events)


@pytest.mark.parametrize(("loss", "members"), [(0.5, {0}), (0.1, {1})])
def test_where_ranks_count_a_constant_is_alone_or_no_member(loss: float, members: set[int]) -> None:
    """Its folds' means differ in the last digits, which here put equal scores in the right order."""
    problem = problem_of("binary")
    share = np.linspace(0.1, 0.9, 60).round(1) * 0.5 + 0.4 * problem.scorer.y_valid * (np.arange(60) % 3 > 0)
    hair = 0.5 + 1e-3 * (problem.scorer.y_valid - 0.5)
    kernel = validation_result_of(problem, np.stack([1 - share, share], axis=1), 0.2, kernel_p=2.0)
    constant = validation_result_of(problem, np.stack([1 - hair, hair], axis=1), loss, kernel="constant")
    mixed = (kernel.scores + constant.scores) / 2
    assert problem.scorer.validation_score(mixed).loss < problem.scorer.validation_score(kernel.scores).loss
    assert {member.trial for member in final(problem, [kernel, constant]).members} == members
