"""The spellings of each date format, as patterns with named groups."""

from __future__ import annotations

# Java appends the zone name to the offset.
_CLOCK = (
    r"(?P<hour>[0-9]{1,2})(?::?(?P<minute>[0-9]{2}))?(?::?(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r"\s*(?P<half>[AaPp])?(?:\.?\s?[Mm]\.?)?\s*"
    r"(?:(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?(?:[0-9]{2})?)(?:\[[A-Za-z0-9_/+-]+\])?)?"
)
_TIME_OF_DAY = "^" + _CLOCK.replace("(?::?(?P<minute>[0-9]{2}))?", ":(?P<minute>[0-9]{2})") + "$"
_AFTER_DAY = rf"(?:(?:[T,:]\s*|\s+){_CLOCK})?$"
_YEAR_FIRST = (
    rf"^(?P<year>[0-9]{{4}})[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}}){_AFTER_DAY}",
    rf"^(?P<year>[0-9]{{4}})(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}}){_AFTER_DAY}",
    r"^(?P<year>[0-9]{4})-(?P<month>[0-9]{2})$",
)
_A_YEAR = "(?P<year>(?:1[89]|20)[0-9]{2})"  # other digits before Q4 may be a code
_PERIODS = (
    rf"^{_A_YEAR}[- /]?[Qq](?P<quarter>[1-4])$",
    rf"^[Qq](?P<quarter>[1-4])[- /]?{_A_YEAR}$",
    rf"^{_A_YEAR}-?M(?P<month>[0-9]{{1,2}})$",
    rf"^{_A_YEAR}-?W(?P<week>[0-9]{{2}})$",
    r"^(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})/[0-9]{4}-[0-9]{2}-[0-9]{2}$",
)
_DAY_FIRST = (
    rf"^(?P<day>[0-9]{{1,2}})[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<year>[0-9]{{4}}|[0-9]{{2}}){_AFTER_DAY}",
)
_MONTH_FIRST = (
    rf"^(?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}})[-/.](?P<year>[0-9]{{4}}|[0-9]{{2}}){_AFTER_DAY}",
)
_SHORT_YEAR_FIRST = (
    rf"^(?P<year>[0-9]{{2}})[-/.](?P<month>[0-9]{{1,2}})[-/.](?P<day>[0-9]{{1,2}}){_AFTER_DAY}",
)
_WEEKDAY = r"^(?:[A-Za-z]{3,9},?\s+)?"
_MONTH_NAME = (
    rf"{_WEEKDAY}(?P<day>[0-9]{{1,2}})\.?[-/ ]*(?P<name>[A-Za-z]{{3,9}})\.?[-/, ]*"
    rf"(?P<year>[0-9]{{4}}|[0-9]{{2}}){_AFTER_DAY}",
    rf"{_WEEKDAY}(?P<name>[A-Za-z]{{3,9}})\.?[-/ ]+(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,?[-/ ]+"
    rf"(?P<year>[0-9]{{4}}){_AFTER_DAY}",
    r"^(?P<name>[A-Za-z]{3,9})\.?,?[-/ ]*(?P<year>[0-9]{4})$",
    rf"{_WEEKDAY}(?P<name>[A-Za-z]{{3}})\s+(?P<day>[0-9]{{1,2}})\s+{_CLOCK}\s+(?P<year>[0-9]{{4}})$",
)
PATTERNS: dict[str, tuple[str, ...]] = {
    "iso": (*_YEAR_FIRST, *_PERIODS),
    "day first": _DAY_FIRST,
    "month first": _MONTH_FIRST,
    "year first": (*_YEAR_FIRST, *_SHORT_YEAR_FIRST),
    "any order": (*_DAY_FIRST, *_SHORT_YEAR_FIRST),
    "month name": _MONTH_NAME,
    "time": (_TIME_OF_DAY,),
    "digits": (_YEAR_FIRST[1],),
}
