"""The record of a fit: everything the report and the model file tell about how a model came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import Repair
from xrfm_cli.datasets.cells.scale import exponent_of
from xrfm_cli.tuning.scoring.metrics import compute_metric, evaluate_metrics

if TYPE_CHECKING:  # a report is read without what made it
    from xrfm_cli.tuning.problem.baselines import Baseline
    from xrfm_cli.tuning.problem.learning_problem import Problem
    from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold

MAX_PLOTTED_ROWS = 2_000
MOST_EXPONENT = 50  # of two, for predictions that are kept to ten decimals
TIMES = ("seconds", "ended_s")  # what the clock said of a trial


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What was tried, what it cost, what won and what had to be mended."""

    rows: int  # used for training
    dropped_rows: int  # without a target
    metric: str
    score: float  # out-of-fold value of the metric
    score_low: float  # least and largest value over the folds, or over quarters of the judged rows
    score_high: float
    lower_is_better: bool
    stopped_by: str  # time, trials, interrupt
    validation: dict[str, Any]  # scheme, folds, judged rows and why
    metrics: dict[str, float]  # every metric of the task on the out-of-fold predictions
    baselines: list[dict[str, Any]]
    seconds: dict[str, float]  # by stage
    trials: list[dict[str, Any]]
    ensemble: list[dict[str, Any]]
    leaves: list[dict[str, Any]]
    fallbacks: list[dict[str, Any]]
    repairs: list[dict[str, Any]]
    notes: list[str]
    oof: dict[str, Any]  # at most 2,000 rows for plots
    peak_memory_bytes: int
    options: dict[str, Any]
    # What reports of earlier versions lack:
    fold_metrics: dict[str, list[float]] = field(default_factory=dict)  # each over folds or quarters
    hyperparameter_importances: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """JSON facts."""
        return asdict(self)

    def timeless(self) -> FitReport:
        """The same record without what the clock and the memory said."""
        trials = [
            {name: value for name, value in trial.items() if name not in TIMES} for trial in self.trials
        ]
        return replace(self, seconds={}, trials=trials, peak_memory_bytes=0)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> FitReport:
        """Build again what :meth:`to_json` described."""
        return cls(**facts)


def plotted_oof(problem: Problem, predictions: NDArray[np.float64]) -> dict[str, Any]:
    """A sample of targets and out-of-fold predictions, drawn once and in the order of the rows."""
    rows = problem.plan.validation_rows
    chosen = np.sort(np.random.default_rng([problem.seed, 2]).permutation(len(rows))[:MAX_PLOTTED_ROWS])
    predicted = predictions[chosen]
    if problem.n_classes == 2:
        predicted = predicted[:, 1]
    exponent = exponent_of(predicted)
    scale = 0 if 0 <= exponent <= MOST_EXPONENT else exponent  # ten digits of others
    return {
        "row": rows[chosen].tolist(),
        "target": problem.y_true[rows[chosen]].tolist(),
        "prediction": np.ldexp(np.round(np.ldexp(predicted, -scale), 10), scale).tolist(),
    }


def score_spread(
    problem: Problem, predictions: NDArray[np.float64], decision: DecisionThreshold
) -> tuple[float, float]:
    """The least and the largest score over the folds; over quarters of the rows if there is one fold."""
    scores = [
        compute_metric(problem.metric, *_of_part(problem, predictions, part), decision)
        for part in _validated_parts(problem)
    ]
    return float(np.min(scores)), float(np.max(scores))


def metrics_by_fold(
    problem: Problem, predictions: NDArray[np.float64], decision: DecisionThreshold
) -> dict[str, list[float]]:
    """Every metric over the same parts as :func:`score_spread`, where it is defined."""
    out: dict[str, list[float]] = {}
    for part in _validated_parts(problem):
        of_part = _of_part(problem, predictions, part)
        for name, value in evaluate_metrics(problem.target, *of_part, decision).items():
            out.setdefault(name, []).append(value)
    return out


def _validated_parts(problem: Problem) -> list[NDArray[np.int64]]:
    """Places among the judged rows of each fold, or of quarters of them if there is one fold."""
    sizes = [len(fold.valid) for fold in problem.plan.folds]
    if len(sizes) == 1:
        order = np.random.default_rng([problem.seed, 3]).permutation(sizes[0])
        parts = np.array_split(order, min(4, max(1, sizes[0] // 20)))
    else:
        parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [part for part in parts if len(part)]


def _of_part(
    problem: Problem, predictions: NDArray[np.float64], part: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64] | None]:
    """Targets, predictions and weights of some judged rows."""
    weights = problem.valid_weights
    return problem.y_valid[part], predictions[part], None if weights is None else weights[part]


def repairs_to_json(repairs: tuple[Repair, ...]) -> list[dict[str, Any]]:
    """Values mended, by column and kind; rows left out have no column."""
    return [{"column": r.column, "what": r.what, "count": int(r.count)} for r in repairs]


def baselines_to_json(baselines: tuple[Baseline, ...]) -> list[dict[str, Any]]:
    """JSON facts of the baselines."""
    return [b.to_json() for b in baselines]
