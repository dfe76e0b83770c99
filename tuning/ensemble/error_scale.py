"""Fit how the size of the errors depends on the row, from out-of-fold residuals only.

The error sizes of the calibration rows are predicted out of fold too. A model's sizes for its own training
rows are too close to their errors, so intervals would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xrfm_cli.datasets import make_folds
from xrfm_cli.errors import XRFMError
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.leaf_models import LeafConfig, LeafModel, fit_leaf
from xrfm_cli.leaf_models.config import LINEAR_FAMILIES
from xrfm_cli.tuning.feature_matrices import mean_feature_matrix
from xrfm_cli.tuning.model.fitted_model import Member
from xrfm_cli.tuning.model.intervals import ErrorScale, Intervals, weighted_order
from xrfm_cli.tuning.problem.dependent_rows import split_dependent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.search.run_step import trial_generator

Array = NDArray[np.float64]
MAX_SCORES = 5_000  # kept in the model
MAX_ROWS = 2_000  # validation rows that the error scale is fitted on
MIN_ROWS = 50  # fewer do not show which rows have larger errors
FOLDS = 5
ERROR_SCALE_FOLD = 2_000_000  # the first "fold" of the random generators of these fits
EXPONENTS = tuple(np.arange(0.5, 4.01, 0.5).tolist())
BOUNDS = (0.01, 0.99)  # quantiles of the validation rows' predictions that all predictions are clipped to
GAIN_ERRORS = 2.0  # a gain must exceed this many standard errors
LEAST_ROOT = 0.1  # as a share of the root of the mean error
ADAPTS = "prediction intervals adapt to the row: the size of the errors depends on it"
CONSTANT = "prediction intervals have one width: the columns do not predict the size of the errors"
FAILED = "prediction intervals have one width, as the fit of the errors' sizes failed"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roots:
    """Training data of the error scale: validation rows and the roots of their errors."""

    x: Tensor  # (n, d) encoded, on the device
    roots: Array  # (n,) square roots of errors, which are scaled to mean one
    weights: Array | None  # (n,)
    drawn: NDArray[np.bool_]  # (n,) rows to fit on


def fit_intervals(
    problem: Problem, predictions: Array, members: Sequence[Member], x: Tensor, on_event: OnEvent
) -> Intervals:
    """Fit the prediction intervals of an ensemble.

    Args:
        problem: provides the validation rows for calibration.
        predictions: out-of-fold predictions of the validation rows ``(n,)``.
        members: the ensemble; the error scale uses encoder and feature matrix of the first, the heaviest.
        x: the validation rows ``(n, d)`` in that encoder's columns.
        on_event: receives whether the intervals adapt, and any failure, which leaves them with one width.
    """
    errors, weights = np.abs(problem.scorer.y_valid - predictions), problem.scorer.valid_weights
    error_scale, sizes = None, np.ones(len(errors))
    try:
        found = fit_error_scale(problem, errors, members, x, on_event)
    except XRFMError as fault:
        on_event(Event(kind="fallback", message=f"{FAILED}: {fault.message}", count=1))
    else:
        on_event(Event(kind="note", message=CONSTANT if found is None else ADAPTS))
        error_scale, sizes = found or (error_scale, sizes)
    scores = weighted_order(errors / sizes, weights, MAX_SCORES)
    return Intervals(scores=tuple(scores.tolist()), error_scale=error_scale)


def fit_error_scale(
    problem: Problem, errors: Array, members: Sequence[Member], x: Tensor, on_event: OnEvent
) -> tuple[ErrorScale, Array] | None:
    """Fit the error scale and the out-of-fold sizes ``(n,)``; None if a constant is as good."""
    n, weights = len(errors), problem.scorer.valid_weights
    if n < MIN_ROWS or errors.max() == 0:
        return None
    drawn = np.zeros(n, dtype=bool)
    drawn[np.random.default_rng([problem.data.seed, 4]).permutation(n)[:MAX_ROWS]] = True
    roots = np.sqrt(errors / np.average(errors, weights=weights))
    data = Roots(x=x, roots=roots, weights=weights, drawn=drawn)
    heaviest = members[0]
    config, matrix = error_scale_config(members), mean_feature_matrix(heaviest.tree)

    def fit(rows: NDArray[np.bool_], fold: int) -> tuple[LeafModel, float]:
        generator = trial_generator(problem.data.seed, heaviest.trial, ERROR_SCALE_FOLD + fold, 0)
        return _fit(data, rows, config, matrix, generator, problem.memory_bytes, on_event)

    predicted = np.empty(n)
    for fold, held_out in enumerate(validation_folds(problem)):
        kept = drawn.copy()
        kept[held_out] = False
        leaf, centre = fit(kept, fold)
        predicted[held_out] = leaf.predict(x[held_out])[:, 0].cpu().double().numpy() + centre
    low, high = np.maximum(np.quantile(predicted, BOUNDS), LEAST_ROOT).tolist()
    bounded = np.clip(predicted, low, high)
    exponent = choose_exponent(bounded, errors, weights)
    if exponent == 0:
        return None
    leaf, centre = fit(drawn, FOLDS)
    sizes = bounded**exponent
    scale = float(np.average(sizes, weights=weights))
    error_scale = ErrorScale(
        encoder=heaviest.encoder,
        leaf=leaf,
        centre=centre,
        low=low,
        high=high,
        exponent=exponent,
        scale=scale,
    )
    return error_scale, sizes / scale


def _fit(
    data: Roots,
    rows: NDArray[np.bool_],
    config: LeafConfig,
    matrix: Tensor,
    generator: torch.Generator,
    memory_bytes: int,
    on_event: OnEvent,
) -> tuple[LeafModel, float]:
    """Fit a leaf to the roots minus their mean; return both."""
    weights = None if data.weights is None else data.weights[rows]
    centre = float(np.average(data.roots[rows], weights=weights))
    device = data.x.device
    leaf = fit_leaf(
        data.x[torch.from_numpy(rows).to(device)],
        torch.from_numpy(data.roots[rows] - centre).float()[:, None].to(device),
        config,
        generator=generator,
        weights=None if weights is None else torch.from_numpy(weights).float().to(device),
        initial_feature_matrix=matrix,
        memory_bytes=memory_bytes,
        on_event=on_event,
    )
    return leaf, centre


def error_scale_config(members: Sequence[Member]) -> LeafConfig:
    """Return a smooth kernel machine's configuration; linear if no member keeps training rows.

    One error says little about the error size of its row, so the ridge is large. Measured on ten tables,
    ridges from 0.3 to 3, bandwidths from 1 to 10 and p of 1 or 2 are within 1 % of one another.
    """
    own = members[0].tree.config.leaf
    if all(member.tree.config.leaf.kernel in LINEAR_FAMILIES for member in members):
        return LeafConfig(kernel="linear", ridge=100.0, iterations=0, metric_shape=own.metric_shape)
    return LeafConfig(
        bandwidth=3.0,
        bandwidth_mode="adaptive",
        ridge=1.0,
        iterations=0,
        metric_shape=own.metric_shape,
        agop_power=own.agop_power,
    )


def validation_folds(problem: Problem) -> list[Rows]:
    """Split positions of validation rows into parts that share no group: the plan's folds, if several."""
    plan = problem.plan
    if len(plan.folds) > 1:
        ends = np.cumsum([len(fold.valid) for fold in plan.folds])
        folds = np.split(np.arange(ends[-1]), ends[:-1])
        return [np.concatenate(folds[k::FOLDS]) for k in range(min(FOLDS, len(folds)))]
    parts = split_dependent(problem, FOLDS)
    if parts is not None:
        return parts
    n = len(plan.validation_rows)
    return [valid for _, valid in make_folds(n, folds=FOLDS, seed=problem.data.seed)]


def choose_exponent(roots: Array, errors: Array, weights: Array | None = None) -> float:
    """Return the power of the predicted roots that explains the errors best; 0 if one size does as well.

    Errors are modelled as Laplace distributed with the mean ``b * roots ** exponent``. The gain in mean log
    likelihood over a single mean must exceed twice its standard error.

    >>> generator = np.random.default_rng(0)
    >>> roots, noise = generator.uniform(0.5, 1.5, 2_000), generator.exponential(size=2_000)
    >>> choose_exponent(roots, roots**2 * noise), choose_exponent(roots, noise)
    (2.0, 0.0)
    """
    plain = _losses(np.ones_like(roots), errors, weights)
    best, gains = 0.0, np.zeros_like(errors)
    for exponent in EXPONENTS:
        found = plain - _losses(roots**exponent, errors, weights)
        if np.average(found, weights=weights) > np.average(gains, weights=weights):
            best, gains = exponent, found
    gain = np.average(gains, weights=weights)
    variance = np.average((gains - gain) ** 2, weights=weights)
    share = np.ones_like(gains) / len(gains) if weights is None else weights / weights.sum()
    return best if gain > GAIN_ERRORS * np.sqrt(variance * (share**2).sum()) else 0.0


def _losses(sizes: Array, errors: Array, weights: Array | None) -> Array:
    """Return the negative log likelihood of each error, up to a constant, at the best ``b``."""
    means = sizes * np.average(errors / sizes, weights=weights)
    return np.log(means) + errors / means
