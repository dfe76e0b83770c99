"""Format values for the HTML pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from xrfm_cli.reports.labels import short_label


def number(value: float | None) -> str:
    """Format a number with four significant digits, and an exponent only if necessary.

    >>> number(0.123456), number(1234567.0), number(2.5e-7), number(None)
    ('0.1235', '1,234,567', '2.500e-07', '–')
    """
    if value is None:
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def minus(words: str) -> str:
    """Write a number with a minus in place of a hyphen.

    >>> minus("-2.5e-07")
    '−2.5e-07'
    """
    return f"−{words[1:]}" if words.startswith("-") else words


def signed(value: float) -> str:
    """Format a change with its sign.

    >>> signed(0.0123), signed(-103_612.4), signed(0.0)
    ('+0.0123', '−103,612', '0')
    """
    return number(value) if value == 0 else f"{'+' if value > 0 else '−'}{number(abs(value))}"


def parts(validation: Mapping[str, Any]) -> str:
    """Name the parts of the held-out rows over which a score has its range.

    >>> parts({"folds": 10}), parts({"folds": 1})
    ('over the folds', 'over quarters of the held-out rows')
    """
    return "over the folds" if validation["folds"] > 1 else "over quarters of the held-out rows"


def decimals(values: Iterable[float | None]) -> int:
    """Return the decimal places that show three digits of the largest of some values.

    >>> decimals([0.0389, -0.00009, None]), decimals([35_691.2]), decimals([])
    (4, 0, 0)
    """
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    return max(0, min(12, 2 - math.floor(math.log10(largest)))) if largest > 0 else 0


def rounded(value: float | None, places: int) -> str:
    """Format a number with fixed decimal places, so that a column of them can be compared.

    >>> rounded(-0.0195, 3), rounded(35_691.2, 0), rounded(-0.00001, 3), rounded(None, 2)
    ('−0.019', '35,691', '0.000', '–')
    """
    if value is None:
        return "–"
    if abs(value) >= 1e12:
        return number(value)
    return f"{round(value, places) + 0.0:,.{places}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """Format a share as a percentage, with one decimal if it is informative.

    >>> percent(0.1234), percent(0.00012), percent(0.0), percent(1.0)
    ('12.3 %', '<0.1 %', '0 %', '100 %')
    """
    if value is None:
        return "–"
    if value == 0 or value >= 0.9995:
        return f"{100 * value:.0f} %"
    return "<0.1 %" if value < 0.0005 else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """Format a duration.

    >>> seconds(0.1234), seconds(62.0), seconds(7300)
    ('0.12 s', '1 min 2 s', '2 h 1 min')
    """
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def byte_count(value: float | None) -> str:
    """Format a size in binary units.

    >>> byte_count(3 << 20), byte_count(5 << 30)
    ('3 MiB', '5.0 GiB')
    """
    if value is None:
        return "–"
    return f"{value / 2**20:,.0f} MiB" if value < 2**30 else f"{value / 2**30:,.1f} GiB"


def setting(value: Any) -> str:
    """Format a hyperparameter's value.

    >>> setting(0.012345678), setting(25_030.4), setting("full"), setting(None)
    ('0.01235', '25,030', 'full', 'none')
    """
    if value is None:
        return "none"
    return number(value) if isinstance(value, float) else str(value)


def happening(item: Any) -> str:
    """Format a fallback as one sentence."""
    if not isinstance(item, Mapping):
        return str(item)
    count = item.get("count")
    times = f" ({count:,} times)" if isinstance(count, int) and count > 1 else ""
    return f"{item.get('message', item.get('what', ''))}{times}"


def parameter_names(members: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Divide the hyperparameters of an ensemble into those that differ between members and the others."""
    names = list(dict.fromkeys(name for member in members for name in member["params"]))
    differ = [name for name in names if len({str(member["params"].get(name)) for member in members}) > 1]
    return {"differing": differ, "common": [name for name in names if name not in differ]}


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "parts": parts,
    "percent": percent,
    "rounded": rounded,
    "seconds": seconds,
    "bytes": byte_count,
    "value": setting,
    "event": happening,
    "parameter_names": parameter_names,
    "label": lambda text: short_label(text, 300),
}
