"""Compare column names, ignoring surrounding blanks and invisible characters; find free ones."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Sequence

from xrfm_cli.errors import FileReadError

_AROUND = re.compile(r"^[\s\u200b\u200e\u200f\u2060\ufeff]+|[\s\u200b\u200e\u200f\u2060\ufeff]+$")


def tidy_name(name: str) -> str:
    """Strip blanks, byte order marks and zero-width characters from a name; normalise it to Unicode NFC.

    >>> tidy_name("\\ufeff price "), tidy_name("prix payé") == tidy_name("prix paye\\u0301")
    ('price', True)
    """
    return unicodedata.normalize("NFC", _AROUND.sub("", name))


def find_name(name: str, names: Sequence[str]) -> str | None:
    """Return ``name`` if it is in ``names``, or else the only name that equals it after `tidy_name`.

    >>> find_name("price", [" price", "fee"]), find_name("price", [" price", "price "])
    (' price', None)
    """
    if name in names:
        return name
    wanted = tidy_name(name)
    alike = [other for other in names if tidy_name(other) == wanted]
    return alike[0] if len(alike) == 1 else None


def common_names(tables: Sequence[Sequence[str]]) -> dict[str, str]:
    """Map each name of several tables to one shared spelling, the first one found.

    A name keeps its own spelling if some table has two columns that differ only in spelling.

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
    """Raise `FileReadError` if two columns have the same name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = " and ".join(str(place + 1) for place, name in enumerate(names) if name == repeated[0])
        raise FileReadError(
            f"{source}: columns {places} are both named '{repeated[0]}'; give each column its own name"
        )


def free_name(name: str, taken: Container[str]) -> str:
    """Append underscores to a name until it is free.

    >>> free_name("baseline", {"baseline": 1})
    'baseline_'
    """
    while name in taken:
        name += "_"
    return name
