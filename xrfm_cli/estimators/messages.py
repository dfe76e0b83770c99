"""Errors of the command, reworded for Python: each is a ValueError."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
from sklearn.base import BaseEstimator

from xrfm_cli.errors import InputError, SchemaError

IN_PYTHON = {
    "give --date-order dmy, mdy or ymd, write dates as yyyy-mm-dd,": "convert it with pandas.to_datetime,",
    "give --task regression": "use XRFMRegressor",
    "use --task multiclass": "use XRFMClassifier",
    "ask for --proba": "call predict_proba",
}
NUMBER = r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?"
PINNED = re.compile(r"--set (\w+)=([\w.+-]*\w)")
RENAMED = {"interval": "level", "seed": "random_state"}  # options whose argument has another name


def in_python(message: str, arguments: Iterable[str]) -> str:
    """Rewrite a message of the command for Python: arguments instead of options.

    >>> in_python("--time-limit 0: must be above 0", ["time_limit"])
    'time_limit 0: must be above 0'
    >>> in_python("Raise the ridge: --set ridge=0.01.", ["set"])
    "Raise the ridge: set={'ridge': 0.01}."
    """
    message = PINNED.sub(_pinned, message)
    for words, spelled in IN_PYTHON.items():
        message = message.replace(words, spelled)
    for option, name in ({name.replace("_", "-"): name for name in arguments} | RENAMED).items():
        message = re.sub(rf"(?<!xrfm fit )--{option}\b(?!-)", name, message)
    return message


def _pinned(match: re.Match[str]) -> str:
    name, value = match.groups()
    return f"set={{'{name}': {value if re.fullmatch(NUMBER, value) else repr(value)}}}"


@contextmanager
def errors_in_python(estimator: BaseEstimator) -> Iterator[None]:
    """Reword input errors with arguments instead of options, and turn Arrow's errors into input errors."""
    try:
        yield
    except InputError as fault:
        raise type(fault)(in_python(str(fault), estimator.get_params())) from fault
    except pa.ArrowException as fault:
        fact = str(fault).splitlines()[0]
        raise SchemaError(f"a column has a type that cannot be read ({fact}); convert or drop it") from fault
