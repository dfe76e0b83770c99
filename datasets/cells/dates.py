"""Convert text, integers and Arrow types to moments: microseconds since 1970 in UTC.

A format is a family of spellings, chosen once for a column and stored in its schema:

    iso          2014-10-13, 2014/10/13 09:30, 20141013T093000Z, 2014-10; and typed dates;
                 the start of 2014Q4, Q4 2014, 2014M10, 2014-W42 and 2014-10-13/2014-10-19
    day first    13.10.2014, 13/10/14 9:30 pm
    month first  10/13/2014
    year first   14/10/13
    any order    05/05/2014, 13.10.2014, if all valid readings of the date give the same day
    month name   13 Oct 2014, October 13, 2014, Oct 2014
    time         09:30, 9:30:15 pm          (on 1 January 1970)
    digits       20141013 as a whole number
    epoch s, epoch ms, epoch us, epoch ns   whole numbers counted from 1970
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.date_patterns import PATTERNS
from xrfm_cli.datasets.cells.plain_types import is_date, is_text, plain_array
from xrfm_cli.datasets.cells.signs import plain_signs
from xrfm_cli.datasets.cells.values import (
    cast_text,
    is_placeholder,
    level_values,
    number_values,
    tidy_text,
    to_mask,
    word_set,
)
from xrfm_cli.datasets.dialect import DateOrder

DateFormat = Literal[
    "iso", "day first", "month first", "year first", "any order", "month name", "time", "digits",
    "epoch s", "epoch ms", "epoch us", "epoch ns",
]  # fmt: skip
DATE_FORMATS: tuple[str, ...] = get_args(DateFormat)
DATE_ORDERS: dict[DateOrder, DateFormat] = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_EPOCH_SCALE = {"epoch s": 1e6, "epoch ms": 1e3, "epoch us": 1.0, "epoch ns": 1e-3}
_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL_MONTHS = (
    "^(?i)(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    "|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)$"
)
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """A column as moments in time."""

    values: np.ndarray  # int64 (n,): microseconds since 1970-01-01 UTC, 0 where not valid
    valid: np.ndarray  # bool (n,)
    unreadable: np.ndarray  # bool (n,): text that is not a date in this format


def parse_moments(text: pa.Array, date_format: DateFormat) -> Moments:
    """Parse tidy text in one date format; text that does not fit, or an invalid date, is unreadable.

    >>> moments = parse_moments(pa.array(["13.10.2014 09:30", "31.02.2014"]), "day first")
    >>> moments.values.astype("datetime64[us]")[:1], moments.unreadable.tolist()
    (array(['2014-10-13T09:30:00.000000'], dtype='datetime64[us]'), [False, True])
    """
    present = to_mask(pc.is_valid(text))
    if date_format == "iso":
        quick = _cast_iso(text)
        if quick is not None:
            return Moments(values=quick, valid=present, unreadable=np.zeros(len(text), dtype=bool))
    if date_format in _EPOCH_SCALE:
        return _from_epoch(number_values(text).values, date_format, present)
    if date_format == "any order":
        return _in_any_order(text)
    text = plain_signs(text)
    values = np.zeros(len(text), dtype=np.int64)
    valid = np.zeros(len(text), dtype=bool)
    for pattern in PATTERNS[date_format]:
        open_rows = np.flatnonzero(present & ~valid)
        if not len(open_rows):
            break
        parts = pc.extract_regex(text.take(pa.array(open_rows)), pattern)
        moments, good = _assemble(parts)
        values[open_rows[good]] = moments[good]
        valid[open_rows[good]] = True
    return Moments(values=values, valid=valid, unreadable=present & ~valid)


def _in_any_order(text: pa.Array) -> Moments:
    """Parse dates that mean the same in every order of day, month and year in which they are valid."""
    readings = [parse_moments(text, order) for order in DATE_ORDERS.values()]
    valid = np.stack([reading.valid for reading in readings])
    values = np.stack([reading.values for reading in readings])
    latest = np.where(valid, values, np.iinfo(np.int64).min).max(axis=0)
    agree = valid.any(axis=0) & (~valid | (values == latest)).all(axis=0)
    return Moments(
        values=np.where(agree, latest, 0), valid=agree, unreadable=to_mask(pc.is_valid(text)) & ~agree
    )


def has_shape(text: pa.Array, date_format: DateFormat) -> np.ndarray:
    """Return which texts are spelled like dates of this format, valid or not, bool (n,).

    >>> has_shape(pa.array(["2023-02-30", "x"]), "iso").tolist()
    [True, False]
    """
    text, found = plain_signs(text), np.zeros(len(text), dtype=bool)
    for pattern in PATTERNS[date_format]:
        found |= to_mask(pc.match_substring_regex(text, pattern))
    return found


def is_iso(text: pa.Array) -> bool:
    """Return whether text holds only ISO 8601 dates that Arrow can read, and missing cells.

    >>> is_iso(pa.array(["2024-05-01", None])), is_iso(pa.array(["2024-05-01", "soon"]))
    (True, False)
    """
    return text.null_count < len(text) and _cast_iso(text) is not None


def _cast_iso(text: pa.Array) -> np.ndarray | None:
    """Parse ISO 8601 with Arrow's fast reader; None if a cell needs the patterns."""
    stamps = cast_text(text, pa.timestamp("us"))
    if stamps is None:
        return None
    return np.asarray(pc.fill_null(stamps.cast(pa.int64()), 0).to_numpy(zero_copy_only=False))


def _assemble(parts: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Convert the named groups of a pattern to (microseconds, valid)."""
    names = {parts.type.field(i).name for i in range(parts.type.num_fields)}
    matched = to_mask(pc.is_valid(parts))

    def part(name: str, default: int) -> np.ndarray:
        if name not in names:
            return np.full(len(parts), default, dtype=np.int64)
        text = parts.field(name)
        filled = pc.if_else(pc.equal(pc.fill_null(text, ""), ""), str(default), text)
        return np.asarray(filled.cast(pa.int64()).to_numpy(zero_copy_only=False))

    year, month, day = part("year", 1970), part("month", 1), part("day", 1)
    if "year" in names:
        short = pc.less(pc.fill_null(pc.utf8_length(parts.field("year")), 4), 4)
        year = np.where(to_mask(short), year + np.where(year < 69, 2000, 1900), year)
    if "name" in names:
        name = parts.field("name")
        number = pc.index_in(
            pc.utf8_slice_codeunits(pc.ascii_lower(name), 0, 3), value_set=word_set(_MONTH_NAMES)
        )
        known = pc.and_(pc.is_valid(number), pc.match_substring_regex(name, _FULL_MONTHS))
        month = pc.fill_null(number, 0).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        matched &= to_mask(known)
    if "quarter" in names:
        month = 3 * part("quarter", 1) - 2
    hour, minute, second = part("hour", 0), part("minute", 0), part("second", 0)
    micro = np.zeros(len(parts), dtype=np.int64)
    if "hour" in names:
        hour, micro = _clock_details(parts, hour)
    good = matched & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    is_end = (hour == 24) & (minute == 0) & (second == 0) & ("year" in names)  # 24:00 ends a day
    good &= ((hour < 24) | is_end) & (minute < 60) & (second < 61) & (hour >= 0)
    month, year = np.where(good, month, 1), np.where(good, year, 1970)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    good &= day <= np.where((month == 2) & ~leap, 28, _MONTH_DAYS[month])
    months = ((year - 1970) * 12 + (month - 1)).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    if "week" in names:  # week 1 contains 4 January
        week, first = part("week", 1), days + 3
        days = first - (first + 3) % 7 + 7 * (week - 1)
        thursday = (days + 3).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        good &= (week >= 1) & (thursday == year)
    clock = (hour * 3600 + minute * 60 + second) * _SECOND + micro
    return np.where(good, days * _DAY + clock, 0), good


def _clock_details(parts: pa.StructArray, hour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hour on a 24-hour clock, and microseconds to add for the fraction and the time zone."""
    half = pc.ascii_lower(pc.fill_null(parts.field("half"), ""))
    is_pm, is_am = to_mask(pc.equal(half, "p")), to_mask(pc.equal(half, "a"))
    fits_half = (hour >= 1) & (hour <= 12)
    hour = np.where(is_am | is_pm, np.where(fits_half, hour % 12 + 12 * is_pm, 99), hour)
    fraction = pc.utf8_slice_codeunits(
        pc.utf8_rpad(pc.fill_null(parts.field("fraction"), ""), width=6, padding="0"), 0, 6
    )
    micro = np.asarray(fraction.cast(pa.int64()).to_numpy(zero_copy_only=False))
    zone = pc.replace_substring(pc.fill_null(parts.field("zone"), ""), ":", "")
    offset = pc.if_else(pc.match_substring_regex(zone, "^[+-]"), zone, "+0000")
    digits = pc.utf8_rpad(pc.utf8_slice_codeunits(offset, 1, 5), width=4, padding="0")
    hours = np.asarray(pc.utf8_slice_codeunits(digits, 0, 2).cast(pa.int64()).to_numpy(zero_copy_only=False))
    minutes = np.asarray(
        pc.utf8_slice_codeunits(digits, 2, 4).cast(pa.int64()).to_numpy(zero_copy_only=False)
    )
    sign = np.where(to_mask(pc.starts_with(offset, "-")), -1, 1)
    return hour, micro - sign * (hours * 3600 + minutes * 60) * _SECOND


def _from_epoch(numbers: np.ndarray, date_format: str, present: np.ndarray) -> Moments:
    """Convert numbers counted from 1970 to moments."""
    with np.errstate(over="ignore", invalid="ignore"):
        micro = numbers * _EPOCH_SCALE[date_format]
    valid = np.isfinite(micro) & (np.abs(micro) < 2.5e17)  # within the years 1 and 9999
    return Moments(
        values=np.where(valid, micro, 0.0).astype(np.int64), valid=valid, unreadable=present & ~valid
    )


def moment_values(column: pa.ChunkedArray | pa.Array, date_format: DateFormat) -> Moments:
    """Return a column of any type as moments; marks such as "-" are missing.

    >>> moment_values(pa.array(["20141013", "?"]), "digits").valid.tolist()
    [True, False]
    """
    array = plain_array(column)
    if is_date(array.type):
        moments = _typed_moments(array)
        if date_format == "time" and not pa.types.is_time(array.type):  # as for text dates
            none = np.zeros_like(moments.valid)
            return Moments(values=np.zeros_like(moments.values), valid=none, unreadable=moments.valid)
        return moments
    if date_format in _EPOCH_SCALE and not is_text(array.type):
        values = number_values(array).values
        return _from_epoch(values, date_format, ~np.isnan(values))
    if date_format == "iso" and is_text(array.type):
        tidy, quick = array, _cast_iso(array)  # usually succeeds, and tidying takes longer than this
        if quick is None:
            tidy = tidy_text(array)
            quick = _cast_iso(tidy)
        if quick is not None:
            none = np.zeros(len(array), dtype=bool)
            return Moments(values=quick, valid=to_mask(pc.is_valid(tidy)), unreadable=none)
    levels = level_values(array)
    moments = parse_moments(levels.values, date_format)
    unreadable = moments.unreadable & ~is_placeholder(levels.values)
    rows = levels.codes  # code -1 selects the appended last entry
    return Moments(
        values=np.append(moments.values, 0)[rows],
        valid=np.append(moments.valid, False)[rows],
        unreadable=np.append(unreadable, False)[rows],
    )


def _typed_moments(array: pa.Array) -> Moments:
    """Convert Arrow dates, times and timestamps; finer units are truncated, zones are already UTC."""
    valid = to_mask(pc.is_valid(array))
    kind = array.type
    if pa.types.is_date(kind):
        array = array.cast(pa.timestamp("ms"))
    elif pa.types.is_time32(kind):
        array = array.cast(pa.time64("us"))
    unit = array.type.unit
    raw = array.cast(pa.int64())
    integers = np.asarray(pc.fill_null(raw, 0).to_numpy(zero_copy_only=False))
    scale = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(unit)
    values = np.floor_divide(integers, 1_000) if scale is None else integers * scale
    return Moments(values=values, valid=valid, unreadable=np.zeros(len(array), dtype=bool))
