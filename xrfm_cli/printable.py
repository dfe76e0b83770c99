"""Text from strangers' files as a terminal may show it."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

# Control characters (escape sequences begin with one), line and paragraph separators, halves of characters,
# and marks that turn the direction of the text after them. Joiners stay: scripts and emoji need them.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with every character that could steer a terminal shown by its code.

    ``keep`` holds characters that stay, such as the line breaks of a message of several lines.

    >>> print(printable("\x1b[31mred\n"))
    \x1b[31mred\n
    >>> print(printable("Größe (m²) \u202e"))
    Größe (m²) \u202e
    """
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def printable_json(document: Any, *, indent: int = 2, is_ascii: bool = False) -> str:
    r"""A JSON document, indented, with such characters as JSON escapes, which mean the same.

    >>> print(printable_json({"name": "\x9b31m"}))
    {
      "name": "\u009b31m"
    }
    """
    # The standard library indents in Python, which takes seconds for thousands of columns; msgspec does not.
    compact = json.dumps(document, ensure_ascii=is_ascii, allow_nan=False)
    escaped = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", compact)
    return msgspec.json.format(escaped, indent=indent)


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
