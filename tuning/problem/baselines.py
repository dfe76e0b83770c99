"""Baselines: the scores of a constant and of ridge regression on the same folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.target_transforms import fit_target_transform

Array = NDArray[np.float64]
RIDGES = tuple(10.0**k for k in range(-3, 5))
RIDGE_ENCODING = EncodingConfig()
PRODUCTS_PER_SECOND = 4e9  # multiply-adds of a slow core
EIGEN_PRODUCTS = 9  # an eigendecomposition takes as long as this many matrix products
FEWEST_ROWS = 3  # with fewer, leave-one-out cannot choose a strength and the constant is used


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A simple model's out-of-fold score."""

    name: str
    score: float
    description: str

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return {"name": self.name, "score": self.score, "description": self.description}


def score_baselines(problem: Problem) -> tuple[Baseline, ...]:
    """Score the mean (or class prior) and ridge regression, validated like the candidates.

    Ridge regression is left out if the time limit leaves no room for it.
    """
    classes, folds, scorer = bool(problem.data.n_classes), range(len(problem.plan.folds)), problem.scorer
    constant = [_constant(problem, fold) for fold in folds]
    words = "class shares alone" if classes else "one value for all rows"
    named = [("majority" if classes else "mean", constant, words)]
    if _ridge_seconds(problem) <= problem.limits.ridge_s:
        ridge = [_ridge(problem, fold) for fold in folds]
        told = "linear in the encoded columns, strength by generalised cross-validation"
        named.append(("ridge", ridge, told))
    return tuple(
        Baseline(name=name, score=scorer.validation_score(np.concatenate(scores)).score, description=text)
        for name, scores, text in named
    )


def _constant(problem: Problem, fold: int) -> Array:
    """Predict the mean of a fold's training rows; classes have one prior, as several would rank the folds."""
    target_transform = problem.folds.target_transform(fold)
    if problem.data.n_classes:
        rows = problem.plan.refit_rows
        weights = None if problem.data.weights is None else problem.data.weights[rows]
        target_transform = fit_target_transform(problem.data.y_true[rows], problem.data.n_classes, weights)
    return target_transform.decode(
        np.zeros((len(problem.plan.folds[fold].valid), max(problem.data.n_classes - 1, 1)))
    )


def _ridge_seconds(problem: Problem) -> float:
    """Return the expected seconds of ridge regression on all folds; independent of the machine."""
    x = problem.folds.matrices(0, RIDGE_ENCODING).x_train
    (n, d), outputs = x.shape, max(problem.data.n_classes, 1)
    least = float(min(n, d))
    products = n * d * least + EIGEN_PRODUCTS * least**3 + len(RIDGES) * n * least * outputs
    return len(problem.plan.folds) * products / PRODUCTS_PER_SECOND


def _ridge(problem: Problem, fold: int) -> Array:
    matrices, target_transform = (
        problem.folds.matrices(fold, RIDGE_ENCODING),
        problem.folds.target_transform(fold),
    )
    if len(matrices.x_train) < FEWEST_ROWS:
        outputs = np.zeros((len(matrices.x_valid), matrices.y_train.shape[1]))
        return target_transform.decode(outputs)
    model = RidgeCV(alphas=RIDGES)
    weights = None if matrices.weights is None else matrices.weights.cpu().double().numpy()
    model.fit(
        matrices.x_train.cpu().double().numpy(),
        matrices.y_train.cpu().double().numpy(),
        sample_weight=weights,
    )
    predicted = model.predict(matrices.x_valid.cpu().double().numpy())
    return target_transform.decode(predicted.reshape(len(predicted), -1))
