"""The signals that end a command, and a service that ends between two answers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SignalHandler = Callable[[int, FrameType | None], Any] | int | None
# A closed terminal is SIGHUP, and SIGBREAK on Windows.
ENDINGS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


class Ending:
    """Ends a service on a signal: at once while it waits for input, otherwise after the current answer."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_waiting = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Let Ctrl-C and the signals of :data:`ENDINGS` request the end; ignored signals stay ignored."""
        # Python only lets the main thread set handlers.
        is_main = threading.current_thread() is threading.main_thread()
        numbers = [signal.SIGINT, *ENDINGS] if is_main else []
        heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._hear) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def wait(self, read: Callable[[], str]) -> str:
        """Return the input, or "" once the end is requested."""
        try:
            self._is_waiting = True
            text = "" if self.is_asked else read()
            self._is_waiting = False
        except KeyboardInterrupt:
            self._is_waiting = False
            return ""
        return text

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt
