"""Find a type that columns of several files share, and convert cells to it without loss."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.plain_types import is_text
from xrfm_cli.datasets.cells.values import EXACT_INTEGERS

_UNITS = ("s", "ms", "us", "ns")  # from coarse to fine
_READ_UNIT = "us"  # dates are read in microseconds
_EXACT_DIGITS = 15  # a double holds every decimal number of up to 15 digits
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}  # digits of the largest integer, by bits


def common_types(kinds: Sequence[pa.DataType]) -> tuple[pa.DataType, ...]:
    """Return the types that may hold the cells of all ``kinds``, the preferred one first; empty if none.

    Integers, floats and decimals form one family; so do dates and timestamps without a zone, timestamps with
    zones, times, durations, text, and bytes. A column without values fits any family. `convert` checks
    whether the cells fit a type.

    >>> common_types([pa.int32(), pa.int64()]), common_types([pa.int64(), pa.string()])
    ((DataType(int64),), ())
    """
    kinds = [kind for kind in dict.fromkeys(kinds) if not pa.types.is_null(kind)]
    if not kinds:
        return (pa.null(),)
    if any(pa.types.is_dictionary(kind) for kind in kinds):
        values = common_types([kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds])
        if any(is_text(kind) for kind in kinds):
            return values
        # 32-bit indices: all files together may have more levels than the index type of one file allows.
        return tuple(pa.dictionary(pa.int32(), kind) for kind in values)
    if len(kinds) == 1:
        return (kinds[0],)
    for accepts, join in _FAMILIES:
        if all(accepts(kind) for kind in kinds):
            return join(kinds)
    return ()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _join_numbers(kinds: Sequence[pa.DataType]) -> tuple[pa.DataType, ...]:
    """Return wider decimals or integers, or doubles if there are floats that are not all whole."""
    integers = [kind for kind in kinds if pa.types.is_integer(kind)]
    decimals = [kind for kind in kinds if pa.types.is_decimal(kind)]
    if len(integers) + len(decimals) < len(kinds):
        # pandas stores integers with a missing value as doubles; this keeps integer identifiers exact.
        may_be_whole = bool(integers) and not decimals and pa.uint64() not in integers
        return (pa.int64(), pa.float64()) if may_be_whole else (pa.float64(),)
    signed = [kind.bit_width for kind in integers if pa.types.is_signed_integer(kind)]
    unsigned = [kind.bit_width for kind in integers if pa.types.is_unsigned_integer(kind)]
    if not decimals:
        bits = max(signed + [2 * width for width in unsigned]) if signed else max(unsigned)
        names = (pa.int8(), pa.int16(), pa.int32(), pa.int64()) if signed else ()
        names = names or (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
        fitting = [kind for kind in names if kind.bit_width == bits]
        return (fitting[0] if fitting else pa.decimal128(_INTEGER_DIGITS[64], 0),)
    scale = max(kind.scale for kind in decimals)
    whole = [kind.precision - kind.scale for kind in decimals]
    whole += [_INTEGER_DIGITS[kind.bit_width] for kind in integers]
    digits = max(whole) + scale
    if digits <= 38:
        return (pa.decimal128(digits, scale),)
    return (pa.decimal256(digits, scale),) if digits <= 76 else ()


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _join_moments(kinds: Sequence[pa.DataType]) -> tuple[pa.DataType, ...]:
    """Return timestamps of the finest unit, or of the reading unit; none if only some have a zone."""
    stamps = [kind for kind in kinds if pa.types.is_timestamp(kind)]
    if not stamps:
        return (pa.date32(),)
    zones = {kind.tz for kind in stamps} | ({None} if len(stamps) < len(kinds) else set())
    if len(zones) > 1 and None in zones:
        return ()
    zone = next(iter(zones)) if len(zones) == 1 else "UTC"
    return tuple(pa.timestamp(unit, zone) for unit in _units(stamps))


def _join_durations(kinds: Sequence[pa.DataType]) -> tuple[pa.DataType, ...]:
    return tuple(pa.duration(unit) for unit in _units(kinds))


def _join_times(kinds: Sequence[pa.DataType]) -> tuple[pa.DataType, ...]:
    unit = _units(kinds)[0]
    return (pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit),)


def _units(kinds: Sequence[pa.DataType]) -> tuple[str, ...]:
    """Return the finest unit, and the unit used for reading dates if the finest has a smaller range."""
    finest = max((kind.unit for kind in kinds), key=_UNITS.index)
    return (finest, _READ_UNIT) if finest == "ns" else (finest,)


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


_FAMILIES = (
    (is_text, lambda kinds: (pa.large_string() if pa.large_string() in kinds else pa.string(),)),
    (_is_number, _join_numbers),
    (_is_moment, _join_moments),
    (pa.types.is_duration, _join_durations),
    (pa.types.is_time, _join_times),
    (_is_bytes, lambda kinds: (pa.large_binary(),)),
)


def convert(cells: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert cells to one of their `common_types`; raise `ArrowInvalid` for a value that it cannot hold.

    32-bit floats and decimals become doubles through their shortest text, as everywhere.

    >>> convert(pa.array([0.1], pa.float32()), pa.float64()).to_pylist()
    [0.1]
    """
    if cells.type == kind:
        return cells
    if pa.types.is_null(cells.type):
        return pa.nulls(len(cells), kind)
    if pa.types.is_dictionary(kind):
        if not pa.types.is_dictionary(cells.type):
            return convert(cells, kind.value_type).dictionary_encode()
        levels = convert(cells.dictionary, kind.value_type)
        return pa.DictionaryArray.from_arrays(cells.indices.cast(kind.index_type), levels)
    if pa.types.is_dictionary(cells.type):
        cells = convert(cells.dictionary, kind).take(cells.indices)
    if pa.types.is_integer(kind) and pa.types.is_floating(cells.type):
        return _whole_numbers(cells).cast(kind)
    if pa.types.is_floating(kind) and (pa.types.is_float32(cells.type) or pa.types.is_decimal(cells.type)):
        text = cells.cast(pa.string())
        if pa.types.is_decimal(cells.type):
            _check_digits(text)
        return text.cast(kind)
    return cells.cast(kind)


def _whole_numbers(cells: pa.Array) -> pa.Array:
    """Return floats with NaN as null; raise `ArrowInvalid` if a float may stand for several integers."""
    doubles = cells.cast(pa.float64())
    doubles = pc.if_else(pc.is_nan(doubles), pa.scalar(None, pa.float64()), doubles)
    if (pc.max(pc.abs(doubles)).as_py() or 0) > EXACT_INTEGERS:
        raise pa.ArrowInvalid("a double beyond 2^53 is not exact")
    return doubles


def _check_digits(text: pa.Array) -> None:
    """Raise `ArrowInvalid` for a decimal number with more digits than a double holds."""
    digits = pc.replace_substring_regex(text, r"[eE].*$|[-+.]", "")
    lengths = pc.utf8_length(pc.utf8_trim(digits, "0"))
    if (pc.max(lengths).as_py() or 0) > _EXACT_DIGITS:
        raise pa.ArrowInvalid(f"a decimal of more than {_EXACT_DIGITS} digits does not fit a double")
