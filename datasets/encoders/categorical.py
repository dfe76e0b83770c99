"""Encode categories as one column per level, and yes/no words as one 0/1 column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.values import level_values
from xrfm_cli.datasets.cells.words import find_words, word_levels
from xrfm_cli.datasets.encoders.stored_arrays import check_levels, check_vectors
from xrfm_cli.datasets.schema.word_kinds import BOOLEAN_WORDS
from xrfm_cli.datasets.table import Table
from xrfm_cli.repairs import Repair


class LevelCounts(NamedTuple):
    """The levels of a column."""

    texts: list[str]  # sorted
    counts: np.ndarray  # int64 (levels,)
    n_missing: int  # cells


def level_counts(table: Table, name: str) -> LevelCounts:
    """Return the levels of a column sorted by text, their counts, and the number of missing cells."""
    levels = word_levels(table.column(name), table.decimal, is_typed=table.is_typed)
    texts = levels.values.to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    missing = int((levels.codes < 0).sum())
    return LevelCounts([texts[i] for i in order], levels.counts()[order], missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneHotEncoder:
    """The encoder of one category with few levels.

    Output columns: one for each kept level; one shared by rare and unseen levels, if training had rare ones;
    one for missing cells, if training had any. Exactly two levels make a single column, with 0.5 for neither.
    """

    column: str
    levels: tuple[str, ...]  # sorted
    rare: tuple[str, ...]  # sorted: known, but without their own column
    has_missing: bool

    @property
    def is_single(self) -> bool:
        """Return whether one column is enough."""
        return len(self.levels) == 2 and not self.rare and not self.has_missing

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""
        if self.is_single:
            return (f"{self.column}={self.levels[1]}",)
        rare = (f"{self.column} rare",) if self.rare else ()
        missing = (f"{self.column} missing",) if self.has_missing else ()
        return (*(f"{self.column}={level}" for level in self.levels), *rare, *missing)

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write zeros and ones into ``out`` (n, k) float32 and return the repairs."""
        codes = find_words(cells, decimal, (*self.levels, *self.rare))
        missing, unseen = codes == -1, codes == -2
        if self.is_single:
            out[:, 0] = np.where(codes >= 0, codes, 0.5)
        else:
            width = out.shape[1]
            nowhere = width  # no column
            rare = len(self.levels) if self.rare else nowhere
            place = np.where(unseen | (codes >= len(self.levels)), rare, codes)
            place = np.where(missing, width - 1 if self.has_missing else nowhere, place)
            out[:] = 0.0
            rows = np.flatnonzero(place < width)
            out[rows, place[rows]] = 1.0
        repairs = [Repair(self.column, "missing", int(missing.sum()))]
        repairs.append(Repair(self.column, "unseen category", int(unseen.sum())))
        return tuple(repairs)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""
        return {
            "column": self.column,
            "levels": list(self.levels),
            "rare": list(self.rare),
            "has_missing": self.has_missing,
        }, {}

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> OneHotEncoder:
        """Restore the encoder that `state` described."""
        check_vectors(plain["column"], arrays)
        check_levels(plain["column"], (*plain["levels"], *plain["rare"]))
        return cls(
            column=plain["column"],
            levels=tuple(plain["levels"]),
            rare=tuple(plain["rare"]),
            has_missing=plain["has_missing"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanEncoder:
    """The encoder of yes/no words: 0 or 1, 0.5 for neither, and an indicator of missing cells."""

    column: str
    has_missing: bool
    varies: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""
        value = (self.column,) if self.varies else ()
        return (*value, f"{self.column} missing") if self.has_missing else value

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""
        booleans = boolean_values(cells, decimal)
        if self.varies:
            out[:, 0] = np.where(booleans >= 0, booleans, 0.5)
        if self.has_missing:
            out[:, -1] = booleans == -1
        return (
            Repair(self.column, "missing", int((booleans == -1).sum())),
            Repair(self.column, "unseen category", int((booleans == -2).sum())),
        )

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""
        return {"column": self.column, "has_missing": self.has_missing, "varies": self.varies}, {}

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> BooleanEncoder:
        """Restore the encoder that `state` described."""
        check_vectors(plain["column"], arrays)
        return cls(**plain)


def boolean_values(cells: pa.ChunkedArray, decimal: str) -> np.ndarray:
    """Return 1 for yes, 0 for no, -1 where missing, -2 for any other word; int64 (n,).

    >>> boolean_values(pa.chunked_array([["Yes", "no", "", "perhaps"]]), ".").tolist()
    [1, 0, -1, -2]
    """
    levels = level_values(cells, decimal)
    booleans = {word: value for pair in BOOLEAN_WORDS for value, word in enumerate(pair)} | {"0": 0, "1": 1}
    found = [booleans.get(text.lower(), -2) for text in levels.values.to_pylist()]
    return np.append(np.array(found, dtype=np.int64), -1)[levels.codes]


def fit_boolean(name: str, cells: pa.ChunkedArray, decimal: str) -> BooleanEncoder:
    """Fit the encoder: find which of the words and missing cells occur."""
    booleans = boolean_values(cells, decimal)
    return BooleanEncoder(
        column=name,
        has_missing=bool((booleans == -1).any()),
        varies=bool((booleans == 0).any() and (booleans == 1).any()),
    )


def fit_one_hot(name: str, levels: LevelCounts, min_level_count: int) -> OneHotEncoder:
    """Find the levels that are frequent enough for their own column."""
    texts, counts, n_missing = levels
    pairs = list(zip(texts, counts, strict=True))
    return OneHotEncoder(
        column=name,
        levels=tuple(text for text, count in pairs if count >= min_level_count),
        rare=tuple(text for text, count in pairs if count < min_level_count),
        has_missing=n_missing > 0,
    )
