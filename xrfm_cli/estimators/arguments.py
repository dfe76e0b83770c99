"""Check the types and ranges of the estimators' arguments, and turn them into the options of a fit.

The fit itself checks what depends on the table or on several options, as it does for the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from xrfm_cli.errors import OptionError
from xrfm_cli.options.cores import most_threads
from xrfm_cli.options.devices import find_device
from xrfm_cli.options.durations import parse_duration
from xrfm_cli.tuning.config import ALL_ROWS, FEWEST_DRAWN_ROWS, LEAST_MEMORY_BYTES, MOST_WHOLE, FitConfig

WHOLE_NUMBERS = {  # minimum and maximum of each
    "trials": (0, MOST_WHOLE),
    "folds": (2, MOST_WHOLE),
    "memory": (LEAST_MEMORY_BYTES, MOST_WHOLE),
    "threads": (1, most_threads()),
    "workers": (1, most_threads()),
    "fit_rows": (FEWEST_DRAWN_ROWS, MOST_WHOLE),
    "search_rows": (FEWEST_DRAWN_ROWS, MOST_WHOLE),
}
COLUMNS = ("drop", "categorical", "numeric", "datetime", "id")
TEXTS = ("metric", "offset", "group", "time")


def check_arguments(estimator: BaseEstimator) -> None:
    """Raise an OptionError that names the argument for a wrong type or a value out of range."""
    values = estimator.get_params()
    for name, (least, most) in WHOLE_NUMBERS.items():
        is_all = name == "fit_rows" and values[name] == ALL_ROWS
        if values[name] is not None and not is_all and not _is_whole(values[name], least, most):
            or_all = f", {ALL_ROWS!r}" if name == "fit_rows" else ""
            raise _refusal(name, values[name], f"a whole number from {least} to {most}{or_all}, or None")
    for name in COLUMNS:
        if not _is_list_of_texts(values[name]):
            raise _refusal(name, values[name], "a list of column names")
    for name in TEXTS:
        if not isinstance(values[name], str | None):
            raise _refusal(name, values[name], "a string, or None")
    limit, state, pins = values["time_limit"], values["random_state"], values["set"]
    if isinstance(limit, bool) or not isinstance(limit, str | Real | None):
        raise _refusal("time_limit", limit, "seconds, a string such as '10m', or None")
    if not isinstance(state, np.random.RandomState | None) and not _is_whole(state, 0, MOST_WHOLE):
        wanted = f"a whole number from 0 to {MOST_WHOLE}, a RandomState, or None"
        raise _refusal("random_state", state, wanted)
    if not isinstance(values["early_stop"], bool | np.bool_):
        raise _refusal("early_stop", values["early_stop"], "True or False")
    if pins is not None and not (isinstance(pins, Mapping) and _is_list_of_texts(list(pins))):
        raise _refusal("set", pins, "a dictionary of hyperparameters, or None")
    if not isinstance(values["schema"], str | Path | None):
        raise _refusal("schema", values["schema"], "the path of a file, or None")
    if not isinstance(values["transfer_from"], str | Path | None):
        raise _refusal("transfer_from", values["transfer_from"], "the path of a model file, or None")
    if not isinstance(values["device"], str):
        raise _refusal("device", values["device"], "a string, such as 'cpu'")
    find_device(values["device"])


def check_level(level: Any) -> None:
    """Raise an OptionError if ``level`` is not a number between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < float(level) < 1:
        raise _refusal("level", level, "a number between 0 and 1, such as 0.9")


def fit_config(estimator: Any) -> FitConfig:
    """Return the arguments as the options of a fit; a RandomState draws the seed."""
    seed, limit = estimator.random_state, estimator.time_limit
    if not isinstance(seed, Integral):
        seed = check_random_state(seed).randint(2**31 - 1)
    return FitConfig(
        metric=estimator.metric,
        time_limit_s=parse_duration(limit)
        if isinstance(limit, str)
        else limit
        if limit is None
        else float(limit),
        trials=whole(estimator.trials),
        early_stop=bool(estimator.early_stop),
        preset=estimator.preset,
        pinned=dict(estimator.set or {}),
        folds=whole(estimator.folds),
        seed=int(seed),
        device=find_device(estimator.device),
        threads=whole(estimator.threads),
        workers=whole(estimator.workers),
        memory_bytes=whole(estimator.memory),
        fit_rows=ALL_ROWS if estimator.fit_rows == ALL_ROWS else whole(estimator.fit_rows),
        search_rows=whole(estimator.search_rows),
    )


def whole(value: Any) -> int | None:
    """Convert an integer of any type to Python's int, which a model file can hold.

    >>> whole(np.int64(3)), whole(None)
    (3, None)
    """
    return None if value is None else int(value)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most


def _is_list_of_texts(value: Any) -> bool:
    is_list = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
    return is_list and all(isinstance(item, str) for item in value)


def _refusal(name: str, value: Any, wanted: str) -> OptionError:
    return OptionError(f"{name}={value!r}: must be {wanted}")
