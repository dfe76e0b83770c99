"""Infer the kind of a column, with the reason: numbers, categories, dates, text, an identifier or a constant.

The decision depends on the values, not on their storage type, so a CSV file and a Parquet file of the same
table give the same kinds. One exception: numbers stored as an Arrow dictionary (a pandas category), as text
or not, stay categories, since whoever wrote them declared them so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.dates import DateFormat, is_iso, moment_values
from xrfm_cli.datasets.cells.durations import UNIT as DURATION
from xrfm_cli.datasets.cells.plain_types import is_date, is_number, is_readable, is_text, plain_array
from xrfm_cli.datasets.cells.prose import looks_like_words
from xrfm_cli.datasets.cells.spellings import has_digits
from xrfm_cli.datasets.cells.units import common_unit, may_have_unit, unit_note, units_of
from xrfm_cli.datasets.cells.values import (
    Levels,
    Numbers,
    cast_numbers,
    is_placeholder,
    level_values,
    number_values,
    parse_numbers,
    tidy_text,
    to_mask,
)
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.datasets.schema.date_kinds import (
    decide_moments,
    decide_text_as_moments,
    words_of,
)
from xrfm_cli.datasets.schema.kind_decision import KINDS, Kind, KindDecision, unreadable_note
from xrfm_cli.datasets.schema.near_misses import near_miss_note
from xrfm_cli.datasets.schema.number_kinds import decide_numbers
from xrfm_cli.datasets.schema.word_kinds import decide_words, quote_words
from xrfm_cli.mentions import option

__all__ = ["KINDS", "Kind", "KindDecision", "decide_kind", "find_unreadable", "is_missing"]

_MOST_ODD_SHARE = 0.1  # of distinct cells without the shape of a number, if a unit is looked for
_TOLERATED_SHARE = 0.01  # of unreadable cells in a column of numbers


def decide_kind(
    name: str,
    column: pa.ChunkedArray | pa.Array,
    decimal: str = ".",
    date_order: DateOrder | None = None,
    *,
    is_typed: bool = False,
) -> KindDecision:
    """Return the kind of a column and the reason, from its values and its name.

    With ``is_typed``, text is literal: in a categorical column, a missing-value spelling is a level. In
    numbers and dates it is a missing cell in every format.

    >>> decide_kind("stock", pa.array(["12", "?", "7.5"])).reason
    'numbers from 7.5 to 12, 2 distinct; 1 missing'
    >>> decide_kind("answer", pa.array(["Yes", "No", "Yes"])).kind
    'boolean'
    >>> decide_kind("day", pa.array(["13.10.2014", "02.10.2014"])).datetime_format
    'day first'
    """
    is_marked = pa.types.is_dictionary(column.type)  # numbers in it are category names
    array = plain_array(column)
    words = partial(word_levels, array, decimal, is_typed=is_typed)
    if is_marked and is_number(array.type):
        return decide_words(name, words())
    if pa.types.is_null(array.type):
        return KindDecision(kind="constant", reason="every cell is missing")
    if not is_readable(array.type):
        fact = f"holds {array.type}, which is not a number, date or text"
        doubt = f"{fact}; leave the column out with {option('drop')}"
        return KindDecision(kind="constant", reason=fact, doubt=doubt)
    if pa.types.is_duration(array.type):
        decision = decide_numbers(name, number_values(array), unit_note(DURATION))
        return replace(decision, unit=DURATION)
    if is_number(array.type):
        return decide_numbers(name, number_values(array), exact=array)
    if is_date(array.type):
        return decide_moments(array, "time" if pa.types.is_time(array.type) else "iso", "")
    if not is_text(array.type):
        return decide_words(name, words())
    if is_marked:
        levels = level_values(array, decimal)
        return decide_text_as_moments(array, levels, date_order) or decide_words(name, words())
    numbers = cast_numbers(array) if decimal == "." else None
    if numbers is None:
        if is_iso(array):
            return decide_moments(array, "iso", "")
        tidy = tidy_text(array)
        numbers = cast_numbers(tidy) if decimal == "." else None
    if numbers is None:
        if is_iso(tidy):
            return decide_moments(array, "iso", "")
        if looks_like_words(tidy):
            return decide_words(name, words())
        numbers = parse_numbers(tidy, decimal)
    if not numbers.unreadable.any() and not (is_typed and np.isnan(numbers.values).all()):
        return decide_numbers(name, numbers, exact=array)  # the usual case, without computing levels
    levels = level_values(array, decimal)
    if not has_digits(levels.values):  # the usual column of words, which nothing below can read
        return decide_words(name, words())
    return (
        _decide_text_as_numbers(name, levels, decimal)
        or decide_text_as_moments(array, levels, date_order)
        or _decide_numbers_with_unit(name, levels, decimal, words)
        or _with_note(decide_words(name, words()), near_miss_note(levels, decimal))
    )


def _with_note(decision: KindDecision, note: str) -> KindDecision:
    return replace(decision, reason=decision.reason + note)


def _decide_text_as_numbers(name: str, levels: Levels, decimal: str, unit: str = "") -> KindDecision | None:
    """Decide on numbers stored as text, allowing missing-value marks and a few errors; None otherwise."""
    numbers = parse_numbers(levels.values, decimal, unit)
    readable = ~np.isnan(numbers.values)
    if readable.sum() < 2:
        return None
    counts = levels.counts()
    marks = numbers.unreadable & is_placeholder(levels.values)
    errors = numbers.unreadable & ~marks
    if errors.any() and not unit and common_unit(levels.values.filter(pa.array(~marks))):
        return None  # all are numbers of one notation, such as 1,200 and (300)
    few_errors = counts[errors].sum() <= _TOLERATED_SHARE * counts.sum() and readable.sum() >= 20
    if errors.any() and not few_errors:
        return None
    reason = unit_note(unit)
    if marks.any():
        reason += f"; {quote_words(levels.values, marks)} counts as missing"
    if errors.any():
        example = int(np.flatnonzero(errors)[0])
        row = int(np.flatnonzero(levels.codes == example)[0]) + 1
        some = f"'{levels.values[example].as_py()}' in row {row}"
        reason += unreadable_note(int(counts[errors].sum()), some)
    values = np.append(numbers.values, np.nan)[levels.codes]
    plain = Numbers(values=values, unreadable=np.zeros(len(values), dtype=bool))
    return replace(decide_numbers(name, plain, reason), unit=unit)


def _decide_numbers_with_unit(
    name: str, levels: Levels, decimal: str, words: Callable[[], Levels]
) -> KindDecision | None:
    """Decide on numbers that share one unit; with several units they are categories, with a note."""
    measured = words_of(levels)
    units = units_of(measured)
    if not units and len(measured):
        shaped = may_have_unit(measured)
        units = units_of(measured.filter(pa.array(shaped))) if shaped.mean() > 1 - _MOST_ODD_SHARE else ()
    if not any(units):
        return None
    if len(units) > 1:
        shown = " and ".join(f"'{unit}'" if unit else "none" for unit in units[:3])
        decision = decide_words(name, words())
        return replace(
            decision, reason=f"{decision.reason}; numbers with different units ({shown}) are categories"
        )
    return _decide_text_as_numbers(name, levels, decimal, units[0])


def find_unreadable(
    column: pa.ChunkedArray, kind: Kind, decimal: str, date_format: DateFormat | None, unit: str
) -> int:
    """Return the first row (from 0) whose cell does not fit the kind given by the user, or -1."""
    if kind == "numeric":
        bad = number_values(column, decimal, unit).unreadable
    elif kind == "datetime":
        bad = moment_values(column, date_format or "iso").unreadable
    else:
        return -1
    rows = np.flatnonzero(bad)
    return int(rows[0]) if len(rows) else -1


def is_missing(column: pa.ChunkedArray) -> np.ndarray:
    """Return which cells are missing, bool (n,), for a column of any type.

    >>> is_missing(pa.chunked_array([["a", "NA", ""]])).tolist()
    [False, True, True]
    """
    array = plain_array(column)
    if is_number(array.type):
        return np.isnan(number_values(array).values)
    if is_date(array.type):
        return to_mask(pc.is_null(array))
    return level_values(array).codes < 0
