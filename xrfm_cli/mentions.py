"""Parameters in messages: the command and the estimators spell them in their own way.

A message names a parameter by :func:`option`, which gives a placeholder. The command spells it as a flag, the
estimators as an argument:

    >>> message = f"raise the ridge: {option('set', {'ridge': 0.01})}, or see {option('time_limit')}"
    >>> spell(message)
    'raise the ridge: --set ridge=0.01, or see --time-limit'
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

from xrfm_cli.urls import with_urls

_PLACEHOLDER = re.compile("⟦([a-z_]+)(?:=([^⟧]*))?⟧")

Spelling = Callable[[str, Any], str]


def option(name: str, value: Any = None) -> str:
    """Return the placeholder of a parameter and, if it helps, its value.

    ``name`` is spelled with underscores. Hyperparameters are values of ``set``, in a dictionary; a list holds
    values to choose from.
    """
    return f"⟦{name}⟧" if value is None else f"⟦{name}={json.dumps(value, default=str)}⟧"


def as_flag(name: str, value: Any = None) -> str:
    """Spell a parameter as the command's flag.

    >>> as_flag("drop", "sale price"), as_flag("folds")
    ("--drop 'sale price'", '--folds')
    """
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, dict):
        return " ".join(f"{flag} {key}={_word(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"{flag} " + " or ".join(", ".join(map(_word, value)).rsplit(", ", 1))
    return flag if value is None else f"{flag} {_word(value)}"


def spell(message: str, spelling: Spelling = as_flag) -> str:
    """Return the message with its placeholders spelled, and with URLs in place of their copies."""
    return with_urls(
        _PLACEHOLDER.sub(
            lambda found: spelling(found[1], json.loads(found[2]) if found[2] else None), message
        )
    )


def _word(value: Any) -> str:
    """Write a value as a word of a shell.

    >>> print(_word(0.01), _word(2.0), _word("a b"), _word("'"))
    0.01 2 'a b' "'"
    """
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    if "'" in text and not set(text) & set('"$`\\!'):
        return f'"{text}"'
    return shlex.quote(text)
