"""Hashes of the training rows, to recognise them in a test table.

A row is hashed over its features and its target, as the model reads them, so that the format of the file does
not matter. Only the smallest hashes are kept. For a larger table they are a random sample, which is the same
in every table that has these rows (Broder: On the resemblance and containment of documents, 1997).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xrfm_cli.datasets import ColumnSchema, Table, TableSchema
from xrfm_cli.datasets.cells.dates import moment_values
from xrfm_cli.datasets.cells.plain_types import plain_array
from xrfm_cli.datasets.cells.values import number_values
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.datasets.encoders.categorical import boolean_values

MOST_KEPT = 10_000  # 8 bytes each: 80 KB
CELLS_AT_ONCE = 65_536  # of free text, whose cells are nearly all distinct
HASH_BITS = 52  # as many as a 64-bit float, the type of the file, represents exactly
CHANCE_DEVIATIONS = 4.0  # a count of equal rows this far above the expected one is not chance

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How many rows of a table were trained on."""

    rows: int
    trained: int  # estimated, if only a sample of the hashes is kept
    is_estimate: bool
    by_chance: float  # expected number of equal rows in an independent table

    @property
    def is_leak(self) -> bool:
        """Return whether there are more equal rows than chance explains."""
        return self.trained > self.by_chance + CHANCE_DEVIATIONS * self.by_chance**0.5

    @property
    def words(self) -> str:
        """Return a warning in one line."""
        about = "about " if self.is_estimate else ""
        verdict = "this is not a test" if 2 * self.trained >= self.rows else "leave them out of a test"
        return f"{about}{self.trained:,} of {self.rows:,} rows were trained on; {verdict}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedRows:
    """Hashes of training rows."""

    hashes: Hashes  # (k,) increasing and distinct
    is_whole: bool  # whether these are the hashes of all rows
    repeated: float  # share of the training rows that are equal to another one

    def __post_init__(self) -> None:
        if (self.hashes[1:] <= self.hashes[:-1]).any() or not 0 <= self.repeated <= 1:
            raise ValueError("hashes of rows must increase")

    @classmethod
    def of(cls, hashes: Hashes) -> TrainedRows:
        """Keep the smallest hashes of the training rows ``(n,)``."""
        found, counts = np.unique(hashes, return_counts=True)
        repeated = float(counts[counts > 1].sum() / max(len(hashes), 1))
        return cls(hashes=found[:MOST_KEPT], is_whole=len(found) <= MOST_KEPT, repeated=repeated)

    def overlap(self, hashes: Hashes) -> Overlap:
        """Count the rows of another table ``(n,)`` that were trained on."""
        comparable = hashes if self.is_whole or not len(self.hashes) else hashes[hashes <= self.hashes[-1]]
        found = int(np.isin(comparable, self.hashes).sum())
        scale = len(hashes) / len(comparable) if len(comparable) else 0.0
        return Overlap(
            rows=len(hashes),
            trained=round(found * scale),
            is_estimate=not self.is_whole,
            by_chance=self.repeated * len(hashes),
        )


def hash_rows(table: Table, schema: TableSchema, y_true: NDArray[np.generic]) -> Hashes:
    """Hash the features and the targets of a table's rows, uint64 (n,) of 52 bits.

    ``y_true`` are values or class codes, ``(n,)``. A feature that the table lacks counts as missing.

    >>> from xrfm_cli.datasets import infer_schema
    >>> text, typed = Table(pa.table({"age": ["41", ""]})), Table(pa.table({"age": [41, None]}))
    >>> schema = infer_schema(text)
    >>> bool((hash_rows(text, schema, np.zeros(2)) == hash_rows(typed, schema, np.zeros(2))).all())
    True
    """
    mixed = _of_numbers(np.asarray(y_true, dtype=np.float64))
    for column in schema.features:
        if table.has_column(column.name):
            cells = _of_column(table, column)
        else:
            cells = _of_numbers(np.full(table.n_rows, np.nan))
        mixed = _mix(mixed ^ cells)
    return _mix(mixed) >> np.uint64(64 - HASH_BITS)


def _of_column(table: Table, column: ColumnSchema) -> Hashes:
    cells = table.column(column.name)
    if column.kind == "numeric":
        return _of_numbers(number_values(cells, table.decimal, column.unit).values)
    if column.kind == "datetime":
        moments = moment_values(cells, column.datetime_format or "iso")
        return _of_numbers(np.where(moments.valid, moments.values.astype(np.float64), np.nan))
    if column.kind == "boolean":
        return _of_numbers(boolean_values(cells, table.decimal).astype(np.float64))
    if column.kind == "categorical":
        levels = word_levels(cells, table.decimal, is_typed=table.is_typed)
        return _of_levels(levels.values, levels.codes)
    starts = range(0, len(cells), CELLS_AT_ONCE)
    parts = [_of_texts(cells.slice(start, CELLS_AT_ONCE)) for start in starts]
    return np.concatenate([np.empty(0, dtype=np.uint64), *parts])


def _of_texts(cells: pa.ChunkedArray) -> Hashes:
    distinct = pc.utf8_trim_whitespace(plain_array(cells).cast(pa.string())).dictionary_encode()
    return _of_levels(distinct.dictionary, pc.fill_null(distinct.indices, -1).to_numpy())


def _of_levels(texts: pa.Array, codes: NDArray[np.integer]) -> Hashes:
    hashed = np.array([_of_text(text) for text in [*texts.to_pylist(), ""]], dtype=np.uint64)
    return hashed[codes]  # code -1, a missing cell, takes the last


def _of_text(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _of_numbers(values: NDArray[np.float64]) -> Hashes:
    """Return the bits of numbers, with one zero and one NaN."""
    plain = np.where(np.isnan(values), np.nan, values + 0.0)
    return _mix(plain.view(np.uint64))


def _mix(words: Hashes) -> Hashes:
    """Scramble 64-bit words: the finaliser of SplitMix64."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
