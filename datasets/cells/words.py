"""Read text as categories: find the levels of a column, and match cells to known levels.

A text file must spell missing cells (`NA`, an empty cell), and blanks around a cell are padding. A typed
source (Parquet, Arrow, data frames, arrays) marks missing cells itself, so every text in it is a word.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.durations import duration_seconds
from xrfm_cli.datasets.cells.plain_types import is_text, plain_array
from xrfm_cli.datasets.cells.spellings import as_text, canonical_text, float_text
from xrfm_cli.datasets.cells.values import Levels, tidy_text, to_mask

MISSING, UNKNOWN = -1, -2  # codes of cells that match no known word
_FEW_CELLS, _FEW_BYTES = 64, 64  # of a column whose levels are kept once they were found, and of its cells


def word_levels(column: pa.ChunkedArray | pa.Array, decimal: str = ".", *, is_typed: bool) -> Levels:
    """Return a column as category levels; with ``is_typed``, text is literal, as in Parquet.

    A level has its canonical spelling ("3" for "3.0") unless the column has several spellings of it: those
    become separate levels, such as "1.1" and "1.10" for versions.

    >>> word_levels(pa.array(["3.0", "1.1", "1.10", "NA", " a "]), is_typed=False).values.to_pylist()
    ['3', '1.1', '1.10', 'a']
    >>> word_levels(pa.array(["NA", "", " a ", None]), is_typed=True).codes.tolist()
    [0, 1, 2, -1]
    """
    distinct, codes, is_plain = _distinct(column)
    is_literal = is_plain and is_typed
    if len(distinct) <= _FEW_CELLS and distinct.nbytes <= _FEW_CELLS * _FEW_BYTES:
        values, places = _levels_of_few(tuple(distinct.to_pylist()), decimal, is_literal)
    else:
        values, places = _levels_of(distinct, decimal, is_literal)
    return Levels(values=values, codes=places[codes])


def _levels_of(distinct: pa.Array, decimal: str, is_literal: bool) -> tuple[pa.Array, np.ndarray]:
    """Return the levels of distinct cells, and the level of each cell, int64 (k + 1,), with -1 at the end."""
    words = (distinct if is_literal else tidy_text(distinct)).dictionary_encode()
    spelled = words.dictionary
    canonical = canonical_text(spelled, decimal).dictionary_encode()
    groups = canonical.indices.to_numpy(zero_copy_only=False)
    is_shared = np.bincount(groups, minlength=1)[groups] > 1
    values = pc.if_else(pa.array(is_shared, pa.bool_()), spelled, canonical.dictionary_decode())
    return values, np.append(_codes(words.indices, MISSING), MISSING)


@lru_cache(maxsize=4096)
def _levels_of_few(
    distinct: tuple[str | None, ...], decimal: str, is_literal: bool
) -> tuple[pa.Array, np.ndarray]:
    """Cache `_levels_of`: a column is read for its kind, its encoder, its profile and its hash."""
    return _levels_of(pa.array(distinct, pa.string()), decimal, is_literal)


def find_words(column: pa.ChunkedArray | pa.Array, decimal: str, known: tuple[str, ...]) -> np.ndarray:
    """Return codes into the ``known`` levels, int64 (n,): -1 if missing, -2 if the level is not known.

    A cell that matches a level exactly is that level, in any format. Any other cell is read as in a text
    file: it may spell a missing cell, have blanks around it, or be another spelling of a level.

    >>> cells = pa.array(["b", " a", "3.0", "", "NA", "c"])
    >>> find_words(cells, ".", ("a", "b", "3", "NA")).tolist()
    [1, 0, 2, -1, 3, -2]
    """
    distinct, codes = _dictionary(column) or _distinct(column)[:2]
    levels = pa.array(known, pa.string())
    found = _codes(pc.index_in(distinct, value_set=levels), UNKNOWN)
    others = np.flatnonzero(found < 0)
    if len(others):
        is_duration = pa.types.is_duration(column.type)
        found[others] = _find_loosely(distinct.take(pa.array(others)), decimal, levels, is_duration)
    return np.append(found, MISSING)[codes]


def _find_loosely(words: pa.Array, decimal: str, levels: pa.Array, is_duration: bool) -> np.ndarray:
    """Return codes of words that are no level as they stand: missing cells and other spellings."""
    tidy = tidy_text(words)
    found = _codes(pc.index_in(canonical_text(tidy, decimal), value_set=canonical_text(levels)), UNKNOWN)
    if is_duration:  # older models store durations as seconds
        in_seconds = float_text(pa.array(duration_seconds(tidy)))
        old = _codes(pc.index_in(in_seconds, value_set=canonical_text(levels)), UNKNOWN)
        found = np.where(found >= 0, found, old)
    exact = _codes(pc.index_in(tidy, value_set=levels), UNKNOWN)  # the closer spelling wins
    found = np.where(exact >= 0, exact, found)
    return np.where(to_mask(pc.is_null(tidy)) & (found < 0), MISSING, found)


def _distinct(column: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, np.ndarray, bool]:
    """Return the distinct cells as text (k,), the index (n,) of each cell there, and whether it was text.

    The index is -1 for null. NaN becomes text here, which means missing and is not a word.
    """
    encoded = _words_of_dictionary(column)
    is_plain = encoded is not None
    if encoded is None:
        array = plain_array(column)
        is_plain = is_text(array.type)
        encoded = (array if is_plain else as_text(array)).dictionary_encode()
    distinct = encoded.dictionary if is_plain else tidy_text(encoded.dictionary)
    return distinct, _codes(encoded.indices, MISSING), is_plain


def _dictionary(column: pa.ChunkedArray | pa.Array) -> tuple[pa.Array, np.ndarray] | None:
    """Return the words of a text dictionary, in use or not, and the index of each cell; None otherwise.

    A dictionary of many more words than cells is not worth looking up.
    """
    whole = _text_dictionary(column)
    if whole is None or len(whole.dictionary) > len(whole) + _FEW_CELLS:
        return None
    return whole.dictionary, _codes(whole.indices, MISSING)


def _words_of_dictionary(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray | None:
    """Return a text dictionary with only the words in use, in order of appearance; None otherwise."""
    whole = _text_dictionary(column)
    if whole is None or len(pc.unique(whole.dictionary)) < len(whole.dictionary):
        return None
    encoded = whole.indices.dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices, whole.dictionary.take(encoded.dictionary))


def _codes(indices: pa.Array, null: int) -> np.ndarray:
    """Convert Arrow indices to int64 (n,), with ``null`` for nulls."""
    if indices.null_count:
        indices = pc.fill_null(indices, null)
    return np.asarray(indices.to_numpy(zero_copy_only=False)).astype(np.int64)


def _text_dictionary(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray | None:
    """Return a column that is one text dictionary without a missing word; None otherwise."""
    if not pa.types.is_dictionary(column.type) or not pa.types.is_string(column.type.value_type):
        return None
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks != 1:
            return None
        column = column.chunk(0)
    return None if column.dictionary.null_count else column
