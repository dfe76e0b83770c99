"""Guess the date format of a column from all of its distinct values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.dates import DATE_ORDERS, DateFormat, has_shape, parse_moments
from xrfm_cli.datasets.cells.signs import plain_signs
from xrfm_cli.datasets.cells.values import PLACEHOLDER_WORDS, word_set
from xrfm_cli.datasets.dialect import DateOrder
from xrfm_cli.mentions import as_flag

_MIN_ORDERED = 6  # fewer dates may be in order by chance
_SAMPLE = 50  # distinct texts, enough to reject most columns without dates
_SAMPLE_SHARE = 0.5  # minimum share of dates in the sample for the column to be read
_DATES_SHARE = 0.99  # minimum share of dates among all distinct texts; the others may be anything
EXISTING_SHARE = 0.9  # minimum share if all others look like dates that do not exist, such as 2023-02-30


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatGuess:
    """A date format for a column, with the evidence."""

    date_format: DateFormat
    evidence: str
    doubt: str = ""  # an ambiguous date, if nothing resolves it


def guess_format(text: pa.Array, date_order: DateOrder | None = None) -> FormatGuess | None:
    """Return the date format that all of the distinct ``text`` fits, or None.

    ``date_order`` is the user's choice for all-digit dates. Without it, the dates themselves must decide.

    >>> guess_format(pa.array(["02-10-2012 09:00", "28-10-2012 10:00"])).evidence
    'day first: the first number goes up to 28'
    """
    words = text.drop_null()
    words = plain_signs(words.filter(pc.invert(pc.is_in(words, value_set=word_set(PLACEHOLDER_WORDS)))))
    if not len(words) or not pc.any(pc.match_substring_regex(words, "[0-9]")).as_py():
        return None
    sample = words.slice(0, _SAMPLE)
    for family in ("iso", "month name", "time"):
        found: DateFormat = family
        if parse_moments(sample, found).valid.mean() >= _SAMPLE_SHARE and _reads(words, (found,)):
            return FormatGuess(date_format=found, evidence="")
    if has_shape(sample, "any order").mean() < _SAMPLE_SHARE:
        return None
    if date_order is not None:
        order = DATE_ORDERS[date_order]
        if not _reads(words, (order,)):
            return None
        return FormatGuess(date_format=order, evidence=as_flag("date_order", date_order))
    return _order_of(words)


def _reads(words: pa.Array, formats: tuple[DateFormat, ...]) -> tuple[DateFormat, ...]:
    """Return the formats in which enough of the distinct texts are dates.

    If no format reads nearly all of them, the rest may look like dates that are invalid in every format.
    """
    valid = {known: parse_moments(words, known).valid for known in formats}
    reading = tuple(known for known in formats if valid[known].mean() >= _DATES_SHARE)
    if reading:
        return reading
    nowhere = ~np.logical_or.reduce([valid[known] for known in formats])
    shaped = np.logical_or.reduce([has_shape(words, known) for known in formats])
    return tuple(
        known
        for known in formats
        if valid[known].mean() >= EXISTING_SHARE and bool((valid[known] | (nowhere & shaped)).all())
    )


def _order_of(words: pa.Array) -> FormatGuess | None:
    """Decide from all values of the column whether 02-10-12 is in October, in February or in 2002."""
    possible = _reads(words, tuple(DATE_ORDERS.values()))
    if not possible:
        return None
    if len(possible) == 1:
        return FormatGuess(date_format=possible[0], evidence=_evidence(words, possible[0]))
    readings = {order: parse_moments(words, order) for order in possible}
    values = np.stack([reading.values for reading in readings.values()])
    differs = np.flatnonzero((values != values[0]).any(axis=0))
    if not len(differs):
        return FormatGuess(date_format="any order", evidence="the same in every order of day and month")
    if len(words) >= _MIN_ORDERED:
        ordered = [order for order in possible if (np.diff(readings[order].values) >= 0).all()]
        if len(ordered) == 1:
            return FormatGuess(date_format=ordered[0], evidence=f"{ordered[0]}: the rows are then in order")
    example = int(differs[0])
    days = list(
        dict.fromkeys(
            str(reading.values[example].astype("datetime64[us]").astype("datetime64[D]"))
            for reading in readings.values()
            if reading.valid[example]
        )
    )
    doubt = f"has '{words[example].as_py()}', which may be {', '.join(days[:-1])} or {days[-1]}"
    return FormatGuess(date_format=possible[0], evidence="", doubt=doubt)


def _evidence(words: pa.Array, order: DateFormat) -> str:
    """Explain why only this order fits all dates."""
    if order == "day first":
        parts = pc.extract_regex(words.filter(pa.array(has_shape(words, order))), r"^(?P<day>[0-9]{1,2})")
        return f"day first: the first number goes up to {pc.max(parts.field('day').cast(pa.int64())).as_py()}"
    return "month first: the second number exceeds 12" if order == "month first" else order
