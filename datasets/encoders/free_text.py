"""Encode free text in a fixed width: its length, its number of words, and its hashed words."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xrfm_cli.datasets.cells.plain_types import HASHED_COLUMNS, MEASURED_TEXT, is_text, plain_array
from xrfm_cli.datasets.cells.spellings import as_text
from xrfm_cli.datasets.cells.values import tidy_text
from xrfm_cli.datasets.encoders.numeric import Scaling, fit_scaling
from xrfm_cli.datasets.encoders.stored_arrays import check_vectors
from xrfm_cli.repairs import Repair

_LONGEST = 1 << 16
_BLOCK_BYTES = 1 << 21  # of text measured at once: its words fit a processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoder:
    """The encoder of one free-text column.

    Output columns: the standardised log counts of characters and words; 32 columns in which each word adds
    +1 or -1 at a position given by its hash, scaled to unit length; an indicator of missing cells if training
    had any.
    """

    column: str
    characters: Scaling | None
    words: Scaling | None
    has_missing: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""
        sizes = (f"{self.column} length", f"{self.column} words")
        hashed = tuple(f"{self.column} hash {place}" for place in range(HASHED_COLUMNS))
        return (*sizes, *hashed, f"{self.column} missing") if self.has_missing else (*sizes, *hashed)

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""
        measured = measure_texts(cells)
        missing = _missing(measured)
        characters, words = _log_sizes(measured)
        out[:, 0] = (
            0.0 if self.characters is None else np.where(missing, 0.0, self.characters.apply(characters))
        )
        out[:, 1] = 0.0 if self.words is None else np.where(missing, 0.0, self.words.apply(words))
        hashed = measured.field("hashed").flatten().to_numpy(zero_copy_only=False)
        out[:, 2 : 2 + HASHED_COLUMNS] = hashed.reshape(-1, HASHED_COLUMNS)
        if self.has_missing:
            out[:, -1] = missing
        return (Repair(self.column, "missing", int(missing.sum())),)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""

        def numbers(scaling: Scaling | None) -> list[float] | None:
            return None if scaling is None else [scaling.unit, scaling.center, scaling.deviation]

        return {
            "column": self.column,
            "characters": numbers(self.characters),
            "words": numbers(self.words),
            "has_missing": self.has_missing,
        }, {}

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> TextEncoder:
        """Restore the encoder that `state` described."""

        check_vectors(plain["column"], arrays)

        def scaling(numbers: list[float] | None) -> Scaling | None:
            return (
                None if numbers is None else Scaling(unit=numbers[0], center=numbers[1], deviation=numbers[2])
            )

        return cls(
            column=plain["column"],
            characters=scaling(plain["characters"]),
            words=scaling(plain["words"]),
            has_missing=plain["has_missing"],
        )


def measure_texts(cells: pa.ChunkedArray | pa.Array) -> pa.StructArray:
    """Return character counts, word counts and hashed words of each text; measured text is returned as is.

    >>> measure_texts(pa.array(["red wine", " ", None])).field("words").to_pylist()
    [2, 0, 0]
    """
    array = plain_array(cells)
    if array.type == MEASURED_TEXT:
        return array
    text = tidy_text(array if is_text(array.type) else as_text(array))
    rows = max(1, len(text) * _BLOCK_BYTES // max(text.nbytes, 1))
    blocks = [_measured(text.slice(start, rows)) for start in range(0, len(text), rows)]
    return pa.concat_arrays(blocks or [_measured(text)])


def _measured(text: pa.Array) -> pa.StructArray:
    """Apply `measure_texts` to tidy text."""
    characters = pc.fill_null(pc.utf8_length(text), 0)
    words = pc.fill_null(pc.add(_separators(text), 1), 0)
    hashed = pa.FixedSizeListArray.from_arrays(pa.array(hash_words(text).ravel()), HASHED_COLUMNS)
    fields = [pc.is_null(text), characters.cast(pa.int32()), words.cast(pa.int32()), hashed]
    return pa.StructArray.from_arrays(fields, fields=list(MEASURED_TEXT))


def _separators(text: pa.Array) -> pa.Array:
    """Count the runs of blanks in each text. Counting single spaces is faster than matching a pattern."""
    if pc.any(pc.match_substring_regex(text, r"[\t\n\f\r]|  ")).as_py():
        return pc.count_substring_regex(text, r"\s+")
    return pc.count_substring(text, " ")


def text_lengths(cells: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return the number of characters of each text, float64 (n,), NaN where missing.

    >>> text_lengths(pa.array(["red wine", None])).tolist()
    [8.0, nan]
    """
    measured = measure_texts(cells)
    return np.where(_missing(measured), np.nan, measured.field("characters").to_numpy(zero_copy_only=False))


def _missing(measured: pa.StructArray) -> np.ndarray:
    return np.asarray(measured.field("missing").to_numpy(zero_copy_only=False), dtype=bool)


def _log_sizes(measured: pa.StructArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logs of the character and word counts, float64 (n,) each."""
    counts = (measured.field(name).to_numpy(zero_copy_only=False) for name in ("characters", "words"))
    characters, words = (_logarithms()[np.minimum(count, _LONGEST)] for count in counts)
    return characters, words


@cache
def _logarithms() -> np.ndarray:
    """Return log(1 + count) as a table: vectorised code may give other last bits in another chunk."""
    return np.array([math.log1p(count) for count in range(_LONGEST + 1)])


def hash_words(text: pa.Array) -> np.ndarray:
    """Return signed, hashed word counts of each text, of unit length, float32 (n, 32); 0 where missing.

    Weinberger et al., ICML (2009).
    """
    lists = pc.utf8_split_whitespace(pc.utf8_lower(pc.fill_null(text, "")))
    words = pc.list_flatten(lists).dictionary_encode()
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    hashes = np.array(
        [zlib.crc32(word.encode("utf-8")) for word in words.dictionary.to_pylist()], dtype=np.int64
    )
    counts: np.ndarray = np.zeros((len(text), HASHED_COLUMNS))
    if len(hashes):
        of_words = hashes[words.indices.to_numpy(zero_copy_only=False)]
        signs = np.where(of_words >> 16 & 1, 1.0, -1.0) * (of_words != 0)  # 0 is the hash of no word
        cells = rows * HASHED_COLUMNS + of_words % HASHED_COLUMNS
        counts = np.bincount(cells, weights=signs, minlength=counts.size).reshape(counts.shape)
    length = np.sqrt((counts.astype(np.float64) ** 2).sum(axis=1, keepdims=True))  # whole numbers: exact sums
    return (counts / np.maximum(length, 1.0)).astype(np.float32)


def fit_text(name: str, cells: pa.ChunkedArray, weights: np.ndarray | None) -> TextEncoder:
    """Fit the scaling of the text lengths."""
    measured = measure_texts(cells)
    present = ~_missing(measured)
    characters, words = _log_sizes(measured)
    kept = None if weights is None else weights[present]
    return TextEncoder(
        column=name,
        characters=fit_scaling(characters[present], kept),
        words=fit_scaling(words[present], kept),
        has_missing=bool((~present).any()),
    )
