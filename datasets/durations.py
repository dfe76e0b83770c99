"""Durations that are written as text become seconds: PT1H30M, 1 days 02:30:00, 1h 30min."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNIT = "duration"  # stands for all of them where columns name their unit
_N = "[0-9]+(?:[.][0-9]+)?"
_SECONDS = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "seconds": 1.0}
# Arrow's expressions need the same names in each; months and years have no length, so they are no durations.
_PATTERNS = (
    rf"^(?P<sign>-?)P(?:(?P<days>{_N})D)?"
    rf"(?:T(?:(?P<hours>{_N})H)?(?:(?P<minutes>{_N})M)?(?:(?P<seconds>{_N})S)?)?$",
    r"^(?P<sign>-?)(?P<days>[0-9]+) days?,?"
    rf"(?: \+?(?P<hours>[0-9]{{1,2}}):(?P<minutes>[0-9]{{2}}):(?P<seconds>{_N}))?$",
    rf"^(?P<sign>-?)(?:(?P<days>{_N}) ?d(?:ays?)?,? ?)?(?:(?P<hours>{_N}) ?h(?:ours?|rs?)?,? ?)?"
    rf"(?:(?P<minutes>{_N}) ?m(?:in(?:utes?|s)?)?,? ?)?(?:(?P<seconds>{_N}) ?s(?:ec(?:onds?|s)?)?)?$",
)  # fmt: skip


def duration_seconds(text: pa.Array) -> np.ndarray:
    """Seconds, float64 (n,); NaN where a text is missing or no duration.

    >>> duration_seconds(pa.array(["PT1H30M", "1 days 00:00:01", "2h 5s", "12 kg", ""])).tolist()
    [5400.0, 86401.0, 7205.0, nan, nan]
    """
    seconds = np.full(len(text), np.nan)
    for pattern in _PATTERNS:
        parts = pc.extract_regex(text, pattern)
        total = np.zeros(len(text))
        found = np.zeros(len(text), dtype=bool)
        for name, factor in _SECONDS.items():
            part = parts.field(name)
            is_there = pc.fill_null(pc.not_equal(part, ""), False)
            number = pc.if_else(is_there, part, pa.scalar("0", pa.string())).cast(pa.float64())
            total += factor * number.to_numpy(zero_copy_only=False)
            found |= np.asarray(is_there.to_numpy(zero_copy_only=False), dtype=bool)
        minus = pc.fill_null(pc.equal(parts.field("sign"), "-"), False).to_numpy(zero_copy_only=False)
        found &= np.isnan(seconds)
        seconds[found] = np.where(minus, -total, total)[found]
    return seconds
