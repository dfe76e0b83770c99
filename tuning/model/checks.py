"""Check that the parts of a model fit together.

The fields of the manifest are checked earlier; see :mod:`xrfm_cli.tuning.model.manifest`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets import ColumnSchema, Encoder, Table, TableSchema, TargetSchema
from xrfm_cli.datasets.schema.columns import Role
from xrfm_cli.tuning.model.drift import observe
from xrfm_cli.tuning.model.fitted_model import FittedModel
from xrfm_cli.tuning.model.report import FitReport
from xrfm_cli.tuning.scoring.metrics import Metric, metric_named
from xrfm_cli.tuning.transfer.base import Base

WEIGHT_TOLERANCE = 1e-9  # how far the sum of the members' weights may differ from one, by rounding
ENCODERS_OF_KIND = {
    "numeric": ("NumericEncoder", "PiecewiseEncoder"),
    "boolean": ("BooleanEncoder",),
    "categorical": ("OneHotEncoder", "TargetEncoder"),
    "datetime": ("DatetimeEncoder",),
    "text": ("TextEncoder",),
}
SINGLE_ROLES: tuple[Role, ...] = ("target", "weight", "offset", "group", "time")


def check_model(model: FittedModel) -> None:
    """Raise a one-line ValueError if parts do not fit together."""
    _check_schema(model.schema, model.target)
    _check_target(model.target)
    classes = len(model.target.classes)
    if abs(sum(member.weight for member in model.members) - 1) > WEIGHT_TOLERANCE:
        raise ValueError("the weights of the members do not add to one")
    if model.base is not None:
        _check_base(model.base, model.schema)
    features = (*model.schema.features, *(model.base.features if model.base is not None else ()))
    for encoder in _encoders(model):
        _check_encoder(encoder, features)
    _check_calibrators(model)
    model.decision.check(classes)
    for number, member in enumerate(model.members):
        decoded, coded = member.target_transform.sizes
        shape = (member.encoder.n_features, coded, decoded)
        if shape != (member.tree.n_features, member.tree.n_outputs, classes or 1):
            raise ValueError(f"members[{number}]: encoder, tree and target have different sizes")
        if member.translation is not None:
            member.translation.check(len(member.base_columns), coded)
            if member.translation.is_start and not (model.base and model.base.predicts_target):
                raise ValueError(f"members[{number}]: starts from predictions of another target")
    if model.intervals is not None:
        if classes:
            raise ValueError("intervals are for numbers, not for classes")
        model.intervals.check()
    _check_report(model.report, model.target, len(model.members))
    _try_rows(model)


def _check_schema(schema: TableSchema, target: TargetSchema) -> None:
    names = [column.name for column in schema.columns]
    if len(set(names)) != len(names):
        raise ValueError("schema.columns: duplicate column name")
    for role in SINGLE_ROLES:
        if len(schema.with_role(role)) > 1:
            raise ValueError(f"schema.columns: more than one {role}")
    targets = [column.name for column in schema.with_role("target")]
    if targets != [target.name]:
        raise ValueError(f"target.name: '{target.name}' is not the target of the schema")


def _check_target(target: TargetSchema) -> None:
    classes = target.classes
    counts = {"regression": len(classes) == 0, "binary": len(classes) == 2, "multiclass": len(classes) >= 2}
    if not counts[target.task]:
        raise ValueError(f"target.classes: {len(classes)} classes for the task {target.task}")
    if len({_type_of_label(label) for label in classes}) > 1 or len(set(classes)) != len(classes):
        raise ValueError("target.classes: labels of different types, or duplicates")
    positive = classes[-1] if target.task == "binary" else None
    if (target.positive, type(target.positive)) != (positive, type(positive)):
        raise ValueError("target.positive: is not the last of two classes")
    if classes and target.unit:
        raise ValueError("target.unit: classes have no unit")


def _type_of_label(label: object) -> type:
    return float if type(label) is int else type(label)


def _encoders(model: FittedModel) -> list[Encoder]:
    """Return each encoder once."""
    error_scale = None if model.intervals is None else model.intervals.error_scale
    used = [member.encoder for member in model.members] + (
        [] if error_scale is None else [error_scale.encoder]
    )
    return list({id(encoder): encoder for encoder in used}.values())


def _check_encoder(encoder: Encoder, features: Sequence[ColumnSchema]) -> None:
    kinds = {column.name: column.kind for column in features}
    names = [column.column for column in encoder.columns]
    if len(set(names)) != len(names):
        raise ValueError("encoders: a column is encoded twice")
    for column, kind in zip(encoder.columns, encoder.kinds, strict=True):
        if kinds.get(column.column) != kind or type(column).__name__ not in ENCODERS_OF_KIND.get(kind, ()):
            raise ValueError(f"encoders: '{column.column}' is not a {kind} feature of the schema")


def _check_base(base: Base, schema: TableSchema) -> None:
    """Check the base itself, and that its predictions are the columns that the model names."""
    check_model(base.model)
    classes = len(base.model.target.classes)
    taken = {column.name for column in schema.columns}
    if len(base.columns) != (1 if classes <= 2 else classes) or taken & set(base.columns):
        raise ValueError("base.columns: are not those of its predictions")
    if len(set(base.columns)) != len(base.columns) or not set(base.shared) <= taken:
        raise ValueError("base: duplicate columns, or shared ones that the table does not have")


def _check_calibrators(model: FittedModel) -> None:
    classes = len(model.target.classes)
    for calibrator in (model.calibration, *(member.calibrator for member in model.members)):
        if (calibrator is None) != (classes == 0):
            raise ValueError("calibration does not fit the task")
        if calibrator is None:
            continue
        if len(calibrator.offsets) not in (0, classes) or len(calibrator.logarithmic) not in (1, classes):
            raise ValueError("calibration does not fit the classes")


def _check_report(report: FitReport, target: TargetSchema, members: int) -> None:
    """Check what the report pages and documents assume."""
    metric = _metric_of(report.metric)
    if metric is None or target.task not in metric.tasks:
        raise ValueError(f"report.metric: no metric '{report.metric}' of a {target.task}")
    if metric.lower_is_better != report.lower_is_better:
        raise ValueError(f"report.lower_is_better: is wrong for {report.metric}")
    for name in ("metrics", "fold_metrics"):
        unknown = sorted(known for known in getattr(report, name) if _metric_of(known) is None)
        if unknown:
            raise ValueError(f"report.{name}: no metric '{unknown[0]}'")
    if len(report.ensemble) != members or any(leaf["member"] >= members for leaf in report.leaves):
        raise ValueError("report: lists other members than the model has")
    _check_oof(report, target)
    _check_summary(report.oof_summary or {}, len(target.classes))


def _metric_of(name: str) -> Metric | None:
    """Return the metric of this exact name, or None."""
    with suppress(KeyError):
        metric = metric_named(name)
        return metric if metric.name == name else None
    return None


def _check_summary(summary: Mapping[str, Any], classes: int) -> None:
    """Raise ValueError for summaries of another number of classes."""
    for name in ("class_rows", "class_auc"):
        if summary.get(name) is not None and len(summary[name]) != classes:
            raise ValueError(f"report.oof_summary.{name}: is not of {classes} classes")
    if any(max(true, predicted) >= classes for true, predicted, _ in summary.get("confusion") or ()):
        raise ValueError(f"report.oof_summary.confusion: is not of {classes} classes")
    if len({len(column) for column in (summary.get("curve") or {}).values()}) > 1:
        raise ValueError("report.oof_summary.curve: columns of different lengths")


def _check_oof(report: FitReport, target: TargetSchema) -> None:
    rows, y_true, predictions = (report.oof[name] for name in ("row", "target", "prediction"))
    if not len(rows) == len(y_true) == len(predictions):
        raise ValueError("report.oof: columns of different lengths")
    classes = len(target.classes)
    width = classes if classes > 2 else None  # one number per row, except for several classes
    if any((len(row) if isinstance(row, list) else None) != width for row in predictions):
        raise ValueError("report.oof.prediction: not one number per row, or not one per class")
    if classes and not set(y_true) <= set(range(classes)):
        raise ValueError("report.oof.target: not a class code")
    if classes == 2 and not _are_shares(predictions):
        raise ValueError("report.oof.prediction: not a probability")


def _are_shares(values: Iterable[Any]) -> bool:
    return all(0 <= value <= 1 and math.isfinite(value) for value in values)


def _try_rows(model: FittedModel) -> None:
    """Encode and predict two rows of text; an encoder that cannot work fails here."""
    for cell in (None, "0"):
        cells = pa.array([cell], pa.string())
        row = Table(pa.table({column.name: cells for column in model.schema.columns}))
        if model.base is not None:
            row = model.base.extended(row, model.base.outputs_of(row))
        for encoder in _encoders(model):
            x, _ = encoder.encode(row)
            if not np.isfinite(x).all():
                raise ValueError("an encoder returns values that are not finite")
        observe(model.profile or (), row)
