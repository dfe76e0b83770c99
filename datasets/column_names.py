"""Names of columns, which are the same whether blanks or invisible signs stand around them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from xrfm_cli.errors import FileReadError

_AROUND = re.compile(r"^[\s\u200b\u200e\u200f\u2060\ufeff]+|[\s\u200b\u200e\u200f\u2060\ufeff]+$")


def tidy_name(name: str) -> str:
    """A name without blanks, byte order marks and signs of no width around it, in one form of Unicode.

    >>> tidy_name("\\ufeff price "), tidy_name("prix payé") == tidy_name("prix paye\\u0301")
    ('price', True)
    """
    return unicodedata.normalize("NFC", _AROUND.sub("", name))


def find_name(name: str, names: Sequence[str]) -> str | None:
    """The one of ``names`` that is ``name``, or else the only one that is the same but for its spelling.

    >>> find_name("price", [" price", "fee"]), find_name("price", [" price", "price "])
    (' price', None)
    """
    if name in names:
        return name
    wanted = tidy_name(name)
    alike = [other for other in names if tidy_name(other) == wanted]
    return alike[0] if len(alike) == 1 else None


def common_names(tables: Sequence[Sequence[str]]) -> dict[str, str]:
    """One spelling for each name of several tables, the first that a table has.

    A name keeps its own spelling where a table tells columns apart by spelling alone.

    >>> common_names([("price", "fee"), (" price", "fee ")])
    {'price': 'price', 'fee': 'fee', ' price': 'price', 'fee ': 'fee'}
    >>> common_names([("price", " price"), ("price ",)])
    {'price': 'price', ' price': ' price', 'price ': 'price '}
    """
    tidy = {name: tidy_name(name) for name in dict.fromkeys(name for names in tables for name in names)}
    alike: dict[str, list[str]] = {}
    for name, wanted in tidy.items():
        alike.setdefault(wanted, []).append(name)
    shared = {name: name for name in tidy}
    for names in alike.values():
        if len(names) > 1 and all(len(set(names).intersection(table)) <= 1 for table in tables):
            shared |= dict.fromkeys(names, names[0])
    return shared


def check_names(source: str, names: tuple[str, ...]) -> None:
    """Raise `FileReadError` where two columns have one name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = " and ".join(str(place + 1) for place, name in enumerate(names) if name == repeated[0])
        raise FileReadError(
            f"{source}: columns {places} are both named '{repeated[0]}'; give each column its own name"
        )
