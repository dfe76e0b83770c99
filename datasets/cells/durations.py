"""Parse durations as seconds, in any notation: PT1H30M, 1 days 02:30:00, 25:00:00, 1h 30min, or Arrow's type.

If cells are compared as text, every duration has one canonical spelling, that of pandas: 0 days 01:30:00.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNIT = "duration"  # the unit of all durations, for columns that report their unit
# Units in which a table may store durations as plain numbers, in seconds.
UNIT_SECONDS = {UNIT: 1.0, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3_600.0, "day": 86_400.0, "days": 86_400.0}

_LENGTHS_S = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_OF_THE_CLOCK = ("hours", "minutes", "seconds")
_MICROS, _NANOS = 1_000_000, 1_000_000_000  # per second


def _piece(name: str, letter: str = "", *, signed: bool = True) -> str:
    """Return the pattern of one part, limited to nine digits (seven for days) so that it fits int64."""
    sign = f"(?P<{name}_sign>[+-]?)" if signed else ""
    most = 7 if name in ("weeks", "days") else 9
    return rf"{sign}(?P<{name}>[0-9]{{1,{most}}})(?:[.](?P<{name}_fraction>[0-9]+))?{letter}"


_TIME = r":(?P<minutes>[0-5][0-9]):(?P<seconds>[0-5][0-9])(?:[.](?P<seconds_fraction>[0-9]+))?"
_CLOCK = rf"(?P<clock_sign>[+-]?)(?P<hours>[0-9]{{1,7}}){_TIME}"
# The leading sign applies to all parts, the sign of a part to that part only: pandas, Python and PostgreSQL
# write minus one hour as '-1 days +23:00:00'. Months and years have no fixed length, so they do not match.
_ISO = (
    rf"^(?P<sign>[+-]?)P(?:{_piece('weeks', 'W')})?(?:{_piece('days', 'D')})?"
    rf"(?:T(?:{_piece('hours', 'H')})?(?:{_piece('minutes', 'M')})?(?:{_piece('seconds', 'S')})?)?$"
)
_PANDAS = rf"^(?P<days_sign>[+-]?)(?P<days>[0-9]{{1,7}}) days?(?:,? {_CLOCK})?$"  # also DuckDB, PostgreSQL
_SPARK = rf"^INTERVAL '(?P<sign>[+-]?)(?P<days>[0-9]{{1,7}}) (?P<hours>[0-9]{{1,2}}){_TIME}' DAY TO SECOND$"
_CLOCK_ALONE = rf"^{_CLOCK}$"  # DuckDB, Excel
_DAYS, _HOURS, _MINUTES, _SECONDS = (_piece(name, signed=False) for name in ("days", *_OF_THE_CLOCK))
_UNITS = (
    rf"^(?P<sign>-?)(?:{_DAYS} ?d(?:ays?)?,? ?)?(?:{_HOURS} ?h(?:ours?|rs?)?,? ?)?"
    rf"(?:{_MINUTES} ?m(?:in(?:utes?|s)?)?,? ?)?(?:{_SECONDS} ?s(?:ec(?:onds?|s)?)?)?$"
)
_EVIDENT = (_ISO, _PANDAS, _SPARK)  # 1h may be a name, and 01:00:00 a time of day
_ALL = (*_EVIDENT, _CLOCK_ALONE, _UNITS)
_MAY_BE_EVIDENT = r"^(?:[+-]?P|INTERVAL '|[+-]?[0-9]{1,7} day)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lengths:
    """Durations as whole microseconds plus nanoseconds, so that all formats round alike."""

    micros: np.ndarray  # int64 (n,)
    nanos: np.ndarray  # int64 (n,), 0 to 999
    valid: np.ndarray  # bool (n,)

    def seconds(self) -> np.ndarray:
        """Return seconds, float64 (n,), NaN where not valid."""
        return np.where(self.valid, self.micros / _MICROS + self.nanos / _NANOS, np.nan)


def duration_seconds(cells: pa.Array) -> np.ndarray:
    """Return seconds, float64 (n,), of text or Arrow durations; NaN where missing or not a duration.

    >>> duration_seconds(pa.array(["PT1H30M", "-1 days +23:00:00", "25:00:00", "2h 5s", "12 kg"])).tolist()
    [5400.0, -3600.0, 90000.0, 7205.0, nan]
    """
    lengths = _typed(cells) if pa.types.is_duration(cells.type) else _parsed(cells, _ALL)
    return lengths.seconds()


def spell_durations(cells: pa.Array) -> pa.Array:
    """Spell Arrow durations and unambiguous duration text as pandas does; leave other text unchanged.

    >>> spell_durations(pa.array(["PT90M", "1 day", "-01:00:00", "1h"])).to_pylist()
    ['0 days 01:30:00', '1 days', '-01:00:00', '1h']
    """
    if pa.types.is_duration(cells.type):
        return _spelled(_typed(cells))
    rows = np.flatnonzero(pc.fill_null(pc.match_substring_regex(cells, _MAY_BE_EVIDENT), False))
    if not len(rows):
        return cells
    spelled = _spelled(_parsed(cells.take(pa.array(rows)), _EVIDENT))
    places = np.full(len(cells), -1)
    places[rows] = np.arange(len(rows))
    return pc.coalesce(spelled.take(pa.array(places, mask=places < 0)), cells)


def _typed(cells: pa.DurationArray) -> _Lengths:
    valid = np.asarray(cells.is_valid())
    whole = cells.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    per_second = {"s": 1, "ms": 1_000, "us": _MICROS, "ns": _NANOS}[cells.type.unit]
    if per_second == _NANOS:
        return _Lengths(micros=whole // 1_000, nanos=whole % 1_000, valid=valid)
    return _Lengths(micros=whole * (_MICROS // per_second), nanos=np.zeros_like(whole), valid=valid)


def _parsed(text: pa.Array, patterns: tuple[str, ...]) -> _Lengths:
    micros, nanos = np.zeros(len(text), dtype=np.int64), np.zeros(len(text), dtype=np.int64)
    valid = np.zeros(len(text), dtype=bool)
    for pattern in patterns:
        rows = np.flatnonzero(~valid)
        if not len(rows):
            break
        parts = pc.extract_regex(text.take(pa.array(rows)), pattern)
        if parts.null_count == len(parts):
            continue
        own_micros, own_nanos, found = _assembled(parts)
        kept = rows[found]
        micros[kept], nanos[kept], valid[kept] = own_micros[found], own_nanos[found], True
    return _Lengths(micros=micros, nanos=nanos, valid=valid)


def _assembled(parts: pa.StructArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return microseconds and remaining nanoseconds of a pattern's groups, and where any matched."""
    names = {parts.type.field(place).name for place in range(parts.type.num_fields)}
    seconds, nanos = np.zeros(len(parts), dtype=np.int64), np.zeros(len(parts), dtype=np.int64)
    found = np.zeros(len(parts), dtype=bool)
    for name in [name for name in _LENGTHS_S if name in names]:
        found |= np.asarray(pc.fill_null(pc.not_equal(parts.field(name), ""), False))
        length_s = _LENGTHS_S[name] * _sign(parts, f"{name}_sign", names)
        if name in _OF_THE_CLOCK:
            length_s *= _sign(parts, "clock_sign", names)
        seconds += _integers(parts.field(name)) * length_s
        if f"{name}_fraction" in names:
            digits = pc.utf8_slice_codeunits(parts.field(f"{name}_fraction"), 0, 9)
            nanos += _integers(pc.utf8_rpad(pc.fill_null(digits, ""), 9, "0")) * length_s
    of_all = _sign(parts, "sign", names)
    seconds, nanos = of_all * seconds, of_all * nanos
    return seconds * _MICROS + nanos // 1_000, nanos % 1_000, found


def _integers(text: pa.Array) -> np.ndarray:
    filled = pc.if_else(pc.equal(pc.fill_null(text, ""), ""), "0", text)
    return np.asarray(filled.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _sign(parts: pa.StructArray, name: str, names: set[str]) -> np.ndarray:
    """Return 1 or -1 for each text, int64 (n,)."""
    if name not in names:
        return np.ones(len(parts), dtype=np.int64)
    return np.where(np.asarray(pc.fill_null(pc.equal(parts.field(name), "-"), False)), -1, 1)


def _spelled(lengths: _Lengths) -> pa.Array:
    """Spell durations as pandas does, without a zero time of day; null where not valid."""
    days, micros = np.divmod(lengths.micros, 86_400 * _MICROS)
    whole_s, micros = np.divmod(micros, _MICROS)
    clock = [_digits(part, 2) for part in (whole_s // 3_600, whole_s // 60 % 60, whole_s % 60)]
    fraction = pc.utf8_rtrim(_digits(micros * 1_000 + lengths.nanos, 9), "0")
    before = pc.if_else(pa.array(days < 0), " days +", " days ")
    text = pc.binary_join_element_wise(pc.cast(pa.array(days), pa.string()), before, "")
    text = pc.binary_join_element_wise(text, pc.binary_join_element_wise(*clock, ":"), "")
    text = pc.utf8_rtrim(pc.binary_join_element_wise(text, fraction, "."), ".")
    text = pc.replace_substring_regex(text, r" [+]?00:00:00$", "")
    return pc.if_else(pa.array(lengths.valid), text, pa.scalar(None, pa.string()))


def _digits(numbers: np.ndarray, width: int) -> pa.Array:
    return pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
