"""Canonical spellings: one text for each value, so that cells can be compared.

Programs spell the same number, date or duration differently in CSV files, and Parquet stores it as a type. If
cells are compared (categories, groups, labels), both sides use the spelling defined here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.durations import spell_durations

_LONGEST_BYTES = 64  # longer cells are prose, which has one spelling
_FEW_CELLS = 64
_LARGEST_WHOLE = 2.0**63  # beyond it, whole floats keep their exponent
# How programs write floats: 1e+16, 1.5E-05, 0.000001, inf, Infinity. Codes such as 12e4 do not match.
_FLOAT = (
    r"^-?(?:[1-9](?:\.[0-9]+)?[eE][+-]?(?:[0-9]{1,2}|[12][0-9]{2})|0\.0{4,}[0-9]{1,17}|(?i)inf(?:inity)?)$"
)
_TRUTH = r"^(?i)(?:true|false)$"
_HAS_CLOCK = r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}[T ])?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:$|[.Z+ -])"
_FRACTION = r"^([0-9T: -]{8,19})(\.[0-9]*?)0+([^0-9].*)?$"
_ZONED = (
    r"^(?P<stamp>[0-9-]{10} [0-9:]{8})(?P<fraction>\.[0-9]+)? ?"
    r"(?:Z|UTC|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)$"
)


def canonical_text(text: pa.Array, decimal: str = ".") -> pa.Array:
    """Return one spelling for each value: 3.0 is "3", 2.50 is "2.5", True is "true"; "007" is unchanged.

    >>> canonical_text(pa.array(["3.0", "2.50", "TRUE", "007", "-0", "1E+05", "P1D"])).to_pylist()
    ['3', '2.5', 'true', '007', '0', '100000', '1 days']
    >>> canonical_text(pa.array(["2024-05-01T08:30:00.000", "2024-05-01T00:30:00+02:00"])).to_pylist()
    ['2024-05-01 08:30:00', '2024-04-30 22:30:00Z']
    """
    lengths = pc.binary_length(text)
    if (pc.max(lengths).as_py() or 0) > _LONGEST_BYTES:
        short = np.flatnonzero(pc.fill_null(pc.less_equal(lengths, _LONGEST_BYTES), False))
        return _change_rows(text, short, lambda cells: canonical_text(cells, decimal))
    if len(text) <= _FEW_CELLS:
        return _canonical_few(tuple(text.to_pylist()), decimal)
    return _canonical(text, decimal)


@lru_cache(maxsize=1024)
def _canonical_few(text: tuple[str | None, ...], decimal: str) -> pa.Array:
    """Cache `_canonical` for few cells: the levels of a category recur often."""
    return _canonical(pa.array(text, pa.string()), decimal)


def _canonical(text: pa.Array, decimal: str) -> pa.Array:
    if not has_digits(text):  # only words such as TRUE and Infinity have another spelling
        text = _where(text, _FLOAT, lambda cells: float_text(cells.cast(pa.float64())))
        return _where(text, _TRUTH, pc.ascii_lower)
    if decimal != ".":
        comma = pc.match_substring_regex(text, r"^-?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?$")
        text = pc.if_else(comma, pc.replace_substring(text, ",", "."), text)
    text = pc.replace_substring_regex(text, r"^(-?)\.([0-9]+)$", r"\10.\2")
    text = pc.replace_substring_regex(text, r"^(-?(?:0|[1-9][0-9]*))\.0*$", r"\1")
    text = pc.replace_substring_regex(text, r"^(-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9])0+$", r"\1")
    text = pc.if_else(pc.equal(text, "-0"), "0", text)
    text = _where(text, _FLOAT, lambda cells: float_text(cells.cast(pa.float64())))
    text = _where(text, _TRUTH, pc.ascii_lower)
    return spell_durations(_where(text, _HAS_CLOCK, _canonical_dates))


def has_digits(text: pa.Array) -> bool:
    """Return whether any cell has a digit, as every number, date and duration does.

    >>> has_digits(pa.array(["red", "May"])), has_digits(pa.array(["x1", None]))
    (False, True)
    """
    return bool(pc.any(pc.match_substring_regex(text, r"\p{Nd}")).as_py())


def _where(text: pa.Array, pattern: str, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Change the cells that match a pattern, and leave the others."""
    rows = np.flatnonzero(pc.fill_null(pc.match_substring_regex(text, pattern), False))
    return _change_rows(text, rows, change)


def _change_rows(text: pa.Array, rows: np.ndarray, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Change the cells of some rows, and leave the others."""
    if not len(rows):
        return text
    places = np.full(len(text), -1)
    places[rows] = np.arange(len(rows))
    changed = change(text.take(pa.array(rows)))
    return pc.coalesce(changed.take(pa.array(places, mask=places < 0)), text)


def _canonical_dates(text: pa.Array) -> pa.Array:
    """Spell times as 08:30:00.5, timestamps with a zone in UTC with a Z, midnight without one as a date."""
    text = pc.replace_substring_regex(text, r"^([0-9]{4}-[0-9]{2}-[0-9]{2})T", r"\1 ")
    text = pc.replace_substring_regex(text, _FRACTION, r"\1\2\3")
    text = pc.replace_substring_regex(text, r"\.([^0-9].*)?$", r"\1")
    text = _where(text, _ZONED, _in_utc)
    return pc.replace_substring_regex(text, r"^([0-9]{4}-[0-9]{2}-[0-9]{2}) 00:00:00$", r"\1")


def _in_utc(text: pa.Array) -> pa.Array:
    """Convert timestamps with a zone to UTC; null if invalid."""
    parts = pc.extract_regex(text, _ZONED)
    stamps = pc.strptime(parts.field("stamp"), format="%Y-%m-%d %H:%M:%S", unit="s", error_is_null=True)
    hours, minutes = (
        pc.cast(pc.utf8_lpad(parts.field(name), 2, "0"), pa.int64()) for name in ("hours", "minutes")
    )
    offset = pc.add(pc.multiply(hours, 3600), pc.multiply(minutes, 60))
    offset = pc.if_else(pc.equal(parts.field("sign"), "-"), pc.negate(offset), offset)
    moments = pc.subtract(stamps.cast(pa.int64()), offset).cast(pa.timestamp("s"))
    return pc.binary_join_element_wise(moments.cast(pa.string()), parts.field("fraction"), "Z", "")


def as_text(array: pa.Array) -> pa.Array:
    """Convert typed values to the text that a CSV file of the same table would have."""
    kind = array.type
    if pa.types.is_floating(kind):
        return float_text(array)
    if pa.types.is_timestamp(kind):
        in_utc = array if kind.tz is None else array.cast(pa.timestamp(kind.unit, "UTC"))
        return _canonical_dates(in_utc.cast(pa.string()))
    if pa.types.is_time(kind):
        return _canonical_dates(array.cast(pa.string()))
    if pa.types.is_duration(kind):
        return spell_durations(array)
    return array.cast(pa.string())


def float_text(array: pa.Array) -> pa.Array:
    """Convert floats to text; whole numbers have no point and, within the range of int64, no exponent."""
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    whole = np.isfinite(values) & (np.trunc(values) == values) & (np.abs(values) < _LARGEST_WHOLE)
    integers = pa.array(np.where(whole, values, 0.0).astype(np.int64)).cast(pa.string())
    return pc.if_else(pa.array(whole), integers, array.cast(pa.string()))
