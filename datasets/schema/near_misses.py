"""Notes on categorical columns that would be numbers or dates except for a few cells."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets.cells.dates import DateFormat, parse_moments
from xrfm_cli.datasets.cells.values import Levels, is_placeholder, parse_numbers

_SAMPLE = 500  # distinct values to check
_LEAST_SHARE = 0.5  # minimum share of numbers or dates among them
_LEAST_VALUES = 5
_DATES: tuple[DateFormat, ...] = ("iso", "day first", "month first", "month name")


def near_miss_note(levels: Levels, decimal: str) -> str:
    """Return a note if most levels are numbers or dates, naming a cell that is not; otherwise "".

    >>> import pyarrow as pa
    >>> from xrfm_cli.datasets.cells.values import level_values
    >>> near_miss_note(level_values(pa.array(["1.5", "2.5", "<0.5", "3", "4", "5"])), ".")
    "; most values are numbers, but '<0.5' in row 3 does not fit"
    """
    sample = levels.values.slice(0, _SAMPLE)
    others = is_placeholder(sample)
    readable = {"numbers": ~np.isnan(parse_numbers(sample, decimal).values)}
    readable["dates"] = max((parse_moments(sample, known).valid for known in _DATES), key=np.count_nonzero)
    for what, good in readable.items():
        odd = np.flatnonzero(~good & ~others)
        if len(odd) and good.sum() >= max(_LEAST_VALUES, _LEAST_SHARE * len(sample)):
            row = int(np.flatnonzero(levels.codes == odd[0])[0]) + 1
            return f"; most values are {what}, but '{sample[int(odd[0])].as_py()}' in row {row} does not fit"
    return ""
