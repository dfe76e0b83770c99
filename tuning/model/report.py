"""The fit report: how a model was made, as shown in the report and kept in the model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from xrfm_cli.datasets import Repair
from xrfm_cli.datasets.cells.scale import exponent_of
from xrfm_cli.tuning.rows import (
    BaselineRow,
    Count,
    FallbackRow,
    HeldOutRows,
    HoldoutRow,
    ImportanceRow,
    LeafRow,
    MemberRow,
    NotNegative,
    OofSummaryRow,
    OptionValue,
    PlottedRows,
    RepairRow,
    StoppedBy,
    TrialRow,
    ValidationRow,
)
from xrfm_cli.tuning.scoring.metrics import compute_metric, evaluate_metrics

if TYPE_CHECKING:  # reading a report does not need these
    from xrfm_cli.tuning.problem.baselines import Baseline
    from xrfm_cli.tuning.problem.learning_problem import Problem
    from xrfm_cli.tuning.scoring.thresholds import DecisionThreshold

MAX_PLOTTED_ROWS = 2_000
MOST_EXPONENT = 50  # power of two, for predictions that are kept to ten decimals


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """The trials of a fit, their cost, the result and the repairs."""

    rows: Count  # used for training
    dropped_rows: Count  # without a target
    metric: str
    score: float  # out-of-fold value of the metric
    score_low: float  # smallest and largest value over the folds, or over quarters of the validation rows
    score_high: float
    lower_is_better: bool
    stopped_by: StoppedBy
    validation: ValidationRow
    metrics: dict[str, float]  # every metric of the task on the out-of-fold predictions
    baselines: list[BaselineRow]
    seconds: dict[str, NotNegative]  # by phase
    trials: list[TrialRow]
    ensemble: list[MemberRow]
    leaves: list[LeafRow]
    fallbacks: list[FallbackRow]
    repairs: list[RepairRow]
    notes: list[str]
    oof: PlottedRows  # at most 2,000 rows
    peak_memory_bytes: Count
    options: dict[str, OptionValue]
    # Missing in reports of earlier versions:
    fold_metrics: dict[str, Annotated[list[float], Meta(min_length=1)]] = field(
        default_factory=dict
    )  # each over folds or quarters
    hyperparameter_importances: list[ImportanceRow] = field(default_factory=list)
    oof_summary: OofSummaryRow | None = None  # curves, matrices and quantiles of all validation rows
    test: HoldoutRow | None = None  # metrics on the rows of --holdout
    left_out_rows: Count = 0  # usable rows that the final fits did not use
    search_rows: Count = 0  # rows of the search; 0 in older files and after a refit
    held_out: HeldOutRows | None = None  # the columns on held-out rows: see xrfm_cli.tuning.explain

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return asdict(self)

    def timeless(self) -> FitReport:
        """Return the same report without times and memory."""
        trials, baselines = [trial.copy() for trial in self.trials], [item.copy() for item in self.baselines]
        for trial in trials:
            trial.pop("seconds", None)
            trial.pop("ended_s", None)
        for baseline in baselines:
            baseline.pop("seconds", None)
        return replace(self, seconds={}, trials=trials, baselines=baselines, peak_memory_bytes=0)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> FitReport:
        """Rebuild from the output of :meth:`to_json`."""
        return cls(**facts)


def plotted_oof(problem: Problem, predictions: NDArray[np.float64]) -> PlottedRows:
    """Sample targets and out-of-fold predictions, in row order."""
    rows = problem.plan.validation_rows
    chosen = np.sort(np.random.default_rng([problem.data.seed, 2]).permutation(len(rows))[:MAX_PLOTTED_ROWS])
    predicted = predictions[chosen]
    if problem.data.n_classes == 2:
        predicted = predicted[:, 1]
    exponent = exponent_of(predicted)
    scale = 0 if 0 <= exponent <= MOST_EXPONENT else exponent  # ten significant digits otherwise
    return {
        "row": rows[chosen].tolist(),
        "target": problem.data.y_true[rows[chosen]].tolist(),
        "prediction": np.ldexp(np.round(np.ldexp(predicted, -scale), 10), scale).tolist(),
    }


def score_spread(
    problem: Problem, predictions: NDArray[np.float64], decision: DecisionThreshold
) -> tuple[float, float]:
    """Return the smallest and largest score over the folds, or over quarters of a single fold."""
    scores = [
        compute_metric(problem.scorer.metric, *_of_part(problem, predictions, part), decision)
        for part in _validated_parts(problem)
    ]
    return float(np.min(scores)), float(np.max(scores))


def metrics_by_fold(
    problem: Problem, predictions: NDArray[np.float64], decision: DecisionThreshold
) -> dict[str, list[float]]:
    """Return every metric over the same parts as :func:`score_spread`, where it is defined."""
    out: dict[str, list[float]] = {}
    for part in _validated_parts(problem):
        of_part = _of_part(problem, predictions, part)
        for name, value in evaluate_metrics(
            problem.data.target, *of_part, decision, asked=[problem.scorer.metric.name]
        ).items():
            out.setdefault(name, []).append(value)
    return out


def _validated_parts(problem: Problem) -> list[NDArray[np.int64]]:
    """Return positions of validation rows in each fold, or in quarters of them if there is one fold."""
    sizes = [len(fold.valid) for fold in problem.plan.folds]
    if len(sizes) == 1:
        from xrfm_cli.tuning.problem.dependent_rows import split_dependent  # reading needs none

        count = min(4, max(1, sizes[0] // 20))
        dependent = split_dependent(problem, count) if count > 1 else None
        shuffled = np.random.default_rng([problem.data.seed, 3]).permutation(sizes[0])
        parts = dependent or np.array_split(shuffled, count)
    else:
        parts = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [part for part in parts if len(part)]


def _of_part(
    problem: Problem, predictions: NDArray[np.float64], part: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64] | None]:
    """Return targets, predictions and weights of some validation rows."""
    weights = problem.scorer.valid_weights
    return problem.scorer.y_valid[part], predictions[part], None if weights is None else weights[part]


def repairs_to_json(repairs: tuple[Repair, ...]) -> list[RepairRow]:
    """Return the repaired values, by column and kind; rows left out have no column."""
    return [{"column": r.column, "what": r.what, "count": int(r.count)} for r in repairs]


def baselines_to_json(baselines: tuple[Baseline, ...]) -> list[BaselineRow]:
    """Return the baselines, ready for JSON."""
    return [b.to_json() for b in baselines]
