"""Base of the two estimators: arguments, fitting, predictions, saving and loading."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from xrfm_cli.datasets import SchemaOverrides, Table, TargetSchema, UnreadColumns, infer_schema
from xrfm_cli.errors import InputError
from xrfm_cli.estimators.arguments import check_arguments, fit_config
from xrfm_cli.estimators.explaining import ExplainingMixin
from xrfm_cli.estimators.frames import (
    ColumnLike,
    TableLike,
    as_frame,
    column_names,
    is_named,
    table_of,
    target_name,
    training_table,
)
from xrfm_cli.estimators.messages import errors_in_python
from xrfm_cli.estimators.pickling import PicklingMixin
from xrfm_cli.estimators.schema_file import described_columns, described_schema
from xrfm_cli.events import OnEvent, ignore_event
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.options.cores import usable_cores
from xrfm_cli.options.devices import find_device
from xrfm_cli.remote import local_path
from xrfm_cli.reports import explain_model
from xrfm_cli.streaming import in_blocks
from xrfm_cli.tuning.config import PresetName
from xrfm_cli.tuning.deadline import MODEL_RESERVE
from xrfm_cli.tuning.fit import fit_model
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction
from xrfm_cli.tuning.model.storage import load_model, save_model
from xrfm_cli.tuning.transfer.matching import match_base


class BaseXRFM(ExplainingMixin, PicklingMixin, BaseEstimator):
    """Base class of the two estimators.

    Parameters are options of the command with underscores; ``--resume`` and ``--storage`` exist only there.
    """

    _doc_link_module = "xrfm_cli"  # diagrams show the meaning of parameters if this link is set
    _doc_link_template = "https://xrfm-cli.github.io/xrfm-cli/python/"
    model_: FittedModel
    _is_loaded: bool = False

    def __init__(
        self,
        *,
        trials: int | None = None,
        time_limit: float | str | None = None,
        early_stop: bool = True,
        preset: PresetName = "balanced",
        metric: str | None = None,
        folds: int | None = None,
        set: Mapping[str, Any] | None = None,
        drop: Sequence[str] = (),
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        datetime: Sequence[str] = (),
        id: Sequence[str] = (),
        offset: str | None = None,
        group: str | None = None,
        time: str | None = None,
        schema: str | Path | None = None,
        positive: Any = None,
        device: str = "auto",
        threads: int | None = None,
        workers: int | None = None,
        memory: int | None = None,
        fit_rows: int | Literal["all"] | None = None,
        search_rows: int | None = None,
        transfer_from: str | Path | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.trials = trials
        self.time_limit = time_limit
        self.early_stop = early_stop
        self.preset = preset
        self.metric = metric
        self.folds = folds
        self.set = set
        self.drop = drop
        self.categorical = categorical
        self.numeric = numeric
        self.datetime = datetime
        self.id = id
        self.offset = offset
        self.group = group
        self.time = time
        self.schema = schema
        self.positive = positive
        self.device = device
        self.threads = threads
        self.workers = workers
        self.memory = memory
        self.fit_rows = fit_rows
        self.search_rows = search_rows
        self.transfer_from = transfer_from
        self.random_state = random_state

    def fit(
        self,
        X: TableLike,  # noqa: N803
        y: ColumnLike,
        sample_weight: ColumnLike | None = None,
        *,
        valid: tuple[TableLike, ColumnLike] | None = None,
        callback: OnEvent | None = None,
    ) -> Self:
        """Fit on rows ``X`` (n, columns) with targets ``y`` (n,) and optional weights (n,).

        ``valid`` holds validation rows and their targets, which are never trained on; without it, a split of
        ``X`` is used. ``callback`` receives every :class:`xrfm_cli.events.Event` of the fit: stages, progress
        with the share that is done, notes and fallbacks. An exception in it ends the fit; KeyboardInterrupt
        keeps the best model so far. Raises ValueError, with the command's message, for data that no model can
        be fitted to.
        """
        frame = as_frame(X)
        with errors_in_python():
            check_arguments(self)
            described = described_columns(self.schema)
        unread = {*self.drop, *(column.name for column in described if column.role == "dropped")}
        features = table_of(frame, unread=unread)
        self._is_loaded = False
        validate_data(self, frame, skip_check_array=True)
        if features.n_rows < 2:
            raise InputError(f"n_samples={features.n_rows}: at least two rows are needed to fit")
        target_values = self._checked_target(y, features.n_rows)
        with errors_in_python(), compute_threads(self.threads, most=usable_cores()):
            y_name = target_name(y)
            table, name, weight = training_table(features, target_values, sample_weight, name=y_name)
            is_counted = slice(None) if weight is None else np.asarray(table.column(weight)) != 0
            target = self._target_schema(name, target_values, target_values[is_counted])
            overrides = SchemaOverrides(
                target=name,
                weight=weight,
                offset=self.offset,
                group=self.group,
                time=self.time,
                ids=tuple(self.id),
                drop=tuple(self.drop),
                categorical=tuple(self.categorical),
                numeric=(*self.numeric, *self._plain_numbers(frame, features)),
                datetime=tuple(self.datetime),
            )
            known = None if self.schema is None else described_schema(described, target, weight, self.schema)
            schema = infer_schema(table, overrides, known)
            valid_table = None
            if valid is not None:
                valid_table = self._validation_table(
                    *valid, unread=unread, name=y_name, is_weighted=weight is not None
                )
            config, base = fit_config(self), None
            if self.transfer_from is not None:
                path = Path(self.transfer_from)
                model = load_model(path, device=config.device)
                base = match_base(model, name=path.name, table=table, schema=schema, target=target)
            self.model_ = fit_model(
                table,
                schema,
                target,
                config,
                valid=valid_table,
                reserve=MODEL_RESERVE,
                base=base,
                on_event=callback or ignore_event,
            )
        self.__dict__.pop("_importances", None)
        return self

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """The share of each input column in the prediction's variance, (columns,); the shares sum to one."""
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
        save_model(self.model_, path)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """Return an estimator with the model from a file that ``save`` or ``xrfm fit`` wrote.

        It accepts tables with the model's columns in any order and ignores others, as ``xrfm predict`` does.
        """
        estimator = cls(device=device)
        with errors_in_python():
            check_arguments(estimator)
            path = local_path(path)
            model = load_model(path, device=find_device(device))
        estimator._adopt(model.target, path)
        estimator.model_ = model
        estimator._is_loaded = True
        estimator.feature_names_in_ = estimator.get_feature_names()
        estimator.n_features_in_ = len(estimator.feature_names_in_)
        return estimator

    def _predictions(self, X: TableLike, *, interval: float | None = None) -> list[Prediction]:  # noqa: N803
        """Predict in the same fixed blocks as the command, so that both give the same numbers."""
        table = self._model_table(X)
        with errors_in_python(), compute_threads(self.threads, most=usable_cores()):
            parts, unread = list[Prediction](), UnreadColumns(self.model_.schema)
            for block in in_blocks([table]):
                parts.append(self.model_.predict(block, interval=interval))
                unread.look(block, parts[-1].repairs)
        for line in unread.lines():
            warnings.warn(line, stacklevel=3)
        return parts

    def _model_table(self, X: TableLike) -> Table:  # noqa: N803
        """Return the rows with the columns that the model needs; check that the estimator is fitted."""
        check_is_fitted(self)
        with errors_in_python():
            check_arguments(self)
        frame = as_frame(X)
        if not len(frame):
            raise InputError("Found array with 0 sample(s): there is nothing to predict")
        names = column_names(frame)
        if not self._is_loaded:  # a loaded model finds columns by name, in any order
            validate_data(self, frame, reset=False, skip_check_array=True)
        if not self._is_loaded or (not is_named(frame) and len(names) == self.n_features_in_):
            names = self._input_names()  # columns are in the same positions as in fit
        needed = {column.name for column in self.model_.schema.columns if column.role == "offset"}
        needed |= {column.name for column in self.model_.schema.features}
        return table_of(frame, names=names, unread=set(names) - needed)

    def _input_names(self) -> list[str]:
        return [item.name for item in self.model_.schema.columns if item.role not in ("target", "weight")]

    def _validation_table(
        self,
        X: TableLike,  # noqa: N803
        y: ColumnLike,
        *,
        unread: Container[str],
        name: str,
        is_weighted: bool,
    ) -> Table:
        """Return validation rows with targets, and with unit weights if the training rows have weights."""
        frame = as_frame(X)
        validate_data(self, frame, reset=False, skip_check_array=True)
        features = table_of(frame, unread=unread)
        weights = np.ones(features.n_rows) if is_weighted else None
        return training_table(features, self._checked_target(y, features.n_rows), weights, name=name)[0]

    def _plain_numbers(self, frame: Any, features: Table) -> tuple[str, ...]:
        """Return the columns of a numeric array: these are never categories or identifiers."""
        if self.schema is not None or is_named(frame) or frame.dtype.kind not in "iuf":
            return ()
        named: set[str | None] = {*self.drop, *self.categorical, *self.numeric, *self.datetime, *self.id}
        named |= {self.offset, self.group, self.time}
        return tuple(name for name in features.column_names if name not in named)

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
