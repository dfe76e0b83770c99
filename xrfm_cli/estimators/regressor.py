"""The regressor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import assert_all_finite

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.errors import InputError, OptionError, TargetError
from xrfm_cli.estimators.arguments import check_level
from xrfm_cli.estimators.base import BaseXRFM
from xrfm_cli.estimators.frames import ColumnLike, TableLike, checked_target
from xrfm_cli.estimators.parameters import documented


@documented
class XRFMRegressor(RegressorMixin, BaseXRFM):
    """Predict a number from the columns of a table.

    A splitting tree of Recursive Feature Machines (arXiv 2508.10053), tuned with Optuna. ``fit`` gives
    the same model as ``xrfm fit`` with the same table, options and seed. Tables may be arrays, or data
    frames from pandas, polars, pyarrow or any library that supports Arrow, with text, categories, dates
    and missing values.

    {parameters}

    Attributes
    ----------
    {results}

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(60, 3, random_state=0)
    >>> XRFMRegressor(trials=0).fit(X, y).predict(X[:5]).shape
    (5,)
    """

    def predict(self, X: TableLike) -> NDArray[np.float64]:  # noqa: N803
        """Return the expected value of each row, (n,)."""
        return np.concatenate([np.asarray(part.values) for part in self._predictions(X)])

    def predict_interval(self, X: TableLike, level: float = 0.9) -> NDArray[np.float64]:  # noqa: N803
        """Return bounds (n, 2) that contain y with probability ``level``, wider where errors are larger."""
        check_level(level)
        parts = self._predictions(X, interval=float(level))
        bounds = [(part.lower, part.upper) for part in parts]
        return np.concatenate([np.column_stack([np.asarray(low), np.asarray(up)]) for low, up in bounds])

    def _target_schema(self, name: str, y: NDArray[Any], counted: NDArray[Any]) -> TargetSchema:
        if self.positive is not None:
            raise OptionError(f"positive={self.positive!r}: a regression has no positive class; leave it out")
        return TargetSchema(name=name, task="regression", reason="a regressor was asked for")

    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        found = checked_target(self, y, rows)
        try:
            found = found.astype(np.float64)
        except (TypeError, ValueError) as fault:
            raise TargetError(
                f"y holds {type(found[0]).__name__}: {fault}; a regressor needs numbers"
            ) from fault
        assert_all_finite(found, input_name="y")
        return found

    def _adopt(self, target: TargetSchema, path: str | Path) -> None:
        if target.task != "regression":
            raise InputError(f"{path}: predicts classes; load it with XRFMClassifier")
