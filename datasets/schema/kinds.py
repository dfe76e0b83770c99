"""Infer the kind of a column, with the reason: numbers, categories, dates, text, an identifier or a constant.

The decision depends on the values, not on their storage type, so a CSV file and a Parquet file of the same
table give the same kinds. One exception: numbers stored as an Arrow dictionary (a pandas category), as text
or not, stay categories, since whoever wrote them declared them so.
"""

from __future__ import annotations

import re
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
from xrfm_cli.datasets.cells.spellings import canonical_text, has_digits
from xrfm_cli.datasets.cells.units import common_unit, may_have_unit, unit_note, units_of
from xrfm_cli.datasets.cells.values import (
    EXACT_INTEGERS,
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
    are_day_digits,
    decide_moments,
    decide_text_as_moments,
    words_of,
)
from xrfm_cli.datasets.schema.kind_decision import KINDS, Kind, KindDecision, missing_note, unreadable_note
from xrfm_cli.datasets.schema.near_misses import near_miss_note

__all__ = ["KINDS", "Kind", "KindDecision", "decide_kind", "find_unreadable", "is_missing"]

# Pairs of words that mean no and yes, in that order.
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))

_ID_NAME = re.compile(
    r"(?:^|[^A-Za-z])(?i:id|ids|uid|uuid|guid|key|index|idx|rowid|row|rownum|instant|unnamed.*)$"
    r"|[a-z](?:ID|Id|UUID|Key)$|^__index_level_\d+__$"
)
_INDEX_NAME = re.compile(r"^(?:__index_level_\d+__|Unnamed: 0)$")  # how pandas writes an unnamed index
_ORDER_NAME = re.compile(
    r"(?i)^(?:.|x\d*|t\d*|.*(?:time|day|date|week|month|year|hour|step|period|age|rank|seq|position|pos|dist).*)$"
)
_MOST_BOOLEAN_SPELLINGS = 63  # more than the 48 mixed-case spellings of "true" and "false"
_MIN_ROWS_FOR_NAMES = 20  # with fewer rows, distinct values are not evidence
_COUNTED_BYTES = 1 << 23  # of levels whose words are counted; longer text is sampled evenly
_TEXT_WORDS = 3.0  # words in an average cell of free text
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
        return _decide_words(name, words())
    if pa.types.is_null(array.type):
        return KindDecision(kind="constant", reason="every cell is missing")
    if not is_readable(array.type):
        doubt = f"holds {array.type}, which is not a number, date or text; leave the column out with --drop"
        return KindDecision(kind="constant", reason=doubt, doubt=doubt)
    if pa.types.is_duration(array.type):
        decision = _decide_numbers(name, number_values(array), unit_note(DURATION))
        return replace(decision, unit=DURATION)
    if is_number(array.type):
        return _decide_numbers(name, number_values(array), exact=array)
    if is_date(array.type):
        return decide_moments(array, "time" if pa.types.is_time(array.type) else "iso", "")
    if not is_text(array.type):
        return _decide_words(name, words())
    if is_marked:
        levels = level_values(array, decimal)
        return decide_text_as_moments(array, levels, date_order) or _decide_words(name, words())
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
            return _decide_words(name, words())
        numbers = parse_numbers(tidy, decimal)
    if not numbers.unreadable.any() and not (is_typed and np.isnan(numbers.values).all()):
        return _decide_numbers(name, numbers, exact=array)  # the usual case, without computing levels
    levels = level_values(array, decimal)
    if not has_digits(levels.values):  # the usual column of words, which nothing below can read
        return _decide_words(name, words())
    return (
        _decide_text_as_numbers(name, levels, decimal)
        or decide_text_as_moments(array, levels, date_order)
        or _decide_numbers_with_unit(name, levels, decimal, words)
        or _with_note(_decide_words(name, words()), near_miss_note(levels, decimal))
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
        reason += f"; {_quote_words(levels.values, marks)} counts as missing"
    if errors.any():
        example = int(np.flatnonzero(errors)[0])
        row = int(np.flatnonzero(levels.codes == example)[0]) + 1
        some = f"'{levels.values[example].as_py()}' in row {row}"
        reason += unreadable_note(int(counts[errors].sum()), some)
    values = np.append(numbers.values, np.nan)[levels.codes]
    plain = Numbers(values=values, unreadable=np.zeros(len(values), dtype=bool))
    return replace(_decide_numbers(name, plain, reason), unit=unit)


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
        decision = _decide_words(name, words())
        return replace(
            decision, reason=f"{decision.reason}; numbers with different units ({shown}) are categories"
        )
    return _decide_text_as_numbers(name, levels, decimal, units[0])


def _decide_numbers(
    name: str, numbers: Numbers, extra: str = "", exact: pa.Array | None = None
) -> KindDecision:
    """Decide the kind of a column of numbers; ``exact`` holds the original cells."""
    values = numbers.values
    missing = np.isnan(values)
    present = values[~missing]
    if not len(present):
        return KindDecision(kind="constant", reason="every cell is missing")
    distinct = np.unique(present)
    if len(distinct) == 1 and not missing.any():
        return KindDecision(kind="constant", reason=f"the same number in every row: {_show(distinct[0])}")
    whole = bool(np.isfinite(distinct).all() and (np.trunc(distinct) == distinct).all())
    if whole and are_day_digits(distinct):
        return decide_moments(pa.array(values, from_pandas=True), "digits", "")
    if whole:
        n_distinct = len(distinct)
        if max(-distinct[0], distinct[-1]) > EXACT_INTEGERS:
            extra += "; beyond 2^53, numbers are rounded to about 16 digits"
            n_distinct = n_distinct if exact is None else len(level_values(exact).values)
        reason = _identifier_reason(name, present, n_distinct, len(values))
        if reason:
            return KindDecision(kind="identifier", reason=reason, levels_count=n_distinct)
    what = "whole numbers" if whole else "numbers"
    finite = distinct[np.isfinite(distinct)]
    span = f" from {_show(finite[0])} to {_show(finite[-1])}" if len(finite) else ""
    return KindDecision(
        kind="numeric",
        reason=f"{what}{span}, {len(distinct):,} distinct{missing_note(int(missing.sum()))}{extra}",
        levels_count=len(distinct),
    )


def _identifier_reason(name: str, present: np.ndarray, n_distinct: int, n_rows: int) -> str:
    """Return why whole numbers identify rows rather than measure something, or an empty string."""
    if n_rows < _MIN_ROWS_FOR_NAMES or len(present) < n_rows:
        return ""
    if _ID_NAME.search(name) and n_distinct >= 0.9 * n_rows:
        return f"named like an identifier, {n_distinct:,} distinct whole numbers in {n_rows:,} rows"
    with np.errstate(over="ignore"):  # a step beyond float64 is not 1 either
        steps = np.diff(present)
    begins = np.append(present[0], present[1:][steps != 1])  # starts of the concatenated frames
    if _INDEX_NAME.match(name) and present[0] in (0, 1) and (begins == present[0]).all():
        return f"counts the rows of {len(begins):,} concatenated tables"
    counts_up = present[0] in (0, 1) and n_distinct == n_rows and bool((steps == 1).all())
    if counts_up and n_rows >= 50 and not _ORDER_NAME.match(name):
        return f"counts the rows from {_show(present[0])} to {_show(present[-1])}"
    return ""


def _decide_words(name: str, levels: Levels) -> KindDecision:
    """Decide the kind of a column of words."""
    count, n_rows = len(levels.values), len(levels.codes)
    missing = int((levels.codes < 0).sum())
    if count == 1 and not missing:
        return KindDecision(
            kind="constant", reason=f"the same text in every row: '{levels.values[0].as_py()}'"
        )
    few = levels.values.slice(0, _MOST_BOOLEAN_SPELLINGS + 1)
    canonical = pc.unique(canonical_text(few))
    if count == len(few) and len(canonical) == 2 and boolean_pair(canonical) is not None:
        words = " and ".join(f"'{word}'" for word in sorted(canonical.to_pylist()))
        return KindDecision(
            kind="boolean", reason=f"two values, {words}{missing_note(missing)}", levels_count=2
        )
    if count == 0:
        return KindDecision(kind="constant", reason="every cell is missing")
    present = n_rows - missing
    if present >= _MIN_ROWS_FOR_NAMES:
        every = 1 + levels.values.nbytes // _COUNTED_BYTES
        counted = levels.values.take(pa.array(range(0, count, every)))
        words_mean = float(pc.mean(pc.add(pc.count_substring_regex(counted, r"\s+"), 1)).as_py())
        share = count / present
        if words_mean >= _TEXT_WORDS and share >= 0.5:
            return KindDecision(
                kind="text",
                reason=f"free text of about {words_mean:.0f} words, {count:,} distinct in {present:,} rows",
                levels_count=count,
            )
        if share >= 0.9 or (_ID_NAME.search(name) and share >= 0.5):
            return KindDecision(
                kind="identifier",
                reason=f"nearly every row has a different text, {count:,} distinct in {present:,} rows",
                levels_count=count,
            )
    return KindDecision(
        kind="categorical",
        reason=f"text with {count:,} levels{_spelling_note(levels.values)}{missing_note(missing)}",
        levels_count=count,
    )


def boolean_pair(values: pa.Array) -> tuple[str, str] | None:
    """Return the lower-case words for no and yes if the distinct values are such a pair, otherwise None.

    >>> boolean_pair(pa.array(["Yes", "No"]))
    ('no', 'yes')
    """
    words = {word.lower() for word in values.to_pylist()}
    return next((pair for pair in BOOLEAN_WORDS if words and words <= set(pair)), None)


def _quote_words(values: pa.Array, mask: np.ndarray) -> str:
    return " and ".join(f"'{word}'" for word in values.filter(pa.array(mask)).to_pylist()[:3])


def _spelling_note(words: pa.Array) -> str:
    """Name the levels that would be missing cells in a text file."""
    spelling = to_mask(pc.is_null(tidy_text(words)))
    return f", {_quote_words(words, spelling)} among them" if spelling.any() else ""


def _show(value: float) -> str:
    """Format a number: whole numbers in full, others with six digits."""
    if np.isfinite(value) and value == np.trunc(value) and abs(value) < 1e15:
        return f"{int(value)}"
    return f"{value:.6g}"


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
