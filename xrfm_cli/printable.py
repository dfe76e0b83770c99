"""Text for people: numbers with their nouns, and untrusted text made safe to print on a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from xrfm_cli.urls import with_urls

# Control characters (escape sequences begin with one), line and paragraph separators, lone surrogates,
# and marks that change the text direction. Joiners stay: scripts and emoji need them.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str, *, keep: str = "") -> str:
    r"""Replace every character that could control a terminal with its escape code; spell copies as URLs.

    ``keep`` holds characters to leave alone, such as the line breaks of a multi-line message.

    >>> print(printable("\x1b[31mred\n"))
    \x1b[31mred\n
    >>> print(printable("Größe (m²) \u202e"))
    Größe (m²) \u202e
    """
    text = with_urls(text)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the singular for one.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "leaf", "leaves")
    ('1 row', '1,200 rows', '2 leaves')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable_json(document: Any, *, indent: int = 2, is_ascii: bool = False) -> str:
    r"""Format an indented JSON document, with such characters as equivalent JSON escapes.

    >>> print(printable_json({"name": "\x9b31m"}))
    {
      "name": "\u009b31m"
    }
    """
    # The standard library indents in Python, which takes seconds for thousands of columns; msgspec does not.
    compact = with_urls(json.dumps(document, ensure_ascii=is_ascii, allow_nan=False))
    escaped = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", compact)
    return msgspec.json.format(escaped, indent=indent)


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
