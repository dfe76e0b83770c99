"""What a constant and a linear model reach on the same folds: the figures to be better than."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.tuning.coding import fit_coding
from xrfm_cli.tuning.problem import Problem

Array = NDArray[np.float64]
RIDGES = tuple(10.0**k for k in range(-3, 5))
RIDGE_ENCODING = EncodingConfig()
FEWEST_ROWS = 3  # below, leaving one out leaves nothing to choose a strength by: the constant stands in


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A simple model's out-of-fold score."""

    name: str
    score: float
    description: str

    def to_json(self) -> dict[str, Any]:
        """JSON facts."""
        return {"name": self.name, "score": self.score, "description": self.description}


def score_baselines(problem: Problem) -> tuple[Baseline, ...]:
    """The mean (or the prior of the classes) and ridge regression, judged like the candidates."""
    constant = [_constant(problem, fold) for fold in range(len(problem.plan.folds))]
    ridge = [_ridge(problem, fold) for fold in range(len(problem.plan.folds))]
    classes = bool(problem.n_classes)
    named = (
        (
            "majority" if classes else "mean",
            constant,
            "class shares alone" if classes else "one value for all rows",
        ),
        ("ridge", ridge, "linear in the encoded columns, strength by generalised cross-validation"),
    )
    return tuple(
        Baseline(name=name, score=problem.merit(np.concatenate(scores)).score, description=text)
        for name, scores, text in named
    )


def _constant(problem: Problem, fold: int) -> Array:
    """The mean of a fold's training rows; for classes one for all, as several would rank the folds."""
    coding = problem.coding(fold)
    if problem.n_classes:
        rows = problem.plan.refit_rows
        weights = None if problem.weights is None else problem.weights[rows]
        coding = fit_coding(problem.truth[rows], problem.n_classes, weights)
    return coding.decode(np.zeros((len(problem.plan.folds[fold].valid), max(problem.n_classes - 1, 1))))


def _ridge(problem: Problem, fold: int) -> Array:
    matrices, coding = problem.fold(fold, RIDGE_ENCODING), problem.coding(fold)
    if len(matrices.x_train) < FEWEST_ROWS:
        outputs = np.zeros((len(matrices.x_valid), matrices.y_train.shape[1]))
        return coding.decode(outputs)
    model = RidgeCV(alphas=RIDGES)
    weights = None if matrices.weights is None else matrices.weights.cpu().double().numpy()
    model.fit(
        matrices.x_train.cpu().double().numpy(),
        matrices.y_train.cpu().double().numpy(),
        sample_weight=weights,
    )
    predicted = model.predict(matrices.x_valid.cpu().double().numpy())
    return coding.decode(predicted.reshape(len(predicted), -1))
