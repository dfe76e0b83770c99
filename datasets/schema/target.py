"""The target column: its task, its classes, and its values as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.plain_types import is_date, is_readable, is_text, plain_array
from xrfm_cli.datasets.cells.units import common_unit, unit_note
from xrfm_cli.datasets.cells.values import (
    Levels,
    is_placeholder,
    level_values,
    number_values,
    parse_numbers,
    tidy_text,
)
from xrfm_cli.datasets.schema.labels import (
    Label,
    find_label,
    has_many_numbers,
    label_levels,
    lookup_key,
    numeric_labels,
    spelled_levels,
    typed_labels,
)
from xrfm_cli.datasets.table import Table
from xrfm_cli.errors import SchemaError, TargetError
from xrfm_cli.mentions import option

Task = Literal["regression", "binary", "multiclass"]
_MAX_CLASSES = 1000
LARGEST = 1e300  # of a regression target: sums over 100 million rows stay below the largest float, 1.8e308


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSchema:
    """The target column and its task.

    ``classes`` is empty for a regression; otherwise it holds the labels in their original type, sorted by
    value. In a binary task the last class is the positive one, so a chosen ``positive`` is moved to the end.
    """

    name: str
    task: Task
    reason: str
    classes: tuple[Label, ...] = ()
    positive: Label | None = None
    unit: str = ""  # the unit of numbers that are text

    def to_json(self) -> dict[str, Any]:
        """Return the target as plain values for a JSON document."""
        document = asdict(self) | {"classes": list(self.classes)}
        return document if self.unit else {name: value for name, value in document.items() if name != "unit"}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> TargetSchema:
        """Return the target that `to_json` wrote."""
        return cls(**(document | {"classes": tuple(document["classes"])}))


def infer_target(
    table: Table,
    name: str,
    *,
    task: Literal["auto", "regression", "binary", "multiclass"] = "auto",
    positive: str | None = None,
) -> TargetSchema:
    """Infer the task of a target column, with the reason.

    Text, booleans or two distinct values mean classification, other numbers regression; ``task`` overrides
    this. Raises `TargetError` if the column is absent, constant, has one class, or does not fit the task.

    >>> table = Table(pa.table({"y": ["yes", "no", "yes"], "z": ["1.5", "2", "7"]}))
    >>> infer_target(table, "y").classes
    ('no', 'yes')
    >>> infer_target(table, "z").reason
    '3 distinct numbers'
    """
    array = _target_array(table, name)
    place = f"{table.source}: target '{name}'"
    if is_date(array.type):
        raise _not_predictable(table, name, array.type)
    if task in ("auto", "regression") and has_many_numbers(array, table.decimal):
        return _regression_target(table, array, name, "", positive, asked=task == "regression")
    levels = label_levels(array, table.decimal, is_typed=table.is_typed)
    present = int((levels.codes >= 0).sum())
    if present == 0:
        raise TargetError(f"{place} is missing in every row; choose another column")
    if present < 2:
        raise TargetError(f"{place} has a value in one row only; at least two are needed")
    numeric = numeric_labels(array, levels, table.decimal)
    unit = common_unit(levels.values) if numeric is None and not pa.types.is_boolean(array.type) else ""
    is_regression = task == "regression" or (
        task == "auto" and (numeric is not None or bool(unit)) and len(levels.values) > 2
    )
    if is_regression:
        return _regression_target(table, array, name, unit, positive, asked=task == "regression")
    return _class_target(place, name, array, levels, task, positive, numeric)


def _regression_target(
    table: Table, array: pa.Array, name: str, unit: str, positive: str | None, *, asked: bool
) -> TargetSchema:
    """Build a regression target."""
    if positive is not None:
        raise TargetError(
            f"{table.source}: target '{name}' is a regression, which has no positive class; leave out "
            f"{option('positive')}"
        )
    values = _regression_values(table, array, name, unit, way_out=f", or use {option('task', 'multiclass')}")
    distinct = np.unique(values[~np.isnan(values)])
    if len(distinct) < 2:
        shown = f"{distinct[0]:g}" if len(distinct) else "infinite"
        raise TargetError(f"{table.source}: target '{name}' is constant ({shown}); there is nothing to learn")
    reason = "asked for" if asked else f"{len(distinct):,} distinct numbers"
    return TargetSchema(name=name, task="regression", reason=reason + unit_note(unit), unit=unit)


def _class_target(
    place: str,
    name: str,
    array: pa.Array,
    levels: Levels,
    task: str,
    positive: str | None,
    numeric: tuple[Label, ...] | None,
) -> TargetSchema:
    """Build a classification target."""
    count, present = len(levels.values), int((levels.codes >= 0).sum())
    texts: list[str] = levels.values.to_pylist()
    if count == 1:
        raise TargetError(f"{place} has one class only, '{texts[0]}'; at least two are needed")
    if task == "binary" and count != 2:
        raise TargetError(f"{place} has {count:,} classes, not two; use {option('task', 'multiclass')}")
    if count > _MAX_CLASSES or (count > 50 and count > 0.5 * present):
        raise TargetError(_too_many(place, array, levels, count, present))
    labels = typed_labels(array, texts, numeric)
    chosen: Task = "binary" if count == 2 else "multiclass"  # two classes are always binary
    classes = tuple(sorted(labels))
    reason = f"as requested, {count:,} classes" if task != "auto" else _class_reason(array, numeric, count)
    if chosen == "multiclass":
        if positive is not None:
            raise TargetError(f"{place} has {count:,} classes; {option('positive')} needs two")
        return TargetSchema(name=name, task=chosen, reason=reason, classes=classes)
    if positive is not None:
        last = find_label(place, classes, positive)
        classes = (*(label for label in classes if label != last), last)
    return TargetSchema(name=name, task=chosen, reason=reason, classes=classes, positive=classes[-1])


def _class_reason(array: pa.Array, numeric: tuple[Label, ...] | None, count: int) -> str:
    if pa.types.is_boolean(array.type):
        return "true or false"
    if numeric is not None:
        return "two distinct numbers"
    return f"text with {count:,} distinct values"


def _too_many(place: str, array: pa.Array, levels: Levels, count: int, present: int) -> str:
    """Explain why there are too many labels, naming the unreadable cell if most are numbers."""
    message = f"{place} has {count:,} distinct values in {present:,} rows, too many to be classes"
    if is_text(array.type):
        numbers = parse_numbers(levels.values, ".")
        if numbers.unreadable.sum() < 0.5 * count:
            bad = int(np.flatnonzero(numbers.unreadable)[0]) if numbers.unreadable.any() else 0
            row = int(np.flatnonzero(levels.codes == bad)[0]) + 1
            return f"{message}, and not numbers, as row {row} holds '{levels.values[bad].as_py()}'; fix it"
    return f"{message}; choose another column"


def _target_array(table: Table, name: str) -> pa.Array:
    """Return the target column as one plain array."""
    try:
        column = table.stored(name)
    except SchemaError as error:
        raise TargetError(error.message) from None
    if not is_readable(column.type):
        raise _not_predictable(table, name, column.type)
    return plain_array(column)


def _not_predictable(table: Table, name: str, kind: pa.DataType) -> TargetError:
    return TargetError(
        f"{table.source}: target '{name}' holds {kind}, which cannot be predicted; choose numbers or classes"
    )


def encode_target(table: Table, target: TargetSchema) -> np.ndarray:
    """Return the target values for a model.

    A regression gives float64 (n,), NaN where missing. Classes give int64 codes (n,), -1 where missing and -2
    for a label that is not in ``target.classes``.

    >>> target = TargetSchema(name="y", task="binary", reason="", classes=("no", "yes"), positive="yes")
    >>> encode_target(Table(pa.table({"y": ["yes", "no", "", "maybe"]})), target).tolist()
    [1, 0, -1, -2]
    """
    array = _target_array(table, target.name)
    if target.task == "regression":
        return _regression_values(table, array, target.name, target.unit)
    levels = level_values(array, table.decimal)
    keys = {lookup_key(label): code for code, label in enumerate(target.classes)}
    exact = {label: code for code, label in enumerate(target.classes) if isinstance(label, str)}
    tidy = levels.values
    if is_text(array.type) and exact:
        levels = spelled_levels(array)
        tidy = tidy_text(levels.values)
    found = []
    for spelled, text in zip(levels.values.to_pylist(), tidy.to_pylist(), strict=True):
        # An exact match is that class; otherwise the text is read as in a text file.
        known = exact.get(spelled, exact.get(text))
        if known is None:
            known = -1 if text is None else keys.get(lookup_key(text), _absent(text, exact))
        found.append(known)
    return np.append(np.array(found, dtype=np.int64), -1)[levels.codes]


def _absent(text: str, exact: Mapping[str, int]) -> int:
    """Return the code of a text that is not a class: a mark such as "-" is missing if labels are not text."""
    placeholder = not exact and bool(is_placeholder(pa.array([text], pa.string()))[0])
    return -1 if placeholder else -2


def _regression_values(
    table: Table, array: pa.Array, name: str, unit: str, *, way_out: str = ""
) -> np.ndarray:
    """Return the target as float64; an infinite value counts as missing.

    Text that is not a number raises an error, and so does a number so large that sums overflow.
    """
    numbers = number_values(array, table.decimal, unit)
    if numbers.unreadable.any():
        row = int(np.flatnonzero(numbers.unreadable)[0])
        raise TargetError(
            f"{table.source}: row {row + 1}, target '{name}': '{array[row].as_py()}' is not a number; "
            f"fix or empty the cell{way_out}"
        )
    values = np.where(np.isfinite(numbers.values), numbers.values, np.nan)
    too_large = np.flatnonzero(np.abs(values) > LARGEST)
    if len(too_large):
        row = int(too_large[0])
        raise TargetError(
            f"{table.source}: row {row + 1}, target '{name}': {values[row]:g} is beyond {LARGEST:g} and "
            "may stand for a missing value; empty the cell or divide the target"
        )
    return values


def drop_rows_without_target(table: Table, target: TargetSchema) -> tuple[Table, int]:
    """Return the rows with a known target, and how many rows were dropped.

    >>> target = TargetSchema(name="y", task="regression", reason="")
    >>> drop_rows_without_target(Table(pa.table({"y": ["1", "", "3"]})), target)[1]
    1
    """
    values = encode_target(table, target)
    known = ~np.isnan(values) if target.task == "regression" else values != -1
    dropped = int((~known).sum())
    return (table.take(np.flatnonzero(known)), dropped) if dropped else (table, 0)
