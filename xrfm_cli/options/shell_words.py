"""Format commands that a user can paste into a shell."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

PLAIN_ON_WINDOWS = re.compile(r"[\w./\\:+=-]+")


def shell_line(words: Sequence[str], *, is_windows: bool = os.name == "nt") -> str:
    """Join words into one line, quoted for a POSIX shell, or for both PowerShell and cmd on Windows.

    Inside double quotes PowerShell still replaces ``$name``, and cmd ``%name%``. A word with a ``$`` or a
    backquote is quoted for PowerShell only.

    >>> shell_line(["xrfm", "predict", "my data.csv"], is_windows=False)
    "xrfm predict 'my data.csv'"
    >>> shell_line(["xrfm", "predict", "my data.csv"], is_windows=True)
    'xrfm predict "my data.csv"'
    """
    return " ".join(map(_windows_word, words)) if is_windows else shlex.join(words)


def _windows_word(word: str) -> str:
    if PLAIN_ON_WINDOWS.fullmatch(word):
        return word
    if any(mark in word for mark in '$`"'):
        return "'" + word.replace("'", "''") + "'"
    # A backslash before the closing quote would escape it.
    return f'"{word}{chr(92) * (len(word) - len(word.rstrip(chr(92))))}"'
