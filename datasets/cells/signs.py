"""Replace non-ASCII signs in numbers and dates."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Arrow's regular expressions write characters as code points.
_ODD_BLANKS = r"[\x{00a0}\x{2007}\x{2009}\x{202f}\x{3000}]"
_NO_WIDTH = r"[\x{200b}\x{200e}\x{200f}\x{2060}\x{feff}]"
_WIDE_SIGNS = r"[\x{ff01}-\x{ff5e}]"  # the full-width forms of ASCII
_DASH = r"^\x{2013}([0-9.,])"  # an en dash before a number is a minus
_ODD_SIGNS = rf"{_ODD_BLANKS}|{_NO_WIDTH}|{_WIDE_SIGNS}|\x{{2212}}|{_DASH}"


def plain_signs(text: pa.Array) -> pa.Array:
    """Convert numbers or dates to ASCII digits, blanks and minus signs; remove zero-width characters.

    >>> plain_signs(pa.array(["３:05\u202fPM", "\u22125", "\u200e12"])).to_pylist()
    ['3:05 PM', '-5', '12']
    """
    if not pc.any(pc.match_substring_regex(text, _ODD_SIGNS)).as_py():
        return text
    wide = pc.match_substring_regex(text, _WIDE_SIGNS)
    text = pc.if_else(wide, pc.utf8_normalize(text, form="NFKC"), text)
    text = pc.replace_substring_regex(text, _ODD_BLANKS, " ")
    text = pc.replace_substring_regex(pc.replace_substring_regex(text, _NO_WIDTH, ""), _DASH, r"-\1")
    return pc.replace_substring(text, "\u2212", "-")
