"""Names of columns and levels, shortened to one line for figures and tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from xrfm_cli.printable import printable

LONGEST = 300  # characters of a name


def short_labels(names: Sequence[object], length: int = 24) -> list[str]:
    """Shorten names to one line each, in the middle if they would otherwise look the same.

    >>> short_labels(["measurement_01", "measurement_02", "age"], 10)
    ['measu…t_01', 'measu…t_02', 'age']
    """
    short = [short_label(name, length) for name in names]
    whole = [short_label(name, LONGEST) for name in names]
    return [
        own
        if short.count(own) == 1 or len(full) <= length
        else full[: (length - 1) // 2 + (length - 1) % 2] + "…" + full[len(full) - (length - 1) // 2 :]
        for own, full in zip(short, whole, strict=True)
    ]


def short_label(text: object, length: int = 24) -> str:
    """Shorten a name to one line without control characters.

    >>> short_label("average_monthly_hours_worked", 16), short_label("a\\nb")
    ('average_monthly…', 'a b')
    """
    clean = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in str(text)
    ).strip()
    clean = printable(clean)
    return clean if len(clean) <= length else clean[: length - 1].rstrip() + "…"
