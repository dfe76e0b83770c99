"""A quick look that tells columns of prose from those that may hold numbers or dates."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SAMPLE = 64  # cells that are looked at, evenly spaced
# Above these sizes no cell is a number or a date with its unit, weekday, time and zone.
_MOST_CHARACTERS, _MOST_WORDS = 80, 9
_LEAST_SHARE = 0.25  # of the sample that may be numbers or dates; readers of either want at least half
_LEAST_SAMPLE = 16  # cells; of fewer none may be a number or date
_DIGIT = re.compile(r"\d")


def looks_like_words(cells: pa.Array) -> bool:
    """Whether most cells are too long for numbers and dates or have no digit.

    Parsing text as numbers, dates and quantities takes far longer than this look at a sample. Among the
    distinct values few may be numbers while most cells are, so both are sampled.

    >>> looks_like_words(pa.array(["the 3 rooms have been painted in the colour of the sea"] * 30))
    True
    >>> looks_like_words(pa.array(["12", "15", "unknown"])), looks_like_words(pa.array(["", "12"]))
    (False, False)
    """
    distinct = pc.unique(cells)
    return _are_words(cells) and _are_words(distinct)


def _are_words(cells: pa.Array) -> bool:
    present = cells.drop_null()
    places = np.unique(np.linspace(0, len(present) - 1, min(_SAMPLE, len(present))).astype(np.int64))
    sample = [cell for cell in present.take(pa.array(places)).to_pylist() if cell.strip()]
    possible = sum(
        len(cell) <= _MOST_CHARACTERS and _DIGIT.search(cell) is not None and len(cell.split()) <= _MOST_WORDS
        for cell in sample
    )
    if len(sample) < _LEAST_SAMPLE:
        return bool(sample) and not possible
    return possible < _LEAST_SHARE * len(sample)
