"""Criterion for comparing trials: the metric, plus log loss if the metric counts hits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as skm

from tests.tuning.tables import described, fit, scores, skewed, table_of, task_table
from xrfm_cli.datasets import SchemaOverrides
from xrfm_cli.tuning import FitConfig
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.scoring.metrics import METRICS

RNG = np.random.default_rng(0)
HITS = ("accuracy", "balanced_accuracy", "f1")
PROBABILITIES = ("auc", "average_precision", "log_loss", "brier")


def problem_of(metric: str, task: str) -> Problem:
    table = table_of(skewed(240)) if task == "regression" else task_table(task, 240)
    return set_up_problem(*described(table), FitConfig(metric=metric, trials=1, folds=3)).problem


def random_probabilities(problem: Problem) -> np.ndarray:
    """Return probabilities that are weakly related to the targets."""
    logits = RNG.normal(size=(len(problem.plan.validation_rows), problem.data.n_classes))
    logits[np.arange(len(logits)), problem.scorer.y_valid] += 1.0
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("metric", [*HITS, *PROBABILITIES])
def test_log_loss_is_added_to_what_counts_hits(metric: str, task: str) -> None:
    problem = problem_of(metric, task)
    p = random_probabilities(problem)
    alone = METRICS[metric].loss(problem.scorer.score_of_predictions(p, problem.scorer.decide(p)))
    added = skm.log_loss(problem.scorer.y_valid, p) if metric in HITS else 0.0
    assert problem.scorer.loss_of_predictions(p) == pytest.approx(alone + added, rel=1e-12)
    assert ("log loss" in problem.scorer.compared_by) == (metric in HITS)


@pytest.mark.parametrize("metric", [name for name, m in METRICS.items() if "regression" in m.tasks])
def test_values_are_compared_by_the_metric_alone(metric: str) -> None:
    problem = problem_of(metric, "regression")
    values = problem.scorer.y_valid * RNG.uniform(0.5, 1.5, len(problem.plan.validation_rows))
    assert problem.scorer.loss_of_predictions(values) == METRICS[metric].loss(
        problem.scorer.score_of_predictions(values)
    )
    validation_score = problem.scorer.validation_score(values[:, None])
    assert (validation_score.loss, problem.scorer.compared_by) == (
        METRICS[metric].loss(validation_score.score),
        metric,
    )


def test_of_equal_hits_the_surer_ones_are_better() -> None:
    problem = problem_of("accuracy", "multiclass")
    sure = 0.1 + 0.7 * np.eye(3)[problem.scorer.y_valid]
    unsure = 0.3 + 0.1 * np.eye(3)[problem.scorer.y_valid]
    assert problem.scorer.score_of_predictions(sure) == problem.scorer.score_of_predictions(unsure) == 1.0
    assert problem.scorer.loss_of_predictions(sure) < problem.scorer.loss_of_predictions(unsure)


def test_weights_of_rows_count_in_both_parts() -> None:
    table = task_table("binary", 240)
    weights = np.tile([0.5, 2.0, 1.0], 80)
    heavy = table_of({name: table.column(name) for name in table.column_names} | {"w": weights})
    prepared = set_up_problem(
        *described(heavy, SchemaOverrides(target="y", weight="w")),
        FitConfig(metric="accuracy", trials=1, folds=3),
    )
    problem = prepared.problem
    p, y, w = random_probabilities(problem), problem.scorer.y_valid, weights[problem.plan.validation_rows]
    misses = 1 - skm.accuracy_score(y, p.argmax(1), sample_weight=w)
    expected = misses + skm.log_loss(y, p, sample_weight=w)
    assert problem.scorer.loss_of_predictions(p) == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("metric", [*HITS, "auc", "log_loss"])
def test_the_user_is_shown_the_metric_itself(metric: str) -> None:
    model = fit(task_table("binary", 240), trials=4, metric=metric)
    shown = scores(model)
    assert shown
    for score in shown.values():
        assert 0.0 <= score <= 1.0 or metric == "log_loss"
    for member in model.members:
        assert member.score == shown[member.trial]
    assert math.isfinite(model.report.score)
