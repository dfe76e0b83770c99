"""Events that the library reports to its caller; the library itself never prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from xrfm_cli.repairs import Repair

MOST_NAMED = 5  # columns named in a message about missing cells

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
    elapsed_s: float | None = None  # of the whole work, if it has a time limit
    limit_s: float | None = None  # the time limit
    hint: str = ""  # a hint for a user at a terminal
    repair: Repair | None = None  # for the report, if rows were skipped while a table was read


OnEvent = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Ignore an event (the default listener)."""


def repair_events(repairs: Iterable[Repair]) -> list[Event]:
    """Return an event for each repaired column, and one note about all missing cells, which need no repair.

    >>> told = repair_events([Repair("age", "missing", 2), Repair("fee", "infinite", 1)])
    >>> [(event.kind, event.message) for event in told]
    [('repair', 'fee: infinite'), ('note', 'missing cells in 1 column: age (2)')]
    """
    repairs = list(repairs)
    events = [
        Event(kind="repair", message=f"{item.column}: {item.what}", count=item.count)
        for item in repairs
        if item.what != "missing"
    ]
    missing = sorted((item for item in repairs if item.what == "missing"), key=lambda item: -item.count)
    if missing:
        named = ", ".join(f"{item.column} ({item.count:,})" for item in missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        columns = f"{len(missing):,} column{'' if len(missing) == 1 else 's'}"
        events.append(Event(kind="note", message=f"missing cells in {columns}: {named}{more}"))
    return events
