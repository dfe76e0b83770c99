"""Events that the library reports to its caller; the library itself never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from xrfm_cli.repairs import Repair

EventKind = Literal["stage", "progress", "note", "fallback", "repair", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    ``stage`` starts a step of the work, ``progress`` advances it, ``note`` reports a decision, ``fallback``
    a second choice, ``repair`` values that were repaired, and ``warning`` a likely mistake in the table.
    """

    kind: EventKind
    message: str
    done: float | None = None  # finished share of the stage, between 0 and 1
    count: int | None = None  # number of values, rows or trials the message is about
    repair: Repair | None = None  # for the report, if rows were skipped while a table was read


OnEvent = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Ignore an event (the default listener)."""
