"""The listener of a fit: forwards events, and collects what the report needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.mentions import spell


@dataclass(slots=True)
class Listener:
    """Forward events and collect what the report needs."""

    on_event: OnEvent
    clock: Callable[[], float]
    fallbacks: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    ended: float = 0.0  # when the last stage ended, on the clock

    def __call__(self, event: Event) -> None:
        """Handle one event."""
        event = replace(
            event, message=spell(event.message)
        )  # as in the report, which is a page of the command
        if event.kind == "fallback":
            self.fallbacks[event.message] += event.count or 1
            if self.fallbacks[event.message] > (event.count or 1):
                return  # later ones are only counted
        elif event.kind in ("note", "warning"):
            self.notes.append(event.message)
        self.on_event(event)

    @contextmanager
    def stage(self, name: str, message: str) -> Iterator[None]:
        """Announce a stage and time it."""
        self(Event(kind="stage", message=message))
        began = self.clock()
        try:
            yield
        finally:
            self.ended = self.clock()
            self.seconds[name] = self.seconds.get(name, 0.0) + self.ended - began
