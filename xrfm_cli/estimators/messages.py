"""Errors of the library, spelled for Python: each is a ValueError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from xrfm_cli.errors import SchemaError, XRFMError
from xrfm_cli.estimators.arguments import COLUMNS
from xrfm_cli.mentions import spell

ARGUMENTS = {"interval": "level", "seed": "random_state"}  # parameters whose argument has another name
INSTEAD = {
    "proba": "predict_proba",
    "date_order": "pandas.to_datetime",
}  # parameters for which the estimators have no argument
ESTIMATORS = {"regression": "XRFMRegressor", "binary": "XRFMClassifier", "multiclass": "XRFMClassifier"}


def as_argument(name: str, value: Any = None) -> str:
    """Spell a parameter as an argument of the estimators.

    >>> as_argument("time_limit", 0), as_argument("drop", "town"), as_argument("interval")
    ('time_limit=0', "drop=['town']", 'level')
    >>> as_argument("set", {"ridge": 0.01}), as_argument("set", {"leaf_size": "N"})
    ("set={'ridge': 0.01}", "set={'leaf_size': N}")
    """
    if name == "task":
        return ESTIMATORS[value]
    argument = INSTEAD.get(name) or ARGUMENTS.get(name, name)
    if value is None or name in INSTEAD:
        return argument
    if isinstance(value, dict):  # a value in capitals stands for one that the user chooses
        items = (f"{key!r}: {item if str(item).isupper() else repr(item)}" for key, item in value.items())
        return f"{argument}={{{', '.join(items)}}}"
    return f"{argument}={[value] if name in COLUMNS else value!r}"


@contextmanager
def errors_in_python() -> Iterator[None]:
    """Spell parameters in errors as arguments, and turn Arrow's errors into input errors."""
    try:
        yield
    except XRFMError as fault:
        raise type(fault)(spell(fault.message, as_argument)) from fault
    except pa.ArrowException as fault:
        fact = str(fault).splitlines()[0]
        raise SchemaError(f"a column has a type that cannot be read ({fact}); convert or drop it") from fault
