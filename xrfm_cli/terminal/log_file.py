"""``--log-file``: keep the messages of standard error in a file, with timestamps."""

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

_LOOKED_AT_BYTES = 1 << 16  # at each end: a truncated log may begin within a traceback
_LINE_START = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} [A-Z]+ ", re.MULTILINE)
LINE, TIME = "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"


class _Handler(logging.FileHandler):
    """File handler that survives a full disk: it warns once and stops logging; the command continues."""

    def __init__(self, path: str) -> None:
        super().__init__(Path(path), encoding="utf-8", errors="backslashreplace")
        self.path = path  # as given; logging makes it absolute

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Warn that a line could not be written, and discard the lines that follow."""
        fault = sys.exc_info()[1]
        if not isinstance(fault, OSError):
            raise
        streams.silence(self.stream)
        reason = f"cannot be written ({fault.strerror}); the command continues without it"
        streams.messages().write(f"warning: --log-file {self.path}: {reason}\n")


@contextmanager
def open_log(path: str | None) -> Iterator[logging.Logger | None]:
    """Yield a logger that appends to a file, or None without a path; a final error is logged as well.

    The logger is private: messages of other libraries do not reach it, and its messages go nowhere else.
    Raises OptionError if the file cannot be written or is not an xrfm log.
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
        logger.exception("internal error: %s: %s", type(fault).__name__, fault)
        raise
    finally:
        handler.close()


def _refuse_other_files(path: str) -> None:
    """Refuse a non-empty file without log lines near its ends."""
    try:
        if not Path(path).is_file():
            return  # a new file, or a device or pipe, which cannot be inspected
        with Path(path).open("rb") as file:
            content = file.read(_LOOKED_AT_BYTES)
            if file.seek(0, os.SEEK_END) > _LOOKED_AT_BYTES:
                file.seek(-_LOOKED_AT_BYTES, os.SEEK_END)
                content += file.read()
    except OSError:
        return  # the log may be write-only; other errors appear when it is opened
    if content.strip() and not _LINE_START.search(content):
        raise OptionError(
            f"--log-file {path}: the file exists and is not an xrfm log, and lines would be appended to it; "
            "give the name of a new file or of such a log"
        )
