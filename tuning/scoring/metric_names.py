"""The metrics by name, with the tasks that they are defined for; known without a numerical library."""

from __future__ import annotations

from contextlib import suppress
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
    "gamma_deviance": _NUMBERS,
    "log_loss": _CLASSES,
    "auc": _CLASSES,
    "average_precision": _CLASSES,
    "accuracy": _CLASSES,
    "balanced_accuracy": _CLASSES,
    "f1": _CLASSES,
    "brier": _CLASSES,
}
PINBALL = "pinball"  # followed by the level of a quantile, as in pinball@0.9
EXAMPLE = f"{PINBALL}@0.9"


def pinball_name(level: float) -> str:
    """Return the name of the pinball loss of a quantile.

    >>> pinball_name(0.9)
    'pinball@0.9'
    """
    return f"{PINBALL}@{level!r}"


def quantile_level(name: str) -> float | None:
    """Return the level of the quantile that a metric measures; None if it measures none.

    >>> quantile_level("pinball@.9"), quantile_level("mae"), quantile_level("pinball@1")
    (0.9, None, None)
    """
    head, _, tail = name.partition("@")
    with suppress(ValueError):
        level = float(tail)
        if head == PINBALL and 0 < level < 1:
            return level
    return None


def constant_name(metric: str, *, has_classes: bool) -> str:
    """Return the name of the baseline that predicts one value.

    >>> constant_name("rmse", has_classes=False), constant_name("pinball@0.9", has_classes=False)
    ('mean', 'quantile')
    """
    if has_classes:
        return "majority"
    return "mean" if quantile_level(metric) is None else "quantile"


def check_metric_name(name: str | None) -> None:
    """Raise OptionError if there is no such metric; None is the default of the task.

    >>> check_metric_name("rmsse")
    Traceback (most recent call last):
    xrfm_cli.errors.OptionError: --metric rmsse: no such metric. Did you mean 'rmse'? Known: rmse, mae, ...
    """
    if name is None or name in METRIC_TASKS or quantile_level(name) is not None:
        return
    head, _, tail = name.partition("@")
    if head == PINBALL:
        raise OptionError(
            f"{option('metric', name)}: needs a level strictly between 0 and 1 after {PINBALL}@, such as "
            f"{EXAMPLE}."
        )
    like = f"{PINBALL}@{tail}"
    hint = did_you_mean(name, (*METRIC_TASKS, EXAMPLE if quantile_level(like) is None else like))
    raise OptionError(
        f"{option('metric', name)}: no such metric.{hint} Known: {', '.join(METRIC_TASKS)}, {EXAMPLE}."
    )
