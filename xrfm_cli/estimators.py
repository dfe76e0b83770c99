"""Two scikit-learn estimators that fit the same models as the command ``xrfm``.

Their arguments are the command's options with underscores. ``random_state`` is the seed, and ``fit`` takes
the rows of ``--valid``. ``--resume`` and ``--storage`` exist only in the command. Input may be an array, or
a data frame from pandas, pyarrow, polars or any other library that supports Arrow, with text, categories,
dates and missing values. The same table, options and seed give the same predictions as the command.
"""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from xrfm_cli.arguments import check_arguments, check_level, whole
from xrfm_cli.columns import array_column
from xrfm_cli.datasets import (
    SchemaOverrides,
    Table,
    TableSchema,
    TargetSchema,
    UnreadColumns,
    infer_schema,
)
from xrfm_cli.datasets.schema.columns import ColumnSchema
from xrfm_cli.datasets.schema.kinds import Kind
from xrfm_cli.datasets.schema.schema_file import read_schema_file
from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.frames import (
    ColumnLike,
    TableLike,
    as_frame,
    checked_target,
    column_names,
    is_named,
    plain_labels,
    table_of,
    training_table,
)
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.cores import usable_cores
from xrfm_cli.options.devices import find_device
from xrfm_cli.options.durations import parse_duration
from xrfm_cli.reports import explain_model
from xrfm_cli.streaming import in_blocks
from xrfm_cli.tuning.config import FitConfig, PresetName
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction
from xrfm_cli.tuning.model.storage import load_model, model_from_bytes, model_to_bytes, save_model

IN_PYTHON = {
    "give --date-order dmy, mdy or ymd, write dates as yyyy-mm-dd,": "convert it with pandas.to_datetime,",
    "give --task regression": "use XRFMRegressor",
    "use --task multiclass": "use XRFMClassifier",
    "ask for --proba": "call predict_proba",
}
RENAMED = {"interval": "level", "seed": "random_state"}  # options whose argument has another name


class _XRFMEstimator(BaseEstimator, ABC):
    """Base class of the two estimators."""

    model_: FittedModel
    _is_loaded: bool = False

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
        id: Sequence[str] = (),
        group: str | None = None,
        time: str | None = None,
        schema: str | Path | None = None,
        positive: Any = None,
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
        self.id = id
        self.group = group
        self.time = time
        self.schema = schema
        self.positive = positive
        self.device = device
        self.threads = threads
        self.memory = memory
        self.random_state = random_state

    def fit(
        self,
        X: TableLike,  # noqa: N803
        y: ColumnLike,
        sample_weight: ColumnLike | None = None,
        *,
        valid: tuple[TableLike, ColumnLike] | None = None,
    ) -> Self:
        """Fit on rows ``X`` (n, columns) with targets ``y`` (n,) and optional weights (n,).

        ``valid`` holds validation rows and their targets, which are never trained on; without it, a split of
        ``X`` is used. Raises ValueError, with the command's message, for data that no model can be fitted to.
        """
        frame = as_frame(X)
        with _as_value_error(self):
            check_arguments(self)
            described = self._described_columns()
        unread = {*self.drop, *(column.name for column in described if column.role == "dropped")}
        features = table_of(frame, unread=unread)
        self._is_loaded = False
        validate_data(self, frame, skip_check_array=True)
        if features.n_rows < 2:
            raise ValueError(f"n_samples={features.n_rows}: at least two rows are needed to fit")
        target_values = self._checked_target(y, features.n_rows)
        with _as_value_error(self), compute_threads(self.threads, most=usable_cores()):
            table, target_name, weight = training_table(features, target_values, sample_weight)
            is_counted = slice(None) if weight is None else np.asarray(table.column(weight)) != 0
            target = self._target_schema(target_name, target_values, target_values[is_counted])
            overrides = SchemaOverrides(
                target=target_name,
                weight=weight,
                group=self.group,
                time=self.time,
                ids=tuple(self.id),
                drop=tuple(self.drop),
                categorical=tuple(self.categorical),
                numeric=(*self.numeric, *self._plain_numbers(frame, features)),
                datetime=tuple(self.datetime),
            )
            schema = infer_schema(table, overrides, self._described_schema(described, target, weight))
            judging = None
            if valid is not None:
                judging = self._validation_table(*valid, unread=unread, is_weighted=weight is not None)
            self.model_ = fit_model(table, schema, target, self._config(), valid=judging)
        self.__dict__.pop("_importances", None)
        return self

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """The share of each input column in the model's sensitivity, (columns,); the shares sum to one."""
        check_is_fitted(self)
        if not hasattr(self, "_importances"):
            explanation = explain_model(self.model_)
            shares = {item.column: item.share for item in explanation.importances}
            self._importances = np.array([shares.get(name, 0.0) for name in self._input_names()])
        return self._importances

    def get_feature_names(self) -> NDArray[np.object_]:
        """Return the input columns in the order of ``feature_importances_``; ``x0 x1 ...`` for an array."""
        check_is_fitted(self)
        return np.array(self._input_names(), dtype=object)

    def save(self, path: str | Path) -> None:
        """Write a model file for the command ``xrfm`` and for :meth:`load`."""
        check_is_fitted(self)
        save_model(self.model_, Path(path))

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Return an estimator with the model from a file that ``save`` or ``xrfm fit`` wrote.

        It accepts tables with the model's columns in any order and ignores others, as ``xrfm predict`` does.
        """
        estimator = cls(device=device)
        with _as_value_error(estimator):
            check_arguments(estimator)
            model = load_model(Path(path), device=find_device(device))
        estimator._adopt(model.target, path)
        estimator.model_ = model
        estimator._is_loaded = True
        estimator.feature_names_in_ = estimator.get_feature_names()
        estimator.n_features_in_ = len(estimator.feature_names_in_)
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the model as the content of its file, so that unpickling makes the checks of loading."""
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
        """Predict in the same fixed blocks as the command, so that both give the same numbers."""
        check_is_fitted(self)
        with _as_value_error(self):
            check_arguments(self)
        frame = as_frame(X)
        if not len(frame):
            raise ValueError("Found array with 0 sample(s): there is nothing to predict")
        names = column_names(frame)
        if not self._is_loaded:  # a loaded model finds columns by name, in any order
            validate_data(self, frame, reset=False, skip_check_array=True)
        if not self._is_loaded or (not is_named(frame) and len(names) == self.n_features_in_):
            names = self._input_names()  # columns are in the same positions as in fit
        needed = {column.name for column in self.model_.schema.features}
        table = table_of(frame, names=names, unread=set(names) - needed)
        with _as_value_error(self), compute_threads(self.threads, most=usable_cores()):
            parts, unread = list[Prediction](), UnreadColumns(self.model_.schema)
            for block in in_blocks([table]):
                parts.append(self.model_.predict(block, interval=interval))
                unread.look(block, parts[-1].repairs)
        for line in unread.lines():
            warnings.warn(line, stacklevel=3)
        return parts

    def _input_names(self) -> list[str]:
        return [item.name for item in self.model_.schema.columns if item.role not in ("target", "weight")]

    def _described_columns(self) -> tuple[ColumnSchema, ...]:
        """Return the columns in the file ``schema``; none without a file."""
        if self.schema is None:
            return ()
        found = read_schema_file(Path(self.schema))
        if found is None:
            raise OptionError(f"--schema {self.schema}: there is no such file; xrfm fit --schema writes one")
        return found.columns

    def _described_schema(
        self, described: Sequence[ColumnSchema], target: TargetSchema, weight: str | None
    ) -> TableSchema | None:
        """Return the schema of the file, with the target and the weight that ``fit`` was given."""
        if self.schema is None:
            return None
        kept = [column for column in described if column.role not in ("target", "weight")]
        kind: Kind = "categorical" if target.classes else "numeric"
        kept.append(ColumnSchema(name=target.name, kind=kind, role="target", reason=str(self.schema)))
        if weight is not None:
            kept.append(ColumnSchema(name=weight, kind="numeric", role="weight", reason=str(self.schema)))
        return TableSchema(columns=tuple(kept))

    def _validation_table(
        self,
        X: TableLike,  # noqa: N803
        y: ColumnLike,
        *,
        unread: Container[str],
        is_weighted: bool,
    ) -> Table:
        """Return validation rows with targets, and with unit weights if the training rows have weights."""
        frame = as_frame(X)
        validate_data(self, frame, reset=False, skip_check_array=True)
        features = table_of(frame, unread=unread)
        weights = np.ones(features.n_rows) if is_weighted else None
        return training_table(features, self._checked_target(y, features.n_rows), weights)[0]

    def _plain_numbers(self, frame: Any, features: Table) -> tuple[str, ...]:
        """Return the columns of a numeric array: these are never categories or identifiers."""
        if self.schema is not None or is_named(frame) or frame.dtype.kind not in "iuf":
            return ()
        told = (*self.drop, *self.categorical, *self.numeric, *self.datetime, *self.id)
        named = {*told, self.group, self.time}
        return tuple(name for name in features.column_names if name not in named)

    def _config(self) -> FitConfig:
        seed = whole(self.random_state) if isinstance(self.random_state, Integral) else None
        if seed is None:
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        limit = self.time_limit
        return FitConfig(
            metric=self.metric,
            time_limit_s=limit if limit is None else _seconds(limit),
            trials=whole(self.trials),
            preset=self.preset,
            pinned=dict(self.set or {}),
            folds=whole(self.folds),
            seed=seed,
            device=find_device(self.device),
            threads=whole(self.threads),
            memory_bytes=whole(self.memory),
        )

    @abstractmethod
    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        """Return the target (n,) with the dtype that the task needs."""

    @abstractmethod
    def _target_schema(self, name: str, y: NDArray[Any], counted: NDArray[Any]) -> TargetSchema:
        """Return the target's task; ``counted`` are the targets of rows with a nonzero weight."""

    @abstractmethod
    def _adopt(self, target: TargetSchema, path: str | Path) -> None:
        """Take over the classes of a loaded model; ValueError for the other estimator's task."""

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
            raise ValueError(f"positive={self.positive!r}: a regression has no positive class; leave it out")
        return TargetSchema(name=name, task="regression", reason="a regressor was asked for")

    def _checked_target(self, y: ColumnLike, rows: int) -> NDArray[Any]:
        found = checked_target(self, y, rows)
        try:
            found = found.astype(np.float64)
        except TypeError as fault:
            raise ValueError(f"y holds {type(found[0]).__name__}; a regressor needs numbers") from fault
        assert_all_finite(found, input_name="y")
        return found

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
            raise ValueError(f"the target has only one class, {y[0]!r}; a classifier needs two")
        self.classes_ = np.unique(y)
        classes = array_column(name, self.classes_).to_pylist()  # Python values, which a file can hold
        if self.positive is not None:
            if len(classes) != 2 or self.positive not in classes:
                raise ValueError(
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
            raise ValueError(f"{path}: predicts a number; load it with XRFMRegressor")
        self.classes_ = np.unique(np.array(target.classes))


def _seconds(limit: float | str) -> float:
    return parse_duration(limit) if isinstance(limit, str) else float(limit)


def in_python(message: str, arguments: Iterable[str]) -> str:
    """Rewrite a message of the command for Python: arguments instead of options.

    >>> in_python("--time-limit 0: must be above 0", ["time_limit"])
    'time_limit 0: must be above 0'
    """
    for words, spelled in IN_PYTHON.items():
        message = message.replace(words, spelled)
    for option, name in ({name.replace("_", "-"): name for name in arguments} | RENAMED).items():
        message = re.sub(rf"(?<!xrfm fit )--{option}\b(?!-)", name, message)
    return message


@contextmanager
def _as_value_error(estimator: BaseEstimator) -> Iterator[None]:
    """Convert our input errors to ValueError, as scikit-learn's callers expect, with options as arguments."""
    try:
        yield
    except InputError as fault:
        raise ValueError(in_python(str(fault), estimator.get_params())) from fault
    except pa.ArrowException as fault:
        fact = str(fault).splitlines()[0]
        raise ValueError(f"a column has a type that cannot be read ({fact}); convert or drop it") from fault
