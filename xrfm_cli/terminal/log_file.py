"""``--log-file``: what is said on standard error, kept with the time of each line."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xrfm_cli.errors import InputError, OptionError
from xrfm_cli.printable import printable
from xrfm_cli.terminal import streams

_LOOKED_AT_BYTES = 1 << 16  # of each end: a log that was cut may begin within a traceback
_LINE_START = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} [A-Z]+ ", re.MULTILINE)
LINE, TIME = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"


class _Handler(logging.FileHandler):
    """Appends to a file while that can be written: a full disk is said once, and ends the log alone."""

    def __init__(self, path: str) -> None:
        super().__init__(Path(path), encoding="utf-8", errors="backslashreplace")
        self.path = path  # as it was given; logging makes it absolute

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say why a line could not be written, and write the others to nowhere."""
        fault = sys.exc_info()[1]
        if not isinstance(fault, OSError):
            raise
        streams.silence(self.stream)
        reason = f"cannot be written ({fault.strerror}); the command goes on without it"
        streams.messages().write(f"warning: --log-file {self.path}: {reason}\n")


@contextmanager
def open_log(path: str | None) -> Iterator[logging.Logger | None]:
    """A logger that appends to a file, None without one; the error that ends the command is its last line.

    The logger belongs to nobody else: other libraries' messages do not go there, and none goes elsewhere.
    Raises OptionError where the file cannot be written or holds something else than such a log.
    """
    if path is None:
        yield None
        return
    _refuse_other_files(path)
    try:
        handler = _Handler(path)
    except OSError as fault:
        reason = fault.strerror or fault
        raise OptionError(f"--log-file {path}: cannot be written: {reason}; choose another place") from fault
    handler.setFormatter(logging.Formatter(LINE, TIME))
    logger = logging.Logger("xrfm", logging.INFO)
    logger.addHandler(handler)
    try:
        yield logger
    except InputError as fault:
        logger.error("%s", printable(str(fault)))
        raise
    except KeyboardInterrupt as interrupt:
        logger.error("%s", str(interrupt) or "interrupted: nothing was saved")
        raise
    except Exception as fault:
        logger.exception("internal fault: %s: %s", type(fault).__name__, fault)
        raise
    finally:
        handler.close()


def _refuse_other_files(path: str) -> None:
    """Refuse a file with content and no line of a log near its ends."""
    try:
        if not Path(path).is_file():
            return  # a new file, or a device or a pipe, which may not be read
        with Path(path).open("rb") as file:
            content = file.read(_LOOKED_AT_BYTES)
            if file.seek(0, os.SEEK_END) > _LOOKED_AT_BYTES:
                file.seek(-_LOOKED_AT_BYTES, os.SEEK_END)
                content += file.read()
    except OSError:
        return  # a log may be for writing alone; whoever opens it says what else is the matter
    if content.strip() and not _LINE_START.search(content):
        raise OptionError(
            f"--log-file {path}: holds something else than a log of xrfm, and lines would be added to it; "
            "give the name of a new file or of such a log"
        )
