"""Numbers written with a unit or a currency: numbers where all of a column have the same one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.durations import UNIT as DURATION
from xrfm_cli.datasets.durations import duration_seconds

# Units that may follow a number without a blank; letters that also end codes, such as A, are not among them.
_CLOSE_UNITS = (
    "kg|mg|µg|lbs?|oz|km|cm|mm|µm|nm|ft|mi|yd|ml|dl|cl|ms|min|kWh|MWh|kW|MW|Wh|px|GB|MB|kB|KB|TB|GiB|MiB|KiB"
    "|Hz|kHz|MHz|GHz|rpm|bar|mbar|hPa|kPa|Pa|ppm|ppb|mph|km/h|m/s|°C|°F|°|%|‰|USD|EUR|GBP|CHF|JPY|[$€£¥₹]|m²|m³|km²|g|m|l|s|h"
)
_SIGN = "[+\u2212-]?"
_PARTS = (
    rf"^(?P<sign>{_SIGN})(?P<before>(?:US|R|C|A)?[$]|[€£¥₹]|(?:USD|EUR|GBP|CHF|JPY)\s)?\s?(?P<inner>{_SIGN})"
    r"(?P<number>(?:[0-9][0-9.,'’ \x{00a0}\x{2009}\x{202f}]*[0-9]|[0-9]+|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"(?P<after>[\s\x{{00a0}}\x{{202f}}]?(?:{_CLOSE_UNITS})|[\s\x{{00a0}}][\pL°µ%/²³]{{1,8}})?$"
)


def units_of(words: pa.Array) -> tuple[str, ...]:
    """The distinct units of texts that are numbers with a unit or without; empty where one is no number.

    Durations of several parts or units, such as 1h 30min, have one unit together. So do whole days, which
    pandas and DuckDB write beside "1 days 02:00:00".

    >>> units_of(pa.array(["12 kg", "7 kg"])), units_of(pa.array(["$5", "€6"])), units_of(pa.array(["x"]))
    (('kg',), ('$', '€'), ())
    >>> units_of(pa.array(["1 day", "2 days"])), units_of(pa.array(["5 min", "7 min"]))
    (('duration',), ('min',))
    """
    parts = pc.extract_regex(words.drop_null(), _PARTS)
    units = () if parts.null_count else tuple(sorted(pc.unique(_unit(parts)).to_pylist()))
    if len(units) == 1 and units[0] not in ("day", "days"):
        return units
    if len(parts) and not np.isnan(duration_seconds(words.drop_null())).any():
        return (DURATION,)
    return units


def common_unit(words: pa.Array) -> str:
    """The one unit of all texts, or an empty text.

    >>> common_unit(pa.array(["12 kg", "7 kg"])), common_unit(pa.array(["12 kg", "7"]))
    ('kg', '')
    """
    units = units_of(words)
    return units[0] if len(units) == 1 else ""


def unit_note(unit: str) -> str:
    """What a reason says of the unit.

    >>> unit_note("kg"), unit_note("")
    ("; the unit 'kg' is left out", '')
    """
    if unit == DURATION:
        return "; durations, in seconds"
    return f"; the unit '{unit}' is left out" if unit else ""


def without_unit(text: pa.Array, unit: str) -> pa.Array:
    """Texts without their unit, null where they have another one or none.

    >>> without_unit(pa.array(["-$1,200.50", "$3", "3"]), "$").to_pylist()
    ['-1,200.50', '3', None]
    """
    parts = pc.extract_regex(text, _PARTS)
    plain = pc.binary_join_element_wise(*(parts.field(name) for name in ("sign", "inner", "number")), "")
    return pc.if_else(pc.fill_null(pc.equal(_unit(parts), unit), False), plain, pa.scalar(None, pa.string()))


def _unit(parts: pa.StructArray) -> pa.Array:
    """What stands before and after the number, without blanks; null where nothing matched."""
    units = pc.binary_join_element_wise(
        pc.utf8_trim_whitespace(parts.field("before")), pc.utf8_trim_whitespace(parts.field("after")), ""
    )
    return pc.if_else(pc.is_valid(parts), units, pa.scalar(None, pa.string()))
