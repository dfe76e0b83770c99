"""Convert cells to numbers or category levels, in the same way for text and for typed columns.

A value means the same whether a CSV file spells it ("3", "3.0") or a Parquet file stores it (int 3, float
3.0). Every rule here depends on one cell only, so a row means the same in any chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.durations import UNIT as DURATION
from xrfm_cli.datasets.cells.durations import UNIT_SECONDS, duration_seconds
from xrfm_cli.datasets.cells.plain_types import is_number, is_text, plain_array
from xrfm_cli.datasets.cells.signs import plain_signs
from xrfm_cli.datasets.cells.spellings import as_text, canonical_text
from xrfm_cli.datasets.cells.units import without_unit

# The usual spellings of a missing cell. "None" is not one of them: in real tables it is a level (no holiday,
# no basement), and it means missing only among numbers or dates.
MISSING_WORDS = (
    "", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "-nan", "-NaN", "null", "NULL", "Null",
    "?", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaT", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?",
    "#NUM!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "\\N", "(null)", "<null>", "[null]",
)  # fmt: skip
PLACEHOLDER_WORDS = (
    "-", "--", "---", ".", "..", "None", "none", "NONE", "na", "n.a.", "N.A.", "nil", "unknown",
    "Unknown", "UNKNOWN", "missing", "Missing", "MISSING", "NIL", "n/d", "N/D", "nd", "ND", "k.A.", "k. A.",
    "–", "—", "*", "0000-00-00", "0000-00-00 00:00:00",
)  # fmt: skip

_CELLS_AS_TEXT = 1 << 18  # numbers that are text at a time
_TRIED_CELLS = 8  # before a whole column is parsed: an ordinary word or date fails at once
GROUP_SIGNS = " \u00a0\u2009\u202f'’"  # between groups of three digits, besides point and comma

_NUMBER = (
    r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$|^(?i)[+-]?(?:inf(?:inity)?|nan(?:\(.*\))?)$"
)
EXACT_INTEGERS = 2.0**53  # beyond it, floats cannot represent every integer
_GROUPED = r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?$"
_LAKHS = r"^[+-]?[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]*)?$"  # Indian digit grouping
_SCALED_DECIMALS = 6  # decimals of 1.2M and the like, so that 4.35K is 4350 and not 4349.999999999999


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A column as numbers, NaN where a cell is missing or unreadable."""

    values: np.ndarray  # float64 (n,)
    unreadable: np.ndarray  # bool (n,): text that is not a number


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """A column as codes into its distinct values; -1 means missing."""

    values: pa.Array  # string (k,)
    codes: np.ndarray  # int64 (n,)

    def counts(self) -> np.ndarray:
        """Return how many rows have each level, int64 (k,)."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))


@cache
def word_set(words: tuple[str, ...]) -> pa.Array:
    """Return words as an Arrow array, created lazily: the first array of a process imports pandas."""
    return pa.array(words, pa.string())


def tidy_text(text: pa.Array) -> pa.Array:
    """Strip surrounding blanks; null where the text spells a missing value.

    >>> tidy_text(pa.array([" x ", "NA", "", "None"])).to_pylist()
    ['x', None, None, 'None']
    """
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(
        pc.is_in(trimmed, value_set=word_set(MISSING_WORDS)), pa.scalar(None, pa.string()), trimmed
    )


def is_placeholder(text: pa.Array) -> np.ndarray:
    """Return where text is a mark such as "-", which means missing among numbers or dates, bool (n,)."""
    return to_mask(pc.is_in(text, value_set=word_set(PLACEHOLDER_WORDS)))


def to_mask(array: pa.Array) -> np.ndarray:
    """Convert an Arrow array of booleans to a numpy mask; null becomes False."""
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def parse_numbers(text: pa.Array, decimal: str, unit: str = "") -> Numbers:
    """Parse tidy text as numbers, without digit grouping, and without the unit if one is given.

    >>> parse_numbers(pa.array(["1e3", "1,200.50", "1 200", "abc", None]), ".").values.tolist()
    [1000.0, 1200.5, 1200.0, nan, nan]
    >>> parse_numbers(pa.array(["1.200,5 kg", "3,25 kg", "4 lb"]), ",", "kg").values.tolist()
    [1200.5, 3.25, nan]
    """
    if unit == DURATION:
        seconds = duration_seconds(text)
        return Numbers(values=seconds, unreadable=to_mask(pc.is_valid(text)) & np.isnan(seconds))
    if unit:
        plain, scales = without_unit(text, unit)
        values = parse_numbers(plain, decimal).values
        values = np.where(scales == 1.0, values, np.round(values * scales, _SCALED_DECIMALS))
        return Numbers(values=values, unreadable=to_mask(pc.is_valid(text)) & np.isnan(values))
    if decimal == ".":
        plainly = cast_numbers(text)
        if plainly is not None:
            return plainly
    plain = _without_groups(pc.replace_substring(plain_signs(text), "1.#INF", "inf"))
    if decimal != ".":
        plain = _exchange_marks(plain)
    grouped = pc.match_substring_regex(plain, f"{_GROUPED}|{_LAKHS}" if decimal == "." else _GROUPED)
    plain = pc.if_else(grouped, pc.replace_substring(plain, ",", ""), plain)
    readable = pc.match_substring_regex(plain, _NUMBER)
    plain = pc.if_else(readable, plain, pa.scalar(None, pa.string()))
    unreadable = pc.invert(pc.fill_null(readable, True))
    values = pc.cast(pc.utf8_ltrim(plain, "+"), pa.float64())
    return Numbers(values=_float64(values), unreadable=to_mask(unreadable))


def cast_numbers(text: pa.Array) -> Numbers | None:
    """Parse text with Arrow; None if a cell is not a number or uses another notation.

    Text need not be tidy: a missing-value spelling either means NaN to Arrow too or is not a number.
    """
    values = cast_text(text, pa.float64())
    if values is None:
        return None
    return Numbers(values=_float64(values), unreadable=np.zeros(len(text), dtype=bool))


def cast_text(text: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Parse text with Arrow; None if a cell cannot be read.

    The first cells are tried first, because Arrow goes on to the end and formats an error for each cell.
    """
    try:
        pc.cast(text.slice(0, _TRIED_CELLS), kind)
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        return None


def _without_groups(text: pa.Array) -> pa.Array:
    """Remove blanks or apostrophes between groups of three digits."""
    for sign in GROUP_SIGNS:
        grouped = pc.match_substring_regex(text, rf"^[+-]?[0-9]{{1,3}}(?:{sign}[0-9]{{3}})+(?:[.,][0-9]*)?$")
        text = pc.if_else(grouped, pc.replace_substring(text, sign, ""), text)
    return text


def _exchange_marks(text: pa.Array) -> pa.Array:
    """Convert text with a decimal comma to the notation with a decimal point."""
    swapped = pc.replace_substring(text, ",", "\x00")
    swapped = pc.if_else(
        pc.match_substring_regex(text, r"^[^.,]*\.[0-9]{0,2}$|^[^.,]*\.[0-9]{4,}$|[eE]"),
        swapped,  # this point cannot separate groups of three, so it is a decimal point
        pc.replace_substring(swapped, ".", ","),
    )
    return pc.replace_substring(swapped, "\x00", ".")


def _float64(array: pa.Array) -> np.ndarray:
    """Convert Arrow floats to a numpy float64 array, with NaN for null."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _through_text(array: pa.Array) -> np.ndarray:
    """Convert numbers to float64 through their shortest text, a part at a time."""
    values = np.empty(len(array))
    for start in range(0, len(array), _CELLS_AS_TEXT):
        text = pc.cast(array.slice(start, _CELLS_AS_TEXT), pa.string())
        values[start : start + _CELLS_AS_TEXT] = _float64(pc.cast(text, pa.float64()))
    return values


def number_values(column: pa.ChunkedArray | pa.Array, decimal: str = ".", unit: str = "") -> Numbers:
    """Return a column of any type as numbers, float64 (n,); ``unit`` is the unit of numbers that are text.

    Durations are in seconds, or in ``unit`` if that is a unit of time. 32-bit floats are read through their
    shortest text, so that 0.1 is 0.1 and not 0.10000000149, as in the CSV file of the same table; so are
    decimals, which Arrow converts without correct rounding.

    >>> number_values(pa.array([1, None, 3])).values.tolist()
    [1.0, nan, 3.0]
    """
    array = plain_array(column)
    kind = array.type
    if pa.types.is_duration(kind):
        seconds = duration_seconds(array) / UNIT_SECONDS.get(unit, 1.0)
        return Numbers(values=seconds, unreadable=np.zeros(len(array), dtype=bool))
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif pa.types.is_null(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_float32(kind) or pa.types.is_decimal(kind):
        values = _through_text(array)
        return Numbers(values=values, unreadable=np.zeros(len(array), dtype=bool))
    elif is_text(kind):
        return _numbers_from_text(array, decimal, unit)
    elif not is_number(kind):
        return Numbers(values=np.full(len(array), np.nan), unreadable=to_mask(pc.invert(pc.is_null(array))))
    return Numbers(values=_float64(array), unreadable=np.zeros(len(array), dtype=bool))


def _numbers_from_text(text: pa.Array, decimal: str, unit: str) -> Numbers:
    """Parse raw text as numbers; marks such as "-" are missing, not unreadable, and booleans are 1 and 0."""
    if unit:  # parse each distinct text once, since units are slow to parse
        encoded = text.dictionary_encode()
        distinct = _parse_text(encoded.dictionary, decimal, unit)
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)  # -1: the last entry
        return Numbers(
            values=np.append(distinct.values, np.nan)[codes],
            unreadable=np.append(distinct.unreadable, False)[codes],
        )
    return _parse_text(text, decimal, unit)


def _parse_text(text: pa.Array, decimal: str, unit: str) -> Numbers:
    if decimal == "." and not unit:
        plainly = cast_numbers(text)  # usually succeeds, and tidying takes longer than this
        if plainly is not None:
            return plainly
    tidy = tidy_text(text)
    numbers = parse_numbers(tidy, decimal, unit)
    if not numbers.unreadable.any():
        return numbers
    words = pc.utf8_lower(tidy)
    is_true, is_false = to_mask(pc.equal(words, "true")), to_mask(pc.equal(words, "false"))
    values = np.where(is_true, 1.0, np.where(is_false, 0.0, numbers.values))
    return Numbers(
        values=values, unreadable=numbers.unreadable & ~is_placeholder(tidy) & ~is_true & ~is_false
    )


def level_values(column: pa.ChunkedArray | pa.Array, decimal: str = ".") -> Levels:
    """Return a column of any type as category levels, each keyed by one canonical text.

    >>> level_values(pa.array(["3", "3.0", "None", "", "True"])).values.to_pylist()
    ['3', 'None', 'true']
    >>> level_values(pa.array([3.0, None, 2.5])).codes.tolist()
    [0, -1, 1]
    """
    array = plain_array(column)
    encoded = (array if is_text(array.type) else as_text(array)).dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    again = canonical_text(tidy_text(encoded.dictionary), decimal).dictionary_encode()
    mapping = pc.fill_null(again.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    mapping = np.append(mapping, -1)  # the last entry stands for code -1
    return Levels(values=again.dictionary, codes=mapping[codes])
