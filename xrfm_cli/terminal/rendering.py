"""Print everything: progress and messages on standard error, results on standard output.

The library never prints; it sends events to this module. Names, levels and reasons come from untrusted files,
so control characters that could affect a terminal are printed as their codes.
"""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, TaskID
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from xrfm_cli.events import Event
from xrfm_cli.mentions import spell
from xrfm_cli.printable import printable, printable_json
from xrfm_cli.terminal import streams
from xrfm_cli.terminal.progress_bar import make_bar, progress_line, task_fields
from xrfm_cli.urls import link_of

SCHEMA_VERSION = 1
WIDTH = 80
STYLES = {"note": "dim", "fallback": "yellow", "repair": "yellow", "warning": "yellow"}
PREFIXES = {"note": "", "fallback": "fallback: ", "repair": "repaired: ", "warning": "warning: "}
LEVELS = dict.fromkeys(("fallback", "repair", "warning"), logging.WARNING)  # in the log; INFO otherwise
LOG_INTERVAL_S = 10.0
SHORTEST_S = 1e-3  # of a stage, for its rows a second
QUICK = ("info", "doctor", "sample")  # commands that load their libraries before a message could be read


class Renderer:
    """Print events and results; nothing else in the program prints."""

    def __init__(
        self,
        *,
        is_quiet: bool = False,
        is_verbose: bool = False,
        is_json: bool = False,
        log: logging.Logger | None = None,
    ) -> None:
        self.is_quiet = is_quiet
        self.is_verbose = is_verbose  # results show every column
        self.is_json = is_json
        self._messages = _console(streams.messages())
        self._results = _console(streams.results())
        self._log = log
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._logged = self._began = float("-inf")

    def on_event(self, event: Event) -> None:
        """Print an event of the library; an ``OnEvent``."""
        if event.kind == "stage":
            self._begin(event.message)
        elif event.kind == "progress":
            self._move(event)
        else:
            self.note(event.message + _count_text(event), kind=event.kind)

    def stage(self, name: str) -> None:
        """Announce the next stage of the command."""
        self.on_event(Event(kind="stage", message=name))

    @contextmanager
    def loading(self, command: str) -> Iterator[None]:
        """Show on a terminal that a command loads its libraries, which takes seconds."""
        if command in QUICK or self.is_quiet or not self._messages.is_terminal:
            yield
            return
        with self._messages.status("loading libraries"):
            yield

    def advance(self, message: str, *, done: float | None = None) -> None:
        """Report progress within the stage."""
        self.on_event(Event(kind="progress", message=message, done=done))

    def advance_rows(self, rows: int, *, total: int | None = None) -> None:
        """Report the rows that the stage has processed, and how many a second."""
        seconds = max(time.monotonic() - self._began, SHORTEST_S)
        done = rows / total if total else None
        self.advance(f"{rows:,} rows · {rows / seconds:,.0f} rows/s", done=done)

    def note(self, message: str, *, kind: str = "note", files: Sequence[Path] = ()) -> None:
        """Print one message on standard error and in the log: one line, wrapped at words on a terminal.

        The paths of ``files`` in the message are links, which many terminals open with a click.
        """
        line = printable(PREFIXES.get(kind, "") + spell(message))
        if self._log is not None:
            self._log.log(LEVELS.get(kind, logging.INFO), "%s", line)
        if not self.is_quiet:
            text = _wrapped(self._messages, line, STYLES.get(kind, ""))
            for path in files:
                text.highlight_words([printable(str(path))], Style(link=link_of(path)))
            self._messages.print(text, soft_wrap=True)

    def message(self, renderable: RenderableType) -> None:
        """Print something other than a result on standard error."""
        if not self.is_quiet:
            self._messages.print(_Printable(renderable))

    def log(self, message: str) -> None:
        """Write one message to the log file only, if there is one."""
        if self._log is not None:
            self._log.info("%s", printable(message))

    def result(self, *renderables: RenderableType) -> None:
        """Print results on standard output, unless ``--json`` reserves it for the document."""
        self.close()
        if not self.is_json:
            for renderable in renderables:
                is_for_pasting = isinstance(renderable, Text) and renderable.no_wrap
                self._results.print(_Printable(renderable), soft_wrap=bool(is_for_pasting))

    def document(self, command: str, content: Mapping[str, Any]) -> None:
        """Print the JSON document of ``--json``."""
        self.close()
        if self.is_json:
            out = streams.documents()
            out.write(as_document(command, content, is_ascii=not streams.is_utf8()))
            out.flush()

    def close(self) -> None:
        """Remove the progress bar."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def _begin(self, stage: str) -> None:
        stage = printable(stage)
        self._stage = stage
        self._began = self._logged = time.monotonic()
        if self.is_quiet or not self._messages.is_terminal:
            self.note(stage, kind="stage")
            return
        self.log(stage)
        if self._progress is None:
            self._progress = make_bar(self._messages)
            self._progress.start()
        elif self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(stage, total=None, **task_fields())

    def _move(self, event: Event) -> None:
        if self._progress is not None and self._task is not None:
            total = None if event.done is None else 1.0
            self._progress.update(self._task, total=total, completed=event.done or 0, **task_fields(event))
        if time.monotonic() - self._logged >= LOG_INTERVAL_S:
            # An occasional line shows that the command is alive.
            self._logged = time.monotonic()
            line = progress_line(self._stage, event)
            if self._progress is None and self.is_verbose:
                self.note(line, kind="stage")
            else:
                self.log(line)


@dataclass(frozen=True, slots=True)
class _Printable:
    """A renderable whose control characters are printed as codes, except for line breaks."""

    content: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.content, options):
            yield segment if segment.control else Segment(printable(segment.text, keep="\n"), segment.style)


def as_document(command: str, content: Mapping[str, Any], *, is_ascii: bool = False) -> str:
    """Return a versioned JSON document: one object.

    With ``is_ascii``, non-ASCII characters are escaped, so the document is valid in every encoding.

    >>> print(as_document("doctor", {"threads": 2}), end="")  # doctest: +ELLIPSIS
    {
      "schema_version": 1,
      "command": "doctor",
      "xrfm_version": "...",
      "threads": 2
    }
    """
    from xrfm_cli import __version__

    head = {"schema_version": SCHEMA_VERSION, "command": command, "xrfm_version": __version__}
    return printable_json(head | dict(content), is_ascii=is_ascii) + "\n"


def _count_text(event: Event) -> str:
    """Return the event's count in parentheses, unless the message contains it or a count of 1 is implied."""
    if event.count is None or f"{event.count:,}" in event.message:
        return ""
    return f" ({event.count:,})" if event.kind == "repair" or event.count > 1 else ""


def print_error(message: str) -> None:
    """Print the one line that says why a command failed; its first word is red on a terminal."""
    console = _console(streams.messages())
    text = _wrapped(console, f"error: {printable(' '.join(message.split()))}")
    text.stylize("bold red", 0, len("error:"))
    console.print(text, soft_wrap=True)


def _wrapped(console: Console, line: str, style: str = "") -> Text:
    """Return one line, for a terminal broken between words: paths and names stay whole for pasting."""
    if console.is_terminal:
        line = textwrap.fill(
            line, console.width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return Text(line, style=style)


def _console(stream: Any) -> Console:
    """Return a console that wraps at 80 columns if it is not a terminal, and at 100 in a wider terminal."""
    # Column names are printed literally: brackets and colons in them are not markup.
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal or console.width > 100:
        console.width = WIDTH if not console.is_terminal else 100
    return console
