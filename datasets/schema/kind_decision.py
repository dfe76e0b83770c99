"""The kind of one column, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from xrfm_cli.datasets.cells.dates import DateFormat

Kind = Literal["numeric", "boolean", "categorical", "datetime", "text", "identifier", "constant"]
KINDS: tuple[str, ...] = get_args(Kind)
ID_NAME = re.compile(
    r"(?:^|[^A-Za-z])(?i:id|ids|uid|uuid|guid|key|index|idx|rowid|row|rownum|instant|unnamed.*)$"
    r"|[a-z](?:ID|Id|UUID|Key)$|^__index_level_\d+__$"
)
MIN_ROWS_FOR_NAMES = 20  # with fewer rows, distinct values are not evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class KindDecision:
    """The kind of a column, the reason, and what is needed to read it."""

    kind: Kind
    reason: str
    datetime_format: DateFormat | None = None
    levels_count: int = 0
    unit: str = ""  # of numbers that are text
    doubt: str = ""  # why the cells are ambiguous, and the fix


def missing_note(count: int) -> str:
    """Return the part of a reason that counts missing cells."""
    return f"; {count:,} missing" if count else ""


def unreadable_note(count: int, example: str) -> str:
    """Return the part of a reason that counts unreadable cells."""
    if count == 1:
        return f"; the unreadable cell {example} counts as missing"
    return f"; {count:,} unreadable cells such as {example} count as missing"
