"""Metrics by name: what each needs, which way is better, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.datasets.errors import OptionError, did_you_mean

Array = NDArray[np.float64]
Task = Literal["regression", "binary", "multiclass"]
SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure of merit over held-out rows.

    ``compute(truth, prediction, weights)`` takes values ``(n,)`` for regression; class codes ``(n,)`` and
    either probabilities ``(n, classes)`` or predicted codes ``(n,)`` for classes, as ``needs`` says. With
    codes it takes the number of classes as well, since some rows may show only a few of them.
    """

    name: str
    tasks: tuple[Task, ...]
    lower_is_better: bool
    needs: Literal["values", "probabilities", "labels"]
    compute: Callable[..., float]

    def loss(self, value: float) -> float:
        """The same figure, oriented so that less is better."""
        return value if self.lower_is_better else 1.0 - value

    def value_of(self, loss: float) -> float:
        """The figure that has this loss."""
        return loss if self.lower_is_better else 1.0 - loss


def default_metric(task: str) -> str:
    """The metric that is optimised when the user names none.

    >>> default_metric("binary")
    'auc'
    """
    return {"regression": "rmse", "binary": "auc", "multiclass": "log_loss"}[task]


def find_metric(name: str | None, task: str) -> Metric:
    """A metric by name, checked against the task; the task's default without a name."""
    chosen = default_metric(task) if name is None else name
    if chosen not in METRICS:
        raise OptionError(
            f"--metric {chosen}: no such metric.{did_you_mean(chosen, METRICS)} Known: {', '.join(METRICS)}."
        )
    metric = METRICS[chosen]
    if task not in metric.tasks:
        fitting = ", ".join(m.name for m in METRICS.values() if task in m.tasks)
        raise OptionError(f"--metric {chosen}: is not defined for a {task} target. Choose one of {fitting}.")
    return metric


def compute_metric(
    metric: Metric,
    truth: NDArray[np.generic],
    prediction: Array,
    weights: Array | None = None,
    threshold: float | None = None,
) -> float:
    """One metric of values ``(n,)`` or probabilities ``(n, classes)``, or of labels where it needs them."""
    if metric.needs == "labels":
        codes = predicted_codes(prediction, threshold)
        return metric.compute(truth, codes, weights, prediction.shape[1])
    return metric.compute(truth, prediction, weights)


def evaluate_metrics(
    target: TargetSchema,
    truth: NDArray[np.generic],
    prediction: Array,
    weights: Array | None = None,
    threshold: float | None = None,
) -> dict[str, float]:
    """Every metric that is defined for the task and these rows, by name."""
    out: dict[str, float] = {}
    for metric in METRICS.values():
        if target.task not in metric.tasks:
            continue
        if metric.name == "poisson_deviance" and np.min(truth) < 0:
            continue
        if metric.name in ("auc", "average_precision") and len(np.unique(truth)) < 2:
            continue
        out[metric.name] = compute_metric(metric, truth, prediction, weights, threshold)
    return out


def predicted_codes(probabilities: Array, threshold: float | None = None) -> NDArray[np.int64]:
    """The most probable class of each row, or for two classes the last one above a tuned threshold.

    >>> predicted_codes(np.array([[0.6, 0.4]])), predicted_codes(np.array([[0.6, 0.4]]), 0.3)
    (array([0]), array([1]))
    """
    if threshold is None or probabilities.shape[1] != 2:
        return probabilities.argmax(1)
    return (probabilities[:, 1] >= threshold).astype(np.int64)


def _rmse(y: Array, p: Array, w: Array | None) -> float:
    return float(np.sqrt(np.average((y - p) ** 2, weights=w)))


def _mae(y: Array, p: Array, w: Array | None) -> float:
    return float(np.average(np.abs(y - p), weights=w))


def _r2(y: Array, p: Array, w: Array | None) -> float:
    variance = float(np.average((y - np.average(y, weights=w)) ** 2, weights=w))
    error = float(np.average((y - p) ** 2, weights=w))
    if variance == 0:
        return 1.0 if error == 0 else 0.0
    return 1.0 - error / variance


def _mape(y: Array, p: Array, w: Array | None) -> float:
    return float(_sklearn_metric("mean_absolute_percentage_error")(y, p, sample_weight=w))


def _poisson(y: Array, p: Array, w: Array | None) -> float:
    # A mean of zero or less has no Poisson likelihood: such predictions count as a tiny mean.
    floor = 1e-6 * max(float(np.mean(y)), 1e-12)
    return float(_sklearn_metric("mean_poisson_deviance")(y, np.maximum(p, floor), sample_weight=w))


def _log_loss(y: NDArray[np.int64], p: Array, w: Array | None) -> float:
    chosen = np.clip(p[np.arange(len(y)), y], SMALLEST_PROBABILITY, 1.0)
    return float(np.average(-np.log(chosen), weights=w))


def _brier(y: NDArray[np.int64], p: Array, w: Array | None) -> float:
    wrong = p.copy()
    wrong[np.arange(len(y)), y] -= 1.0
    squares = (wrong**2).sum(1)
    # Of two classes, the usual Brier score looks at the positive one alone: half of the sum.
    return float(np.average(squares / 2 if p.shape[1] == 2 else squares, weights=w))


def _sklearn_metric(name: str) -> Callable[..., float]:
    """A metric of scikit-learn, imported when it is computed: prediction needs none."""
    metric: Callable[..., float] = getattr(import_module("sklearn.metrics"), name)
    return metric


def _ranking(name: str) -> Callable[[NDArray[np.int64], Array, Array | None], float]:
    """A binary ranking metric; for several classes, the mean over classes against the rest."""

    def compute(y: NDArray[np.int64], p: Array, w: Array | None) -> float:
        score = _sklearn_metric(name)
        if p.shape[1] == 2:
            return float(score(y == 1, p[:, 1], sample_weight=w)) if 0 < (y == 1).sum() < len(y) else 0.5
        present = [k for k in range(p.shape[1]) if 0 < (y == k).sum() < len(y)]
        return float(np.mean([score(y == k, p[:, k], sample_weight=w) for k in present])) if present else 0.5

    return compute


def _accuracy(y: NDArray[np.int64], p: NDArray[np.int64], w: Array | None, c: int) -> float:
    return float(np.average(y == p, weights=w))


def _balanced_accuracy(y: NDArray[np.int64], p: NDArray[np.int64], w: Array | None, c: int) -> float:
    hits = [np.average(p[y == k] == k, weights=None if w is None else w[y == k]) for k in np.unique(y)]
    return float(np.mean(hits))


def _f1(y: NDArray[np.int64], p: NDArray[np.int64], w: Array | None, c: int) -> float:
    average = "binary" if c == 2 else "macro"
    score = _sklearn_metric("f1_score")
    return float(score(y, p, average=average, sample_weight=w, zero_division=0.0))


def _define(
    name: str, tasks: tuple[Task, ...], lower: bool, needs: str, compute: Callable[..., float]
) -> tuple[str, Metric]:
    metric = Metric(name=name, tasks=tasks, lower_is_better=lower, needs=needs, compute=compute)  # type: ignore[arg-type]
    return name, metric


_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
METRICS: dict[str, Metric] = dict(
    [
        _define("rmse", ("regression",), True, "values", _rmse),
        _define("mae", ("regression",), True, "values", _mae),
        _define("r2", ("regression",), False, "values", _r2),
        _define("mape", ("regression",), True, "values", _mape),
        _define("poisson_deviance", ("regression",), True, "values", _poisson),
        _define("log_loss", _CLASSES, True, "probabilities", _log_loss),
        _define("auc", _CLASSES, False, "probabilities", _ranking("roc_auc_score")),
        _define("average_precision", _CLASSES, False, "probabilities", _ranking("average_precision_score")),
        _define("accuracy", _CLASSES, False, "labels", _accuracy),
        _define("balanced_accuracy", _CLASSES, False, "labels", _balanced_accuracy),
        _define("f1", _CLASSES, False, "labels", _f1),
        _define("brier", _CLASSES, True, "probabilities", _brier),
    ]
)
