"""AutoML for tables with Recursive Feature Machines: fit, predict and explain.

The command is ``xrfm``. Python has two scikit-learn estimators that fit the same models:

>>> from xrfm_cli import XRFMClassifier, XRFMRegressor
>>> XRFMRegressor(trials=0).get_params()["trials"]
0

The estimators are imported on first use, so that ``import xrfm_cli`` is fast. All errors that this package
raises on purpose are `XRFMError`; its subclasses distinguish wrong input from failed computations.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from xrfm_cli.errors import (
    EmptyFileError,
    FileReadError,
    InputError,
    ModelFileError,
    NumericalError,
    OptionError,
    SchemaError,
    TargetError,
    XRFMError,
)
from xrfm_cli.lazy import on_first_use

if TYPE_CHECKING:
    from xrfm_cli.estimators import XRFMClassifier, XRFMRegressor

    __version__: str

__all__ = [
    "EmptyFileError",
    "FileReadError",
    "InputError",
    "ModelFileError",
    "NumericalError",
    "OptionError",
    "SchemaError",
    "TargetError",
    "XRFMClassifier",
    "XRFMError",
    "XRFMRegressor",
    "__version__",
]


_find = on_first_use(__name__, {"XRFMClassifier": "estimators", "XRFMRegressor": "estimators"})


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module("importlib.metadata").version("xrfm-cli")
    return _find(name)
