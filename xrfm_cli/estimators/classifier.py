"""The classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from xrfm_cli.datasets import TargetSchema
from xrfm_cli.errors import InputError, OptionError, TargetError
from xrfm_cli.estimators.base import BaseXRFM
from xrfm_cli.estimators.columns import array_column
from xrfm_cli.estimators.frames import ColumnLike, TableLike, checked_target, plain_labels
from xrfm_cli.estimators.parameters import documented


@documented
class XRFMClassifier(ClassifierMixin, BaseXRFM):
    """Predict a class from the columns of a table.

    A splitting tree of Recursive Feature Machines (arXiv 2508.10053), tuned with Optuna. ``fit`` gives
    the same model as ``xrfm fit`` with the same table, options and seed. Tables may be arrays, or data
    frames from pandas, polars, pyarrow or any library that supports Arrow, with text, categories, dates
    and missing values.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    {results}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> XRFMClassifier(trials=0).fit(X, y).classes_
    array([0, 1, 2])
    """

    classes_: NDArray[Any]

    def predict(self, X: TableLike) -> NDArray[Any]:  # noqa: N803
        """Return the class of each row, (n,): the most probable one unless a threshold was tuned."""
        places = np.argsort(self._order())  # positions of the model's classes in ``classes_``
        return self.classes_[places[self.model_.labels(self._probabilities(X))]]

    def predict_proba(self, X: TableLike) -> NDArray[np.float64]:  # noqa: N803
        """Return class probabilities (n, classes) in the order of ``classes_``."""
        return self._probabilities(X)[:, self._order()]

    def _order(self) -> NDArray[np.intp]:
        """Return the order that sorts the model's classes, as scikit-learn's scorers expect."""
        check_is_fitted(self)
        return np.argsort(np.array(self.model_.target.classes))

    def _probabilities(self, X: TableLike) -> NDArray[np.float64]:  # noqa: N803
        """Return probabilities (n, classes) in the model's class order, with the positive class last."""
        return np.concatenate([np.asarray(part.probabilities) for part in self._predictions(X)])

    def _target_schema(self, name: str, y: NDArray[Any], counted: NDArray[Any]) -> TargetSchema:
        if len(np.unique(counted)) < 2:
            raise TargetError(f"the target has only one class, {y[0]!r}; a classifier needs two")
        self.classes_ = np.unique(y)
        classes = array_column(name, self.classes_).to_pylist()  # Python values, which a file can hold
        if self.positive is not None:
            if len(classes) != 2 or self.positive not in classes:
                raise OptionError(
                    f"positive={self.positive!r}: must be one of two classes, but the classes are {classes}"
                )
            classes = [label for label in classes if label != self.positive] + [self.positive]
        is_binary = len(classes) == 2
        return TargetSchema(
            name=name,
            task="binary" if is_binary else "multiclass",
            reason="a classifier was asked for",
            classes=tuple(classes),
            positive=classes[-1] if is_binary else None,
        )

    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        found = plain_labels(checked_target(self, y, rows))
        check_classification_targets(found)
        return found

    def _adopt(self, target: TargetSchema, path: str | Path) -> None:
        if target.task == "regression":
            raise InputError(f"{path}: predicts a number; load it with XRFMRegressor")
        self.classes_ = np.unique(np.array(target.classes))
