"""What the library tells its caller while it works: it never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from xrfm_cli.repairs import Repair

EventKind = Literal["stage", "progress", "note", "fallback", "repair", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    ``stage`` names the work that begins, ``progress`` moves it on, ``note`` tells a decision,
    ``fallback`` a second choice that was taken, ``repair`` values that were mended, and ``warning`` what is
    most likely a mistake in the table.
    """

    kind: EventKind
    message: str
    done: float | None = None  # share of the stage that is finished, between 0 and 1
    count: int | None = None  # how many values, rows or trials the message is about
    repair: Repair | None = None  # for the report, where rows were left out when a table was read


OnEvent = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """The listener of callers who do not listen."""
