"""Quickly tell columns of prose from those that may hold numbers or dates."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SAMPLE = 64  # cells to check, evenly spaced
# A longer cell is never a number or a date, even with its unit, weekday, time and zone.
_MOST_CHARACTERS, _MOST_WORDS = 80, 9
_LEAST_SHARE = 0.25  # of the sample that may be numbers or dates; their readers need at least half
_LEAST_SAMPLE = 16  # cells; with fewer, none may be a number or date
_DIGIT = re.compile(r"\d")


def looks_like_words(cells: pa.Array) -> bool:
    """Return whether most cells have no digit or are too long for numbers and dates.

    Parsing text as numbers, dates and units takes far longer than checking a sample. Both cells and distinct
    values are sampled, since numbers may be rare among the distinct values and yet fill most cells.

    >>> looks_like_words(pa.array(["the 3 rooms have been painted in the colour of the sea"] * 30))
    True
    >>> looks_like_words(pa.array(["12", "15", "unknown"])), looks_like_words(pa.array(["", "12"]))
    (False, False)
    """
    return _are_words(cells) and _are_words(pc.unique(cells))


@lru_cache(maxsize=16)  # the columns of a table have equal lengths
def _sample_places(n: int) -> pa.Array:
    """Return the places of the sample among ``n`` cells."""
    return pa.array(np.unique(np.linspace(0, n - 1, _SAMPLE).astype(np.int64)))


def _are_words(cells: pa.Array) -> bool:
    present = cells.drop_null()
    if len(present) > _SAMPLE:
        present = present.take(_sample_places(len(present)))
    sample = [cell for cell in present.to_pylist() if cell.strip()]
    if not _DIGIT.search("\n".join(sample)):
        return bool(sample)
    possible = sum(
        len(cell) <= _MOST_CHARACTERS and _DIGIT.search(cell) is not None and len(cell.split()) <= _MOST_WORDS
        for cell in sample
    )
    if len(sample) < _LEAST_SAMPLE:
        return bool(sample) and not possible
    return possible < _LEAST_SHARE * len(sample)
