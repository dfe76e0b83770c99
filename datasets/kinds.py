"""What a column is, and why: numbers, categories, dates, text, a name for each row, or nothing.

The decision looks at values, never at how they are stored, so that a CSV file and a Parquet file of the same
table are understood alike. The one exception: numbers that were stored as an Arrow dictionary (a pandas
category) were called categories by whoever wrote them, and stay so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.dates import DateFormat, Moments, guess_format, moment_values, parse_moments
from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.datasets.durations import UNIT as DURATION
from xrfm_cli.datasets.plain_types import is_date, is_number, is_readable, is_text, plain_array
from xrfm_cli.datasets.units import unit_note, units_of
from xrfm_cli.datasets.values import (
    Levels,
    Numbers,
    is_placeholder,
    level_values,
    number_values,
    parse_numbers,
    tidy_text,
    to_mask,
)

Kind = Literal["numeric", "boolean", "categorical", "datetime", "text", "identifier", "constant"]
KINDS: tuple[str, ...] = get_args(Kind)

DATE_ORDER_HINT = (
    "; give --date-order dmy, mdy or ymd, write dates as yyyy-mm-dd, or leave the column out with --drop"
)
# Pairs of words that mean no and yes, in that order.
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))

_ID_NAME = re.compile(
    r"(?:^|[^A-Za-z])(?i:id|ids|uid|uuid|guid|key|index|idx|rowid|row|rownum|instant|unnamed.*)$"
    r"|[a-z](?:ID|Id|UUID|Key)$|^__index_level_\d+__$"
)
_ORDER_NAME = re.compile(
    r"(?i)^(?:.|x\d*|t\d*|.*(?:time|day|date|week|month|year|hour|step|period|age|rank|seq|position|pos|dist).*)$"
)
_MIN_ROWS_FOR_NAMES = 20  # with fewer rows, distinct values say nothing
_TEXT_WORDS = 3.0  # words in the average cell of free text
EXACT_INTEGERS = 2.0**53  # beyond it, floats skip whole numbers
_TOLERATED_SHARE = 0.01  # of unreadable cells in a column of numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The kind of a column with its reason and what reading it needs."""

    kind: Kind
    reason: str
    datetime_format: DateFormat | None = None
    levels_count: int = 0
    unit: str = ""  # of numbers that are text
    doubt: str = ""  # why the cells cannot be read in one way, and the way out


def decide_kind(
    name: str, column: pa.ChunkedArray | pa.Array, decimal: str = ".", date_order: DateOrder | None = None
) -> Decision:
    """The kind of one column and the reason, from its values and its name.

    >>> decide_kind("stock", pa.array(["12", "?", "7.5"])).reason
    'numbers from 7.5 to 12, 2 distinct; 1 missing'
    >>> decide_kind("answer", pa.array(["Yes", "No", "Yes"])).kind
    'boolean'
    >>> decide_kind("day", pa.array(["13.10.2014", "02.10.2014"])).datetime_format
    'day first'
    """
    marked_category = pa.types.is_dictionary(column.type) and is_number(column.type.value_type)
    array = plain_array(column)
    if marked_category:
        return _decide_words(name, level_values(array, decimal))
    if pa.types.is_null(array.type):
        return Decision(kind="constant", reason="every cell is missing")
    if not is_readable(array.type):
        doubt = f"holds {array.type}, which is no number, date or text; leave the column out with --drop"
        return Decision(kind="constant", reason=doubt, doubt=doubt)
    if pa.types.is_duration(array.type):
        decision = _decide_numbers(name, number_values(array), unit_note(DURATION))
        return replace(decision, unit=DURATION)
    if is_number(array.type):
        return _decide_numbers(name, number_values(array), exact=array)
    if is_date(array.type):
        date_format: DateFormat = "time" if pa.types.is_time(array.type) else "iso"
        return _decide_moments(moment_values(array, date_format), date_format, "")
    if not is_text(array.type):
        return _decide_words(name, level_values(array))
    numbers = parse_numbers(tidy_text(array), decimal)
    if not numbers.unreadable.any():
        return _decide_numbers(name, numbers, exact=array)  # the usual case, without looking for levels
    levels = level_values(array, decimal)
    return (
        _decide_text_as_numbers(name, levels, decimal)
        or _decide_text_as_moments(array, levels, date_order)
        or _decide_numbers_with_unit(name, levels, decimal)
        or _decide_words(name, levels)
    )


def _decide_text_as_numbers(name: str, levels: Levels, decimal: str) -> Decision | None:
    """Numbers that are spelled as text, but for marks of missing cells and a few errors."""
    numbers = parse_numbers(levels.values, decimal)
    readable = ~np.isnan(numbers.values)
    if readable.sum() < 2:
        return None
    counts = levels.counts()
    marks = numbers.unreadable & is_placeholder(levels.values)
    errors = numbers.unreadable & ~marks
    few_errors = counts[errors].sum() <= _TOLERATED_SHARE * counts.sum() and readable.sum() >= 20
    if errors.any() and not few_errors:
        return None
    reason = ""
    if marks.any():
        reason += f"; {_quote_words(levels.values, marks)} counts as missing"
    if errors.any():
        example = int(np.flatnonzero(errors)[0])
        row = int(np.flatnonzero(levels.codes == example)[0]) + 1
        some = f"'{levels.values[example].as_py()}' in row {row}"
        reason += f"; {int(counts[errors].sum())} unreadable cells such as {some} count as missing"
    values = np.append(numbers.values, np.nan)[levels.codes]
    plain = Numbers(values=values, unreadable=np.zeros(len(values), dtype=bool))
    return _decide_numbers(name, plain, reason)


def _decide_numbers_with_unit(name: str, levels: Levels, decimal: str) -> Decision | None:
    """Numbers that all have the same unit; with several units they stay words, and the reason says so."""
    words = _words(levels)
    units = units_of(words)
    if not any(units):
        return None
    if len(units) > 1:
        shown = " and ".join(f"'{unit}'" if unit else "none" for unit in units[:3])
        decision = _decide_words(name, levels)
        return replace(
            decision, reason=f"{decision.reason}; numbers with different units, {shown}, are words"
        )
    numbers = parse_numbers(levels.values, decimal, units[0])
    if np.isfinite(numbers.values).sum() < 2 or np.isnan(numbers.values).sum() > len(levels.values) - len(
        words
    ):
        return None
    values = np.append(numbers.values, np.nan)[levels.codes]
    plain = Numbers(values=values, unreadable=np.zeros(len(values), dtype=bool))
    decision = _decide_numbers(name, plain, unit_note(units[0]))
    return replace(decision, unit=units[0])


def _words(levels: Levels) -> pa.Array:
    """The levels that are no marks of missing cells."""
    return levels.values.filter(pa.array(~is_placeholder(levels.values)))


def _are_durations(array: pa.Array, levels: Levels) -> bool:
    """Whether cells of which most are times of day, but not 25:00:00, are durations without exception."""
    return bool(moment_values(array, "time").unreadable.any()) and units_of(_words(levels)) == (DURATION,)


def _decide_numbers(name: str, numbers: Numbers, extra: str = "", exact: pa.Array | None = None) -> Decision:
    """Kinds that a column of numbers can be; ``exact`` holds the cells from which the numbers came."""
    values = numbers.values
    missing = np.isnan(values)
    present = values[~missing]
    if not len(present):
        return Decision(kind="constant", reason="every cell is missing")
    distinct = np.unique(present)
    if len(distinct) == 1 and not missing.any():
        return Decision(kind="constant", reason=f"the same number in every row: {_show(distinct[0])}")
    whole = bool(np.isfinite(distinct).all() and (np.trunc(distinct) == distinct).all())
    if whole and _are_day_digits(distinct):
        return _decide_moments(moment_values(pa.array(values, from_pandas=True), "digits"), "digits", "")
    if whole:
        n_distinct = len(distinct)
        if max(-distinct[0], distinct[-1]) > EXACT_INTEGERS:
            extra += "; beyond 2^53, numbers are rounded to about 16 digits"
            n_distinct = n_distinct if exact is None else len(level_values(exact).values)
        reason = _identifier_reason(name, present, n_distinct, len(values))
        if reason:
            return Decision(kind="identifier", reason=reason, levels_count=n_distinct)
    what = "whole numbers" if whole else "numbers"
    finite = distinct[np.isfinite(distinct)]
    span = f" from {_show(finite[0])} to {_show(finite[-1])}" if len(finite) else ""
    return Decision(
        kind="numeric",
        reason=f"{what}{span}, {len(distinct):,} distinct{_missing_note(int(missing.sum()))}{extra}",
        levels_count=len(distinct),
    )


def _are_day_digits(distinct: np.ndarray) -> bool:
    """Whether whole numbers such as 20141013 are all days between 1900 and 2100."""
    if len(distinct) < 3 or distinct[0] < 19000101 or distinct[-1] > 21001231:
        return False
    text = pa.array(distinct.astype(np.int64)).cast(pa.string())
    return bool(parse_moments(text, "digits").valid.all())


def _identifier_reason(name: str, present: np.ndarray, n_distinct: int, n_rows: int) -> str:
    """Why whole numbers name rows rather than measure something, or an empty string."""
    if n_rows < _MIN_ROWS_FOR_NAMES or len(present) < n_rows:
        return ""
    if _ID_NAME.search(name) and n_distinct >= 0.9 * n_rows:
        return f"named like an identifier, {n_distinct:,} distinct whole numbers in {n_rows:,} rows"
    counts_up = present[0] in (0, 1) and n_distinct == n_rows and bool((np.diff(present) == 1).all())
    if counts_up and n_rows >= 50 and not _ORDER_NAME.match(name):
        return f"counts the rows from {_show(present[0])} to {_show(present[-1])}"
    return ""


def _decide_text_as_moments(array: pa.Array, levels: Levels, date_order: DateOrder | None) -> Decision | None:
    """Dates that are spelled as text."""
    guess = guess_format(levels.values, date_order)
    if guess is None or (guess.date_format == "time" and _are_durations(array, levels)):
        return None
    if guess.doubt:
        return Decision(kind="datetime", reason=guess.doubt, doubt=guess.doubt + DATE_ORDER_HINT)
    return _decide_moments(moment_values(array, guess.date_format), guess.date_format, guess.evidence)


def _decide_moments(moments: Moments, date_format: DateFormat, evidence: str) -> Decision:
    """Kinds that a column of dates can be."""
    present = moments.values[moments.valid]
    if not len(present):
        return Decision(kind="constant", reason="every cell is missing")
    low, high = (_show_moment(int(value)) for value in (present.min(), present.max()))
    missing = int((~moments.valid).sum())
    if low == high and not missing and present.min() == present.max():
        return Decision(kind="constant", reason=f"the same date in every row: {low}")
    what = "times of day" if date_format == "time" else "dates"
    if date_format == "time":
        low, high = low.split(" ")[-1], high.split(" ")[-1]
    detail = f", {evidence}" if evidence else ""
    return Decision(
        kind="datetime",
        reason=f"{what} from {low} to {high}{detail}{_missing_note(missing)}",
        datetime_format=date_format,
    )


def _decide_words(name: str, levels: Levels) -> Decision:
    """Kinds that a column of words can be."""
    count, n_rows = len(levels.values), len(levels.codes)
    missing = int((levels.codes < 0).sum())
    if count == 1 and not missing:
        return Decision(kind="constant", reason=f"the same text in every row: '{levels.values[0].as_py()}'")
    if count == 2 and boolean_pair(levels.values) is not None:
        words = " and ".join(f"'{word}'" for word in sorted(levels.values.to_pylist()))
        return Decision(kind="boolean", reason=f"two values, {words}{_missing_note(missing)}", levels_count=2)
    if count == 0:
        return Decision(kind="constant", reason="every cell is missing")
    present = n_rows - missing
    if present >= _MIN_ROWS_FOR_NAMES:
        words_mean = float(pc.mean(pc.add(pc.count_substring_regex(levels.values, r"\s+"), 1)).as_py())
        share = count / present
        if words_mean >= _TEXT_WORDS and share >= 0.5:
            return Decision(
                kind="text",
                reason=f"free text of about {words_mean:.0f} words, {count:,} distinct in {present:,} rows",
                levels_count=count,
            )
        if share >= 0.9 or (_ID_NAME.search(name) and share >= 0.5):
            return Decision(
                kind="identifier",
                reason=f"nearly every row has its own text, {count:,} distinct in {present:,} rows",
                levels_count=count,
            )
    return Decision(
        kind="categorical",
        reason=f"text with {count:,} levels{_missing_note(missing)}",
        levels_count=count,
    )


def boolean_pair(values: pa.Array) -> tuple[str, str] | None:
    """The words for no and yes, lower case, if the distinct values are such a pair.

    >>> boolean_pair(pa.array(["Yes", "No"]))
    ('no', 'yes')
    """
    words = {word.lower() for word in values.to_pylist()}
    return next((pair for pair in BOOLEAN_WORDS if words and words <= set(pair)), None)


def _quote_words(values: pa.Array, mask: np.ndarray) -> str:
    return " and ".join(f"'{word}'" for word in values.filter(pa.array(mask)).to_pylist()[:3])


def _missing_note(count: int) -> str:
    return f"; {count:,} missing" if count else ""


def _show(value: float) -> str:
    """A number as people write it: whole ones in full, others with six digits."""
    if np.isfinite(value) and value == np.trunc(value) and abs(value) < 1e15:
        return f"{int(value)}"
    return f"{value:.6g}"


def _show_moment(micro: int) -> str:
    text = str(np.datetime64(micro, "us").astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(" 00:00:00")


def find_unreadable(
    column: pa.ChunkedArray, kind: Kind, decimal: str, date_format: DateFormat | None, unit: str
) -> int:
    """The first row (from 0) whose cell does not fit a kind that the user named, or -1."""
    if kind == "numeric":
        bad = number_values(column, decimal, unit).unreadable
    elif kind == "datetime":
        bad = moment_values(column, date_format or "iso").unreadable
    else:
        return -1
    rows = np.flatnonzero(bad)
    return int(rows[0]) if len(rows) else -1


def is_missing(column: pa.ChunkedArray) -> np.ndarray:
    """Which cells are missing, bool (n,), whatever the type.

    >>> is_missing(pa.chunked_array([["a", "NA", ""]])).tolist()
    [False, True, True]
    """
    array = plain_array(column)
    if is_number(array.type):
        return np.isnan(number_values(array).values)
    if is_date(array.type):
        return to_mask(pc.is_null(array))
    return level_values(array).codes < 0
