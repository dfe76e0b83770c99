"""The metrics by name, with the tasks that they are defined for; known without a numerical library."""

from __future__ import annotations

from typing import Literal

from xrfm_cli.errors import OptionError, did_you_mean
from xrfm_cli.mentions import option

Task = Literal["regression", "binary", "multiclass"]
_NUMBERS: tuple[Task, ...] = ("regression",)
_CLASSES: tuple[Task, ...] = ("binary", "multiclass")
METRIC_TASKS: dict[str, tuple[Task, ...]] = {
    "rmse": _NUMBERS,
    "mae": _NUMBERS,
    "r2": _NUMBERS,
    "mape": _NUMBERS,
    "poisson_deviance": _NUMBERS,
    "log_loss": _CLASSES,
    "auc": _CLASSES,
    "average_precision": _CLASSES,
    "accuracy": _CLASSES,
    "balanced_accuracy": _CLASSES,
    "f1": _CLASSES,
    "brier": _CLASSES,
}


def check_metric_name(name: str | None) -> None:
    """Raise OptionError if there is no such metric; None is the default of the task.

    >>> check_metric_name("rmsse")
    Traceback (most recent call last):
    xrfm_cli.errors.OptionError: --metric rmsse: no such metric. Did you mean 'rmse'? Known: rmse, mae, ...
    """
    if name is not None and name not in METRIC_TASKS:
        hint = did_you_mean(name, METRIC_TASKS)
        raise OptionError(
            f"{option('metric', name)}: no such metric.{hint} Known: {', '.join(METRIC_TASKS)}."
        )
