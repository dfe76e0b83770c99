"""Kernel refinement under a candidate's learned feature matrix; each try costs one solve."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.errors import NumericalError
from xrfm_cli.leaf_models import LeafConfig
from xrfm_cli.leaf_models.fixed_feature_matrix import FixedFeatureMatrix
from xrfm_cli.tuning.problem.scorer import ValidationScore
from xrfm_cli.tuning.search.candidate import Candidate

ROUNDS = 2  # each with half the steps of the one before, on a logarithmic scale
BANDWIDTH_STEP, RIDGE_STEP, EXPONENT_STEP = 2.0, 10.0, 0.2
LIMITS = {"bandwidth": (0.05, 200.0), "ridge": (1e-6, 100.0), "kernel_q": (0.3, 2.0), "power": (1, 8)}
MOST_TRIES = ROUNDS * 7

Codes = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """The best kernel found, its loss and the number of tries."""

    candidate: Candidate
    loss: float
    score: float
    tries: int


def can_refine(candidate: Candidate, rows: int) -> bool:
    """Return whether a candidate's fit on this number of rows has a single kernel matrix."""
    leaf = candidate.tree.leaf
    return (
        leaf.kernel in ("norm", "sum_power") and leaf.max_centers is None and rows <= candidate.tree.leaf_size
    )


def refine(
    candidate: Candidate,
    fixed: FixedFeatureMatrix,
    validate: Callable[[Codes], ValidationScore],
    pinned: Mapping[str, Any],
) -> Refined:
    """Search around a candidate's kernel by coordinate steps, accepting each improvement.

    Args:
        candidate: where to begin.
        fixed: training and validation rows under the learned feature matrix.
        validate: returns the validation score of raw predictions.
        pinned: hyperparameters that are not changed.

    A pattern search: Hooke and Jeeves, Journal of the ACM 8 (1961).
    """
    best, validation_score, tries = candidate.tree.leaf, ValidationScore(math.inf, math.nan), 0
    for number in range(ROUNDS):
        share = 0.5**number
        for change in _changes(best, share, pinned):
            config = best if change is None else _changed(best, *change)
            ridges = [best.ridge]
            if change is None and "ridge" not in pinned:
                ridges += [_within("ridge", best.ridge * RIDGE_STEP**power) for power in (-share, share)]
            for tried, value in _tried(fixed, config, ridges, validate):
                tries += 1
                if value.loss < validation_score.loss:
                    best, validation_score = tried, value
    refined = replace(candidate, tree=replace(candidate.tree, leaf=best))
    return Refined(candidate=refined, loss=validation_score.loss, score=validation_score.score, tries=tries)


def _changes(
    config: LeafConfig, share: float, pinned: Mapping[str, Any]
) -> Iterator[tuple[str, float] | None]:
    """Yield None for the ridge alone, then hyperparameters with their steps."""
    yield None
    for sign in (-1, 1):
        if config.kernel == "sum_power":
            steps: dict[str, float] = {"power": sign}
        else:
            steps = {"bandwidth": BANDWIDTH_STEP ** (sign * share), "kernel_q": sign * share * EXPONENT_STEP}
        yield from ((name, step) for name, step in steps.items() if name not in pinned)


def _changed(config: LeafConfig, name: str, step: float) -> LeafConfig:
    """Multiply the bandwidth by the step, or add the step to another hyperparameter, within its limits."""
    before = getattr(config, name)
    value = _within(name, before * step if name == "bandwidth" else before + step)
    return replace(config, **{name: min(value, config.kernel_p) if name == "kernel_q" else value})


def _within(name: str, value: float) -> Any:
    low, high = LIMITS[name]
    return min(max(value, low), high)


def _tried(
    fixed: FixedFeatureMatrix,
    config: LeafConfig,
    ridges: list[float],
    validate: Callable[[Codes], ValidationScore],
) -> Iterator[tuple[LeafConfig, ValidationScore]]:
    """Yield the validation score of each ridge; skip those that cannot be solved."""
    predictions = fixed.predict(config, ridges)
    for ridge in ridges:
        try:
            codes = next(predictions)
        except NumericalError:
            return
        yield replace(config, ridge=ridge), validate(codes.cpu().double().numpy()).rounded()
