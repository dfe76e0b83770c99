"""Metrics by name: inputs, direction and computation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.errors import OptionError
from xrfm_cli.mentions import option
from xrfm_cli.tuning.scoring.metric_names import (
    METRIC_TASKS,
    Task,
    check_metric_name,
    pinball_name,
    quantile_level,
)
from xrfm_cli.tuning.scoring.ranking import area_under_roc, average_precision
from xrfm_cli.tuning.scoring.thresholds import (
    MOST_PROBABLE,
    DecisionThreshold,
    choose_decision,
    confusion_matrix,
)
from xrfm_cli.tuning.scoring.value_metrics import (
    gamma,
    mae,
    mape,
    pinball,
    poisson,
    r2,
    rmse,
)

Array = NDArray[np.float64]
SMALLEST_PROBABILITY = 1e-15
DECISIVE_DIGITS = 7  # of a metric when decision thresholds are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric over validation rows.

    ``compute(y_true, prediction, weights)`` takes values ``(n,)`` for regression, class codes ``(n,)`` and
    probabilities ``(n, classes)`` for classes. A metric that needs labels is a function of confusion
    matrices instead: ``compute(confusion)`` of ``(..., classes, classes)`` has shape ``(...)``.
    """

    name: str
    tasks: tuple[Task, ...]
    lower_is_better: bool
    needs: Literal["values", "probabilities", "labels"]
    compute: Callable[..., Any]

    @property
    def level(self) -> float | None:
        """Return the level of the quantile that minimises the metric; None if no quantile does."""
        return quantile_level(self.name)

    @property
    def is_decided(self) -> bool:
        """Return whether predicting another class than the most probable one can improve the metric."""
        return self.needs == "labels" and self.name != "accuracy"

    @property
    def is_ranking(self) -> bool:
        """Return whether the metric depends only on the order of the rows by each class's probability."""
        return self.name in ("auc", "average_precision")

    def loss(self, value: float) -> float:
        """Return the value oriented so that less is better."""
        return value if self.lower_is_better else 1.0 - value

    def value_of(self, loss: float) -> float:
        """Return the metric's value for a loss."""
        return loss if self.lower_is_better else 1.0 - loss


def default_metric(task: str) -> str:
    """Return the metric that is optimised if the user names none.

    >>> default_metric("binary")
    'auc'
    """
    return {"regression": "rmse", "binary": "auc", "multiclass": "log_loss"}[task]


def find_metric(name: str | None, task: str) -> Metric:
    """Return a metric by name, checked against the task; without a name, the task's default."""
    chosen = default_metric(task) if name is None else name
    check_metric_name(chosen)
    metric = metric_named(chosen)
    if task not in metric.tasks:
        fitting = ", ".join(m.name for m in METRICS.values() if task in m.tasks)
        raise OptionError(
            f"{option('metric', chosen)}: is not defined for a {task} target. Choose one of {fitting}."
        )
    return metric


def metric_named(name: str) -> Metric:
    """Return a metric by name; KeyError if there is none.

    >>> metric_named("pinball@.9").name
    'pinball@0.9'
    """
    level = quantile_level(name)
    if level is None:
        return METRICS[name]
    return Metric(
        name=pinball_name(level),
        tasks=("regression",),
        lower_is_better=True,
        needs="values",
        compute=partial(pinball, level=level),
    )


def compute_metric(
    metric: Metric,
    y_true: NDArray[np.generic],
    prediction: Array,
    weights: Array | None = None,
    decision: DecisionThreshold = MOST_PROBABLE,
) -> float:
    """Compute one metric of values ``(n,)`` or probabilities ``(n, classes)``, by labels if it needs them."""
    if metric.needs == "labels":
        true_codes, classes = y_true.astype(np.int64), prediction.shape[1]
        confusion = confusion_matrix(true_codes, decision.codes(prediction), weights, classes)
        return float(metric.compute(confusion))
    return float(metric.compute(y_true, prediction, weights))


def decide_by(
    metric: Metric, y_true: NDArray[np.generic], prediction: Array, weights: Array | None = None
) -> DecisionThreshold:
    """Choose the decision threshold or class weights for probabilities ``(n, classes)`` and targets."""
    if not metric.is_decided:
        return MOST_PROBABLE

    def loss(confusions: Array) -> Array:
        return -metric.compute(confusions).round(DECISIVE_DIGITS)

    return choose_decision(loss, y_true.astype(np.int64), prediction, weights)


def evaluate_metrics(
    target: TargetSchema,
    y_true: NDArray[np.generic],
    prediction: Array,
    weights: Array | None = None,
    decision: DecisionThreshold = MOST_PROBABLE,
    *,
    asked: Iterable[str] = (),
) -> dict[str, float]:
    """Compute every metric that is defined for the task and these rows, by name.

    The gamma deviance and those with a parameter are computed if ``asked`` names them.
    """
    out: dict[str, float] = {}
    known, asked = dict(METRICS), tuple(asked)
    for name in asked:
        metric = metric_named(name)
        known.setdefault(metric.name, metric)
    for metric in known.values():
        if target.task not in metric.tasks:
            continue
        if metric.name == "poisson_deviance" and np.min(y_true) < 0:
            continue
        if metric.name == "gamma_deviance" and (np.min(y_true) <= 0 or metric.name not in asked):
            continue
        if metric.name == "mape" and np.any(y_true == 0):
            continue  # an error relative to 0 has no meaning
        if metric.is_ranking and len(np.unique(y_true)) < 2:
            continue
        out[metric.name] = compute_metric(metric, y_true, prediction, weights, decision)
    return out


def _log_loss(y: NDArray[np.int64], p: Array, w: Array | None) -> float:
    chosen = np.clip(p[np.arange(len(y)), y], SMALLEST_PROBABILITY, 1.0)
    return float(np.average(-np.log(chosen), weights=w))


def _brier(y: NDArray[np.int64], p: Array, w: Array | None) -> float:
    wrong = p.copy()
    wrong[np.arange(len(y)), y] -= 1.0
    squares = (wrong**2).sum(1)
    # For two classes, the usual Brier score counts only the positive class: half of the sum.
    return float(np.average(squares / 2 if p.shape[1] == 2 else squares, weights=w))


def _ranking(score: Callable[[NDArray[np.bool_], Array, Array | None], float]) -> Callable[..., float]:
    """Return a binary ranking metric; for several classes, its mean over one-vs-rest."""

    def compute(y: NDArray[np.int64], p: Array, w: Array | None) -> float:
        if w is not None:
            y, p, w = y[w != 0], p[w != 0], w[w != 0]
        classes = (1,) if p.shape[1] == 2 else range(p.shape[1])
        present = [k for k in classes if 0 < (y == k).sum() < len(y)]
        return float(np.mean([score(y == k, p[:, k], w) for k in present])) if present else 0.5

    return compute


def _accuracy(confusion: Array) -> Array:
    return _share(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum((-2, -1)))


def _balanced_accuracy(confusion: Array) -> Array:
    """Return the mean recall over the classes present."""
    rows = confusion.sum(-1)
    found = _share(np.diagonal(confusion, axis1=-2, axis2=-1), rows)
    return _share(found.sum(-1), (rows > 0).sum(-1))


def _f1(confusion: Array) -> Array:
    """Return F1 of the second of two classes, or the mean over several classes present or predicted."""
    seen = confusion.sum(-1) + confusion.sum(-2)
    each = _share(2 * np.diagonal(confusion, axis1=-2, axis2=-1), seen)
    return each[..., 1] if confusion.shape[-1] == 2 else _share(each.sum(-1), (seen > 0).sum(-1))


def _share(part: Array, whole: NDArray[np.floating] | NDArray[np.integer]) -> Array:
    """Return part / whole, or 0 if the whole is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


def _define(name: str, lower: bool, needs: str, compute: Callable[..., Any]) -> tuple[str, Metric]:
    tasks = METRIC_TASKS[name]
    metric = Metric(name=name, tasks=tasks, lower_is_better=lower, needs=needs, compute=compute)  # type: ignore[arg-type]
    return name, metric


METRICS: dict[str, Metric] = dict(
    [
        _define("rmse", True, "values", rmse),
        _define("mae", True, "values", mae),
        _define("r2", False, "values", r2),
        _define("mape", True, "values", mape),
        _define("poisson_deviance", True, "values", poisson),
        _define("gamma_deviance", True, "values", gamma),
        _define("log_loss", True, "probabilities", _log_loss),
        _define("auc", False, "probabilities", _ranking(area_under_roc)),
        _define("average_precision", False, "probabilities", _ranking(average_precision)),
        _define("accuracy", False, "labels", _accuracy),
        _define("balanced_accuracy", False, "labels", _balanced_accuracy),
        _define("f1", False, "labels", _f1),
        _define("brier", True, "probabilities", _brier),
    ]
)
