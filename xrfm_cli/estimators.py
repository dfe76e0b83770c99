"""The same path from table to model, as two scikit-learn estimators.

Arguments are the command's options with underscores; ``random_state`` is the seed. Input may be a data
frame of pandas, pyarrow, polars or whatever else speaks Arrow (text, categories, dates and missing values
included), or an array. The same table, options and seed predict the same as from the command.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from xrfm_cli.datasets import SchemaOverrides, Table, TargetSchema, infer_schema
from xrfm_cli.datasets.errors import InputError
from xrfm_cli.durations import parse_duration
from xrfm_cli.frames import ColumnLike, TableLike, as_arrow, checked_target, table_of, training_table
from xrfm_cli.reports import explain_model
from xrfm_cli.streaming import in_blocks
from xrfm_cli.tuning.config import FitConfig, PresetName
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model import FittedModel, Prediction
from xrfm_cli.tuning.storage import load_model, model_from_bytes, model_to_bytes, save_model


class _XRFMEstimator(BaseEstimator, ABC):
    """What the two estimators share."""

    model_: FittedModel
    _is_loaded: bool

    def __init__(
        self,
        *,
        trials: int | None = None,
        time_limit: float | str | None = None,
        preset: PresetName = "balanced",
        metric: str | None = None,
        folds: int | None = None,
        set: Mapping[str, Any] | None = None,
        drop: Sequence[str] = (),
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        datetime: Sequence[str] = (),
        group: str | None = None,
        time: str | None = None,
        device: str = "cpu",
        threads: int | None = None,
        memory: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.trials = trials
        self.time_limit = time_limit
        self.preset = preset
        self.metric = metric
        self.folds = folds
        self.set = set
        self.drop = drop
        self.categorical = categorical
        self.numeric = numeric
        self.datetime = datetime
        self.group = group
        self.time = time
        self.device = device
        self.threads = threads
        self.memory = memory
        self.random_state = random_state

    def fit(self, X: TableLike, y: ColumnLike, sample_weight: ColumnLike | None = None) -> Self:  # noqa: N803
        """Fit on rows ``X`` (n, columns) with targets ``y`` (n,) and optional weights (n,).

        Raises ValueError, in the words of the command, for data that cannot be learned from.
        """
        X = as_arrow(X)  # noqa: N806
        features = table_of(X)
        self._is_loaded = False
        validate_data(self, X, skip_check_array=True)
        if features.n_rows < 2:
            raise ValueError(f"n_samples={features.n_rows}: at least two rows are needed to fit")
        target_values = self._checked_target(y, features.n_rows)
        with _as_value_error(), _threads(self.threads):
            table, target_name, weight = training_table(features, target_values, sample_weight)
            is_counted = slice(None) if weight is None else np.asarray(table.column(weight)) != 0
            target = self._target_schema(target_name, target_values, target_values[is_counted])
            numeric = (*self.numeric, *self._plain_numbers(X, features))
            overrides = SchemaOverrides(
                target=target_name,
                weight=weight,
                group=self.group,
                time=self.time,
                drop=tuple(self.drop),
                categorical=tuple(self.categorical),
                numeric=numeric,
                datetime=tuple(self.datetime),
            )
            self.model_ = fit_model(table, infer_schema(table, overrides), target, self._config())
        self.__dict__.pop("_importances", None)
        return self

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """The share of each input column in the model's sensitivity, (columns,), adding to one."""
        check_is_fitted(self)
        if not hasattr(self, "_importances"):
            explanation = explain_model(self.model_)
            shares = {item.column: item.share for item in explanation.importances}
            self._importances = np.array([shares.get(name, 0.0) for name in self._input_names()])
        return self._importances

    def get_feature_names(self) -> NDArray[np.object_]:
        """The input columns in the order of ``feature_importances_``; those of an array are ``x0 x1 ...``."""
        check_is_fitted(self)
        return np.array(self._input_names(), dtype=object)

    def save(self, path: str | Path) -> None:
        """Write the model file, which the command ``xrfm`` and :meth:`load` read."""
        check_is_fitted(self)
        save_model(self.model_, Path(path))

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """An estimator with the model of a file, written by ``save`` or by ``xrfm fit``.

        It takes tables with the model's columns in any order and ignores others, as ``xrfm predict`` does.
        """
        with _as_value_error():
            model = load_model(Path(path), device=device)
        estimator = cls(device=device)
        estimator._adopt(model.target, path)
        estimator.model_ = model
        estimator._is_loaded = True
        estimator.feature_names_in_ = estimator.get_feature_names()
        estimator.n_features_in_ = len(estimator.feature_names_in_)
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Pickled, the model is its file: what comes back is checked as a file is."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = (model_to_bytes(self.model_), self.model_.created)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "model_" in state:
            content, created = state["model_"]
            state["model_"] = replace(model_from_bytes(content, device=state["device"]), created=created)
        super().__setstate__(state)

    def _predictions(self, X: TableLike, *, interval: float | None = None) -> list[Prediction]:  # noqa: N803
        """Predictions in the same fixed blocks as the command's, so that both give the same numbers."""
        check_is_fitted(self)
        X = as_arrow(X)  # noqa: N806
        table = table_of(X)
        if not table.n_rows:
            raise ValueError("Found array with 0 sample(s): there is nothing to predict")
        if not getattr(self, "_is_loaded", False):  # a file's model finds its columns itself, by name
            validate_data(self, X, reset=False, skip_check_array=True)
        with _as_value_error(), _threads(self.threads):
            return [self.model_.predict(block, interval=interval) for block in in_blocks([table])]

    def _input_names(self) -> list[str]:
        return [item.name for item in self.model_.schema.columns if item.role not in ("target", "weight")]

    def _plain_numbers(self, X: Any, features: Table) -> tuple[str, ...]:  # noqa: N803
        """The columns of an array of numbers: nothing in them is a category or an identifier."""
        if hasattr(X, "columns") or hasattr(X, "column_names") or np.asarray(X).dtype.kind not in "iuf":
            return ()
        named = {*self.drop, *self.categorical, *self.numeric, *self.datetime, self.group, self.time}
        return tuple(name for name in features.column_names if name not in named)

    def _config(self) -> FitConfig:
        state = self.random_state
        seed = state if isinstance(state, int) else int(check_random_state(state).randint(2**31 - 1))
        limit = self.time_limit
        return FitConfig(
            metric=self.metric,
            time_limit_s=parse_duration(limit) if isinstance(limit, str) else limit,
            trials=self.trials,
            preset=self.preset,
            pinned=dict(self.set or {}),
            folds=self.folds,
            seed=seed,
            device=self.device,
            threads=self.threads,
            memory_bytes=self.memory,
        )

    @abstractmethod
    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        """The target (n,) of the type that the task needs."""

    @abstractmethod
    def _target_schema(self, name: str, y: NDArray[Any], counted: NDArray[Any]) -> TargetSchema:
        """The task that a target makes; ``counted`` are the values whose rows have a weight."""

    @abstractmethod
    def _adopt(self, target: TargetSchema, path: str | Path) -> None:
        """Take over what a loaded model predicts; ValueError for the other kind of task."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


class XRFMRegressor(RegressorMixin, _XRFMEstimator):
    """Predict a number from the columns of a table.

    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(60, 3, random_state=0)
    >>> XRFMRegressor(trials=0).fit(X, y).predict(X[:5]).shape
    (5,)
    """

    def predict(self, X: TableLike) -> NDArray[np.float64]:  # noqa: N803
        """The expected value of each row, (n,)."""
        return np.concatenate([np.asarray(part.values) for part in self._predictions(X)])

    def predict_interval(self, X: TableLike, level: float = 0.9) -> NDArray[np.float64]:  # noqa: N803
        """Bounds (n, 2) that hold the truth with probability ``level``, wider where errors are larger."""
        parts = self._predictions(X, interval=level)
        bounds = [(part.lower, part.upper) for part in parts]
        return np.concatenate([np.column_stack([np.asarray(low), np.asarray(up)]) for low, up in bounds])

    def _target_schema(self, name: str, y: NDArray[Any], counted: NDArray[Any]) -> TargetSchema:
        return TargetSchema(name=name, task="regression", reason="a regressor was asked for")

    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        return checked_target(self, y, rows).astype(np.float64)

    def _adopt(self, target: TargetSchema, path: str | Path) -> None:
        if target.task != "regression":
            raise ValueError(f"{path}: predicts classes; load it with XRFMClassifier")


class XRFMClassifier(ClassifierMixin, _XRFMEstimator):
    """Predict a class from the columns of a table.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> XRFMClassifier(trials=0).fit(X, y).classes_
    array([0, 1, 2])
    """

    classes_: NDArray[Any]

    def predict(self, X: TableLike) -> NDArray[Any]:  # noqa: N803
        """The class of each row, (n,): the most probable unless a threshold was tuned."""
        probabilities = self.predict_proba(X)
        return self.classes_[self.model_.labels(probabilities)]

    def predict_proba(self, X: TableLike) -> NDArray[np.float64]:  # noqa: N803
        """The probability of each class, (n, classes), in the order of ``classes_``."""
        return np.concatenate([np.asarray(part.probabilities) for part in self._predictions(X)])

    def _target_schema(self, name: str, y: NDArray[Any], counted: NDArray[Any]) -> TargetSchema:
        if len(np.unique(counted)) < 2:
            raise ValueError(f"the target has one class only, {y[0]!r}; a classifier needs two")
        self.classes_ = np.unique(y)
        classes = tuple(self.classes_.tolist())
        is_binary = len(classes) == 2
        return TargetSchema(
            name=name,
            task="binary" if is_binary else "multiclass",
            reason="a classifier was asked for",
            classes=classes,
            positive=classes[-1] if is_binary else None,
        )

    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        found = checked_target(self, y, rows)
        check_classification_targets(found)
        return found

    def _adopt(self, target: TargetSchema, path: str | Path) -> None:
        if target.task == "regression":
            raise ValueError(f"{path}: predicts a number; load it with XRFMRegressor")
        self.classes_ = np.array(target.classes)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Let bad input raise what scikit-learn's callers expect, with our message."""
    try:
        yield
    except InputError as fault:
        raise ValueError(str(fault)) from fault


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with ``count`` threads, and leave the process as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
