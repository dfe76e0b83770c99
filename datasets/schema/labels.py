"""Class labels: their levels, their original types and the canonical text that identifies them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.plain_types import is_text
from xrfm_cli.datasets.cells.values import (
    EXACT_INTEGERS,
    Levels,
    cast_numbers,
    is_placeholder,
    level_values,
    number_values,
    parse_numbers,
    tidy_text,
)
from xrfm_cli.errors import TargetError, did_you_mean

Label = str | int | float | bool
BLOCK_CELLS = 65_536  # checked at once


def has_many_numbers(array: pa.Array, decimal: str) -> bool:
    """Return whether a column plainly holds more than two distinct numbers: found without its levels.

    Listing the levels of a numeric column takes hundreds of bytes a row, as nearly every row has its own. If
    this returns False, the levels decide.
    """
    kind = array.type
    if is_text(kind):
        numbers = cast_numbers(array) or cast_numbers(tidy_text(array)) if decimal == "." else None
        # A zero in front may be a part of a label's spelling.
        if numbers is None or pc.any(pc.match_substring_regex(array, r"^\s*[+-]?0[0-9]")).as_py():
            return False
        return _are_many(numbers.values[start : start + BLOCK_CELLS] for start in _starts(array))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _are_many(number_values(array.slice(start, BLOCK_CELLS)).values for start in _starts(array))
    return False


def _starts(array: pa.Array) -> range:
    return range(0, len(array), BLOCK_CELLS)


def _are_many(blocks: Iterable[np.ndarray]) -> bool:
    """Return whether there are more than two distinct numbers."""
    found = np.empty(0)
    for values in blocks:
        found = np.unique(np.append(found, values[~np.isnan(values)]))
        if len(found) > 2:
            return True
    return False


def label_levels(array: pa.Array, decimal: str, *, is_typed: bool) -> Levels:
    """Return labels as levels keyed by canonical text; words keep their spelling."""
    levels = level_values(array, decimal)
    if not is_text(array.type):
        return levels
    spelled = array if is_typed else tidy_text(array)
    if not len(levels.values):
        return spelled_levels(spelled)
    numbers = parse_numbers(levels.values, decimal)
    marks = numbers.unreadable & is_placeholder(levels.values)
    if marks.any() and not (numbers.unreadable & ~marks).any() and (~numbers.unreadable).sum() > 1:
        return _without(levels, marks)
    if (
        numbers.unreadable.any()
        or pc.any(pc.match_substring_regex(tidy_text(array), r"^[+-]?0[0-9]")).as_py()
    ):
        return spelled_levels(spelled)
    return levels


def spelled_levels(text: pa.Array) -> Levels:
    """Return text as levels, one for each spelling."""
    encoded = text.dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Levels(values=encoded.dictionary, codes=codes)


def _without(levels: Levels, marks: np.ndarray) -> Levels:
    """Return levels without the marked values, which count as missing."""
    keep = np.flatnonzero(~marks)
    mapping = np.full(len(marks) + 1, -1, dtype=np.int64)
    mapping[keep] = np.arange(len(keep))
    return Levels(values=levels.values.take(pa.array(keep)), codes=mapping[levels.codes])


def numeric_labels(array: pa.Array, levels: Levels, decimal: str) -> tuple[Label, ...] | None:
    """Return the distinct values as int or float labels, or None if they are text or booleans."""
    if pa.types.is_boolean(array.type) or pa.types.is_duration(array.type):
        return None
    texts: list[str] = levels.values.to_pylist()
    if is_text(array.type):
        if parse_numbers(levels.values, decimal).unreadable.any():
            return None
        if any(
            len(text.lstrip("+-")) > 1 and text.lstrip("+-")[0] == "0" and text.isdigit() for text in texts
        ):
            return None  # converting 007 to a number would lose its spelling
    as_float = pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)
    if not as_float and is_text(array.type):
        as_float = bool(pc.any(pc.match_substring_regex(tidy_text(array), r"[.eE]")).as_py())
    values = parse_numbers(levels.values, ".").values
    if as_float or not (np.isfinite(values) & (np.trunc(values) == values)).all():
        return tuple(float(value) for value in values)
    return tuple(int(text) if text.lstrip("+-").isdigit() else int(float(text)) for text in texts)


def typed_labels(array: pa.Array, texts: list[str], numeric: tuple[Label, ...] | None) -> tuple[Label, ...]:
    """Return the labels in their original type."""
    if pa.types.is_boolean(array.type):
        return tuple(text == "true" for text in texts)
    if numeric is not None:
        return numeric
    return tuple(texts)


def find_label(place: str, classes: tuple[Label, ...], wanted: str) -> Label:
    """Return the class that the user's text names."""
    for label in classes:
        if str(label) == wanted or (isinstance(label, bool) and str(label).lower() == wanted.lower()):
            return label
    for label in classes:
        if not isinstance(label, str) and _key(str(label)) == _key(wanted):
            return label
    known = [str(label) for label in classes]
    hint = did_you_mean(wanted, known)
    raise TargetError(f"{place} has no class '{wanted}'; there are {' and '.join(known)}.{hint}")


def lookup_key(label: Label) -> str:
    """Return the canonical text that identifies a label across types."""
    if isinstance(label, float) and label.is_integer() and abs(label) < EXACT_INTEGERS:
        return str(int(label))
    return _key(str(label))


def _key(text: str) -> str:
    """Return the canonical text of one label."""
    values = level_values(pa.array([text], pa.string())).values
    return str(values[0].as_py()) if len(values) else text
