"""Parse durations such as ``1h30m``."""

from __future__ import annotations

import re

from xrfm_cli.errors import OptionError

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S = 100 * 365 * 86400.0  # keeps deadlines and waits within what the clock can represent


def parse_duration(text: str) -> float:
    """Return the seconds of ``90``, ``90s``, ``10m``, ``1h`` or ``1h30m``; raise OptionError otherwise.

    >>> parse_duration("10m"), parse_duration("1h30m"), parse_duration("0.5")
    (600.0, 5400.0, 0.5)
    """
    compact = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d*)?|\.\d+", compact):
        compact += "s"
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(d|h|m|s)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise OptionError(f"'{text}' is not a duration: write 90s, 10m, 1h30m or plain seconds")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise OptionError(f"'{text}' is not a duration above zero")
    if seconds > LONGEST_S:
        raise OptionError(f"'{text}' is longer than 100 years; leave the limit out")
    return seconds
