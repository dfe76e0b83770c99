"""The progress bar of a terminal, and the line that takes its place elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

from xrfm_cli.events import Event
from xrfm_cli.printable import printable

BAR_WIDTH = 16
LEAST_SHARE = 0.02  # share of the work before the remaining time is estimated


def make_bar(console: Console) -> Progress:
    """Return a bar like ``searching ━━━━──── 22/60 s · trial 14 · best auc 0.851 · Ctrl-C keeps the best``.

    A time limit moves it between events, too. What does not fit into the terminal is cut off at the end.
    """
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        _LimitBar(bar_width=BAR_WIDTH),
        _Detail(table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
    )


def task_fields(event: Event | None = None) -> dict[str, Any]:
    """Return the fields of the bar's task: the event's text, and when its time limit began and ends."""
    if event is None:
        return {"message": "", "hint": "", "began": None, "limit_s": None}
    began = None if event.elapsed_s is None else time.monotonic() - event.elapsed_s
    return {
        "message": printable(event.message),
        "hint": printable(event.hint),
        "began": began,
        "limit_s": event.limit_s,
    }


def progress_line(stage: str, event: Event) -> str:
    """Return a progress event as a line of text.

    >>> progress_line("searching", Event(kind="progress", message="trial 3", elapsed_s=22.4, limit_s=60.0))
    'searching 22/60 s · trial 3'
    >>> progress_line("searching", Event(kind="progress", message="trial 3", done=0.5))
    'searching 50% · trial 3'
    """
    amount = ""
    if event.elapsed_s is not None and event.limit_s is not None:
        amount = f" {event.elapsed_s:.0f}/{event.limit_s:.0f} s"
    elif event.done is not None:
        amount = f" {event.done:.0%}"
    return f"{stage}{amount}" + (f" · {printable(event.message)}" if event.message else "")


def _spent_s(task: Task) -> float | None:
    """Return the seconds since the work began, if it has a time limit."""
    began = task.fields["began"]
    return None if began is None else time.monotonic() - began


class _LimitBar(BarColumn):
    """A bar that a time limit moves between events."""

    def render(self, task: Task) -> ProgressBar:
        """Return the bar."""
        spent, limit = _spent_s(task), task.fields["limit_s"]
        if spent is not None and limit:
            task.completed = max(task.completed, min(1.0, spent / limit))
        return super().render(task)


class _Detail(ProgressColumn):
    """The seconds of a time limit, or those that are left, with the message and the hint."""

    max_refresh = 0.5  # seconds

    def render(self, task: Task) -> Text:
        """Return the text beside the bar."""
        spent, limit, elapsed = _spent_s(task), task.fields["limit_s"], task.elapsed or 0.0
        if spent is not None and limit:
            amount = f"{spent:.0f}/{limit:.0f} s"
        elif task.total is not None and task.completed >= LEAST_SHARE:
            left = elapsed * (1 - task.completed) / task.completed
            amount = f"{_clock(left)} left"
        else:
            amount = _clock(elapsed)
        parts = [amount, task.fields["message"], task.fields["hint"]]
        text = Text(" · ".join(part for part in parts if part))
        text.stylize("dim", len(amount))
        return text


def _clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> _clock(72.4), _clock(3_725.0)
    ('1:12', '62:05')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
