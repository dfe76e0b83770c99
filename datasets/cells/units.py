"""Parse numbers written with a unit, a currency, a scale or accounting signs.

They are numbers only if a whole column is written in the same way. The unit is a text such as ``kg`` or
``$``. Two words may follow it, which describe how the column writes its numbers:

    scaled       5K, 1.2M and 3bn are thousands, millions and billions
    accounting   (5) and 5- are negative, $- is zero
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.durations import UNIT as DURATION
from xrfm_cli.datasets.cells.durations import duration_seconds
from xrfm_cli.datasets.cells.signs import plain_signs

SCALED, ACCOUNTING = "scaled", "accounting"
SIGN = "[+\u2212\u2013-]?"  # an en dash before a digit is also a minus sign
CURRENCY = "(?:[A-Z]{0,3}[$]|[€£¥₹₩₽₺₴₫₱฿₪₦])"
# Names of currencies before a number, which a blank follows.
CURRENCY_NAMES = (
    "(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|NZD|BRL|INR|CNY|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN"
    "|Rs[.]?|Rp[.]?|kr[.]?|Fr[.]?)"
)
# Units that may follow a number without a blank; letters that also end codes, such as A, are excluded.
_CLOSE_UNITS = (
    "kg|mg|µg|lbs?|oz|km|cm|mm|µm|nm|ft|mi|yd|ml|dl|cl|ms|min|kWh|MWh|kW|MW|Wh|px|GB|MB|kB|KB|TB|GiB|MiB|KiB"
    "|Hz|kHz|MHz|GHz|rpm|bar|mbar|hPa|kPa|Pa|ppm|ppb|mph|km/h|m/s|°C|°F|°|%|‰|USD|EUR|GBP|CHF|JPY|m²|m³|km²|g|m|l|s|h"
    '|["″′]'
)
SCALES = {
    **dict.fromkeys(("k", "tsd", "thousand"), 1e3),
    **dict.fromkeys(("m", "mm", "mn", "mln", "mio", "million", "millions"), 1e6),
    **dict.fromkeys(("b", "bn", "mrd", "billion", "billions"), 1e9),
}
_CLOSE_SCALES = "[KkMB]|MM|[Bb]n|BN|mn|mln|[Mm]io[.]?|[Mm]rd[.]?"
_CODE_LETTERS = frozenset(("K", "k", "M", "MM", "B"))  # scales that also end codes such as 5K
_OTHER_MEANINGS = frozenset(("m", "mm", "MM", "b", "B"))  # metres, millimetres and bytes
_PARTS = (
    rf"^(?P<outer>\(?)(?P<sign>{SIGN})(?P<before>{CURRENCY}|{CURRENCY_NAMES}\s)?\s?(?P<open>\(?)(?P<inner>{SIGN})"
    r"(?P<number>(?:[0-9][0-9.,'’ ]*[0-9]|[0-9]+|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<trail>[\x{2212}-]?)"
    rf"(?P<after>\s?(?:(?:{_CLOSE_SCALES})?\s?{CURRENCY}|{_CLOSE_SCALES}|{_CLOSE_UNITS})|\s[\pL°µ%/²³]{{1,8}}[.]?)?"
    r"(?P<close>\)?)$"
)
_LEAST_TRAILING = 3  # digits and marks: 2- may be a grade
_ZERO = rf"^({CURRENCY}\s*)-$"
_AFTER = re.compile(rf"(?P<word>[^\W\d_]*)[.]?\s?(?P<currency>{CURRENCY})?")


class _Affix(NamedTuple):
    """The text around a number: its unit, its scale word and its accounting minus."""

    unit: str
    scale: str = ""  # as written; empty for none
    base: str = ""  # the unit without the scale
    minus: str = ""  # "()" or "-" if the minus is not before the number
    is_close: bool = False  # no blank before the scale
    is_money: bool = False


_NO_NUMBER = _Affix("\x00", base="\x00")


def units_of(words: pa.Array) -> tuple[str, ...]:
    """Return the distinct units of texts that are numbers, with or without a unit; empty if any is not.

    Durations of several parts or units, such as 1h 30min, share one unit. So do whole days, which pandas and
    DuckDB write in the same column as "1 days 02:00:00".

    >>> units_of(pa.array(["12 kg", "7 kg"])), units_of(pa.array(["$5", "€6"])), units_of(pa.array(["x"]))
    (('kg',), ('$', '€'), ())
    >>> units_of(pa.array(["$1.2M", "($300K)"])), units_of(pa.array(["5K", "7M"]))
    (('$ scaled accounting',), ())
    >>> units_of(pa.array(["1 day", "2 days"])), units_of(pa.array(["5 min", "7 min"]))
    (('duration',), ('min',))
    """
    words = _plain(words.drop_null())
    units = _affix_units(words)
    may_be_durations = len(units) != 1 or units[0] in ("day", "days")
    if may_be_durations and len(words) and not np.isnan(duration_seconds(words)).any():
        return (DURATION,)
    return units


def _affix_units(words: pa.Array) -> tuple[str, ...]:
    """Return the units beside the numbers; empty if a word is not a number with a unit."""
    parts = pc.extract_regex(words, _PARTS)
    if parts.null_count or not len(parts):
        return ()
    affixes, codes = _affixes(parts)
    numbers = parts.field("number").to_pylist()
    scaled = [numbers[row] for row in np.flatnonzero(_pick(affixes, codes, lambda one: bool(one.scale)))]
    trailing = [numbers[row] for row in np.flatnonzero(_pick(affixes, codes, lambda one: one.minus == "-"))]
    is_scaled = _is_scaled(affixes, scaled)
    is_accounting = _is_accounting(affixes, trailing)
    if not is_scaled and any(one.is_close and one.scale in _CODE_LETTERS for one in affixes):
        return ()  # codes such as 5K
    if _NO_NUMBER in affixes or (not is_accounting and any(one.minus for one in affixes)):
        return ()  # marks such as (1), grades such as 2-
    flags = [SCALED] * is_scaled + [ACCOUNTING] * is_accounting
    units = {one.base if is_scaled else one.unit for one in affixes}
    return tuple(sorted(" ".join([unit, *flags]).strip() for unit in units))


def may_have_unit(words: pa.Array) -> np.ndarray:
    """Return which texts look like a number, with or without a unit, bool (n,).

    >>> may_have_unit(pa.array(["$5", "5", "soon"])).tolist()
    [True, True, False]
    """
    matches = pc.match_substring_regex(_plain(words), _PARTS)
    return np.asarray(pc.fill_null(matches, False).to_numpy(zero_copy_only=False), dtype=bool)


def _is_scaled(affixes: Sequence[_Affix], scaled: Sequence[str]) -> bool:
    """Return whether words such as K and million scale the numbers of a column with at most one unit.

    A letter may also end a code or name a unit. It is a scale beside money or another scale, or after a
    fraction: 1.2M.
    """
    words = {one.scale for one in affixes if one.scale}
    if not words or len({one.base for one in affixes}) > 1:
        return False
    if any(one.is_money for one in affixes) or words - _CODE_LETTERS - _OTHER_MEANINGS:
        return True
    has_fraction = any("." in number or "," in number for number in scaled)
    is_close = all(one.is_close for one in affixes if one.scale)
    return has_fraction and is_close and bool(words - _OTHER_MEANINGS)


def _is_accounting(affixes: Sequence[_Affix], trailing: Sequence[str]) -> bool:
    """Return whether (5) and 5- are negative: some numbers lack them, and not all are short like 2-."""
    if not any(one.minus for one in affixes) or all(one.minus for one in affixes):
        return False
    return not trailing or any(
        len(number) >= _LEAST_TRAILING or "," in number or "." in number for number in trailing
    )


def common_unit(words: pa.Array) -> str:
    """Return the one unit of all texts, or an empty string.

    >>> common_unit(pa.array(["12 kg", "7 kg"])), common_unit(pa.array(["12 kg", "7"]))
    ('kg', '')
    """
    units = units_of(words)
    return units[0] if len(units) == 1 else ""


def unit_note(unit: str) -> str:
    """Return the part of a reason that describes the unit.

    >>> unit_note("kg"), unit_note("")
    ("; the unit 'kg' is left out", '')
    >>> unit_note("scaled")
    '; 5K, 5M and 5bn are thousands, millions and billions'
    """
    if unit == DURATION:
        return "; durations, in seconds"
    plain, flags = _flags(unit)
    note = f"; the unit '{plain}' is left out" if plain else ""
    if SCALED in flags:
        note += "; 5K, 5M and 5bn are thousands, millions and billions"
    return note + ("; (5) and 5- are negative" if ACCOUNTING in flags else "")


def without_unit(text: pa.Array, unit: str) -> tuple[pa.Array, np.ndarray]:
    """Strip the unit from texts (null if they have another or none) and return their scales, float64 (n,).

    >>> without_unit(pa.array(["-$1,200.50", "$3", "3"]), "$")[0].to_pylist()
    ['-1,200.50', '3', None]
    >>> [part.tolist() for part in without_unit(pa.array(["(1.2M)", "3"]), "scaled accounting")]
    [['-1.2', '3'], [1000000.0, 1.0]]
    """
    wanted, flags = _flags(unit)
    is_scaled, is_accounting = SCALED in flags, ACCOUNTING in flags
    parts = pc.extract_regex(_plain(text), _PARTS)
    affixes, codes = _affixes(parts)
    fits = _pick(
        affixes,
        codes,
        lambda one: (one.base if is_scaled else one.unit) == wanted and (is_accounting or not one.minus),
    )
    signs = pc.binary_join_element_wise(parts.field("sign"), parts.field("inner"), "")
    signs = pc.if_else(pa.array(_pick(affixes, codes, lambda one: bool(one.minus))), "-", signs)
    plain = pc.binary_join_element_wise(signs, parts.field("number"), "")
    scales = [SCALES[one.scale.lower()] if is_scaled and one.scale else 1.0 for one in affixes]
    return (
        pc.if_else(pa.array(fits), plain, pa.scalar(None, pa.string())),
        np.append(scales, 1.0)[codes],
    )


def _plain(text: pa.Array) -> pa.Array:
    """Convert signs to ASCII where equivalent, and ``$-``, the zero of spreadsheets, to ``$0``."""
    return pc.replace_substring_regex(plain_signs(text), _ZERO, r"\10")


def _flags(unit: str) -> tuple[str, frozenset[str]]:
    """Split a unit into the plain unit and the words that describe the notation."""
    words = unit.split(" ")
    flags = frozenset(words) & {SCALED, ACCOUNTING}
    return (" ".join(word for word in words if word not in flags), flags) if flags else (unit, flags)


def _affixes(parts: pa.StructArray) -> tuple[list[_Affix], np.ndarray]:
    """Return the distinct affixes of numbers, and the affix index of each text, -1 if not a number."""
    names = ("outer", "sign", "before", "open", "inner", "trail", "after", "close")
    keys = pc.binary_join_element_wise(*(parts.field(name) for name in names), "\x00")
    keys = pc.if_else(pc.is_valid(parts), keys, pa.scalar(None, pa.string())).dictionary_encode()
    affixes = [_affix(*key.split("\x00")) for key in keys.dictionary.to_pylist()]
    return affixes, pc.fill_null(keys.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)


def _pick(affixes: Sequence[_Affix], codes: np.ndarray, is_wanted: Callable[[_Affix], bool]) -> np.ndarray:
    """Return which texts have an affix that satisfies a predicate, bool (n,)."""
    return np.append(np.array([is_wanted(one) for one in affixes], dtype=bool), False)[codes]


def _affix(
    outer: str, sign: str, before: str, opened: str, inner: str, trail: str, after: str, close: str
) -> _Affix:
    """Parse the text around a number; `_NO_NUMBER` if brackets or minus signs do not match."""
    before, bare = before.strip(), after.strip()
    minus = ("()" if outer or opened else "") + ("-" if trail else "")
    has_sign = bool((sign + inner).strip("+"))
    if len(outer + opened) != len(close) or minus == "()-" or (minus and has_sign):
        return _NO_NUMBER
    match = _AFTER.fullmatch(bare)
    word, currency = (match["word"], match["currency"] or "") if match else ("", "")
    is_scale = word.lower() in SCALES
    return _Affix(
        unit=before + bare,
        scale=word if is_scale else "",
        base=before + (currency if is_scale else bare),
        minus=minus,
        is_close=is_scale and not after[0].isspace(),
        is_money=bool(before or currency),
    )
