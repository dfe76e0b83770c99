"""Baselines: the scores of a constant, ridge regression and boosted trees on the same folds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.leaf_models.kernels.quantiles import quantile
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.rows import BaselineRow
from xrfm_cli.tuning.scoring.metric_names import constant_name
from xrfm_cli.tuning.scoring.target_transforms import fit_target_transform

Array = NDArray[np.float64]
RIDGES = tuple(10.0**k for k in range(-3, 5))
RIDGE_ENCODING = EncodingConfig()
PRODUCTS_PER_SECOND = 4e9  # multiply-adds of a slow core
EIGEN_PRODUCTS = 9  # an eigendecomposition takes as long as this many matrix products
FEWEST_ROWS = 3  # with fewer rows, leave-one-out cannot choose a strength, and the constant is used
DEVIANCES = {"poisson_deviance": "poisson", "gamma_deviance": "gamma"}  # what boosted trees minimise
TREES, BINS, LEAVES, LEAF_ROWS = 100, 255, 31, 20  # scikit-learn's defaults; rows of a leaf at least
# Seconds of boosted trees on a slow core: the import, the binning of a cell, and for each tree a base, each
# cell, and each bin of each column in the histogram of each leaf.
IMPORT_S, BINNING_S = 0.3, 1.2e-6
TREE_S, CELL_S, HISTOGRAM_S = 5e-4, 1.6e-8, 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A simple model's out-of-fold score."""

    name: str
    score: float
    description: str
    seconds: float

    def to_json(self) -> BaselineRow:
        """Return the values by name, ready for JSON."""
        return {
            "name": self.name,
            "score": self.score,
            "description": self.description,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Baselines:
    """The baselines that there was time for, and the names of the others."""

    scored: tuple[Baseline, ...]
    left_out: tuple[str, ...]


def score_baselines(problem: Problem) -> Baselines:
    """Score a constant, ridge regression and boosted trees, validated like the candidates.

    The constant is the mean, the shares of the classes, or the quantile if the metric is one. A baseline is
    left out if it is expected to take more than its share of the time limit.
    """
    name = constant_name(problem.scorer.metric.name, has_classes=problem.data.n_classes > 0)
    text = "class shares alone" if problem.data.n_classes else "one value for all rows"
    scored, left_out = [_scored(problem, name, text, _constant)], []
    if problem.data.base is not None and problem.data.base.predicts_target:
        text = f"the predictions of {problem.data.base.name}, unchanged"
        scored.append(_scored(problem, "base model", text, _base_alone))
    if _has_ridge(problem):
        text = "linear in the encoded columns, strength by generalised cross-validation"
        if problem.scorer.metric.level is not None:
            text += ", moved by the quantile of its residuals"
        scored.append(_scored(problem, "ridge", text, _ridge))
    else:
        left_out.append("ridge regression")
    if _has_boosting(problem):
        text = f"scikit-learn's HistGradientBoosting with its defaults, {TREES} trees"
        scored.append(_scored(problem, "boosted trees", text, _boosting))
    else:
        left_out.append("boosted trees")
    return Baselines(scored=tuple(scored), left_out=tuple(left_out))


def baseline_seconds(problem: Problem) -> float:
    """Return the expected seconds of the baselines that there is time for."""
    ridge_s = _ridge_seconds(problem) if _has_ridge(problem) else 0.0
    return ridge_s + (_boosting_seconds(problem) if _has_boosting(problem) else 0.0)


def _has_ridge(problem: Problem) -> bool:
    return _ridge_seconds(problem) <= problem.limits.ridge_s


def _has_boosting(problem: Problem) -> bool:
    return _boosting_seconds(problem) <= problem.limits.boosting_s


def _scored(problem: Problem, name: str, text: str, predict: Callable[[Problem, int], Array]) -> Baseline:
    """Score out-of-fold predictions, fold after fold."""
    began = time.monotonic()
    rates = np.concatenate([predict(problem, fold) for fold in range(len(problem.plan.folds))])
    scores = problem.data.outcomes_of(problem.plan.validation_rows, rates)
    score = problem.scorer.validation_score(scores).score
    return Baseline(name=name, score=score, description=text, seconds=time.monotonic() - began)


def _constant(problem: Problem, fold: int) -> Array:
    """Predict the mean or quantile of a fold's training rows; classes have one prior.

    Different priors would rank the folds.
    """
    target_transform, level = problem.folds.target_transform(fold), problem.scorer.metric.level
    if level is not None:
        rows = problem.plan.folds[fold].train
        value = _quantile(problem.data.rates_of(rows), level, problem.data.learning_weights_of(rows))
        return np.full((len(problem.plan.folds[fold].valid), 1), value)
    if problem.data.n_classes:
        rows = problem.plan.refit_rows
        weights = None if problem.data.weights is None else problem.data.weights[rows]
        target_transform = fit_target_transform(problem.data.y_true[rows], problem.data.n_classes, weights)
    return target_transform.decode(
        np.zeros((len(problem.plan.folds[fold].valid), max(problem.data.n_classes - 1, 1)))
    )


def _quantile(values: Array, level: float, weights: Array | None) -> float:
    mass = None if weights is None else torch.from_numpy(weights)
    return quantile(torch.from_numpy(values), level, mass)


def _base_alone(problem: Problem, fold: int) -> Array:
    """Return the base's predictions of a fold's validation rows."""
    assert problem.data.base_outputs is not None
    outputs = problem.data.base_outputs[problem.plan.folds[fold].valid]
    return np.column_stack([1 - outputs[:, 0], outputs[:, 0]]) if problem.data.n_classes == 2 else outputs


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
    x_train, y_train = (part.cpu().double().numpy() for part in (matrices.x_train, matrices.y_train))
    model.fit(x_train, y_train, sample_weight=weights)
    predicted = model.predict(matrices.x_valid.cpu().double().numpy())
    if problem.scorer.metric.level is not None:
        residuals = y_train - model.predict(x_train).reshape(len(x_train), -1)
        predicted = predicted + _quantile(residuals[:, 0], problem.scorer.metric.level, weights)
    return target_transform.decode(predicted.reshape(len(predicted), -1))


def _boosting_seconds(problem: Problem) -> float:
    """Return the expected seconds of boosted trees on all folds; independent of the machine."""
    trees = TREES * (problem.data.n_classes if problem.data.n_classes > 2 else 1)
    n, d = problem.folds.matrices(0, RIDGE_ENCODING).x_train.shape
    bins = d * min(BINS, n) * min(LEAVES, max(n // LEAF_ROWS, 1))
    tree_s = TREE_S + CELL_S * n * d + HISTOGRAM_S * bins
    return IMPORT_S + len(problem.plan.folds) * (BINNING_S * n * d + trees * tree_s)


def _boosting(problem: Problem, fold: int) -> Array:
    """Predict a fold's validation rows by boosted trees; with one class or too few rows by the constant."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    rows, matrices = problem.plan.folds[fold].train, problem.folds.matrices(fold, RIDGE_ENCODING)
    labels = problem.data.y_true[rows] if problem.data.n_classes else None
    if len(rows) < FEWEST_ROWS or (labels is not None and len(np.unique(labels)) < 2):
        return _constant(problem, fold)
    deviance = DEVIANCES.get(problem.scorer.metric.name)
    amounts = problem.data.rates_of(rows) if deviance else None
    if amounts is not None and not amounts.any():
        return _constant(problem, fold)
    kind = HistGradientBoostingRegressor if labels is None else HistGradientBoostingClassifier
    level = problem.scorer.metric.level
    own: dict[str, Any] = {} if level is None else {"loss": "quantile", "quantile": level}
    if deviance:
        own = {"loss": deviance}
    model = kind(max_iter=TREES, early_stopping=False, random_state=0, **own)
    weights = None if matrices.weights is None else matrices.weights.cpu().double().numpy()
    y_train = matrices.y_train[:, 0].cpu().double().numpy() if labels is None else labels
    scale = 1.0
    if amounts is not None:  # a deviance compares ratios; the trees' gradients overflow for huge amounts
        scale = float(amounts.max())
        y_train = amounts / scale
    x_valid = matrices.x_valid.cpu().numpy()
    with threadpool_limits(1):  # its threads poll for work, which costs more than they save on small tables
        model.fit(matrices.x_train.cpu().numpy(), y_train, sample_weight=weights)
        if amounts is not None:
            return scale * model.predict(x_valid)[:, None]
        if labels is None:
            return problem.folds.target_transform(fold).decode(model.predict(x_valid)[:, None])
        scores = np.zeros((len(x_valid), problem.data.n_classes))
        scores[:, model.classes_] = model.predict_proba(x_valid)
    return scores
