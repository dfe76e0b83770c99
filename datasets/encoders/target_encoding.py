"""Target encoding of categories with many levels, cross-fitted to avoid target leakage.

The training matrix must not hold a level mean that was computed with the row itself. So the training rows are
split into folds, and each fold is encoded with the means of the other folds (cross-fitting). New rows are
encoded with the means of all training rows. Means are shrunk towards the overall mean, more so for levels
with fewer rows (empirical Bayes). Micci-Barreca, SIGKDD Explorations 3 (2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from xrfm_cli.datasets.cells.words import find_words
from xrfm_cli.datasets.encoders.categorical import LevelCounts
from xrfm_cli.datasets.encoders.numeric import Scaling, fit_scaling
from xrfm_cli.datasets.encoders.stored_arrays import check_levels
from xrfm_cli.datasets.table import Table
from xrfm_cli.repairs import Repair

_FOLDS = 5
_MAX_OUTPUTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetEncoder:
    """The encoder of one category with many levels.

    Output columns: a standardised shrunken mean for each output of the target, then the standardised log
    count of the level. The last row of ``table`` is for levels unseen in training.
    """

    column: str
    levels: tuple[str, ...]  # sorted
    has_missing: bool  # if so, the level after the last one is for missing cells
    table: np.ndarray  # float32 (levels + has_missing + 1, outputs + 1): the encoding of each level

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the output columns."""
        outputs = self.table.shape[1] - 1
        means = [f"{self.column} target" + (f" {k}" if outputs > 1 else "") for k in range(outputs)]
        return (*means, f"{self.column} frequency")

    def codes(self, cells: pa.ChunkedArray, decimal: str) -> np.ndarray:
        """Return the level code of each cell, int64 (n,), with -1 and -2 as in `find_words`."""
        return find_words(cells, decimal, self.levels)

    def rows(self, codes: np.ndarray) -> np.ndarray:
        """Return rows of ``table``; missing cells use the unseen row if training had none missing."""
        unseen = len(self.table) - 1
        missing = len(self.levels) if self.has_missing else unseen
        return np.where(codes == -1, missing, np.where(codes == -2, unseen, codes))

    def encode(self, cells: pa.ChunkedArray, decimal: str, out: np.ndarray) -> tuple[Repair, ...]:
        """Write the output columns into ``out`` (n, k) float32 and return the repairs."""
        codes = self.codes(cells, decimal)
        out[:] = self.table[self.rows(codes)]
        return (
            Repair(self.column, "missing", int((codes == -1).sum())),
            Repair(self.column, "unseen category", int((codes == -2).sum())),
        )

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `from_state` needs: plain values and arrays."""
        plain = {"column": self.column, "levels": list(self.levels), "has_missing": self.has_missing}
        return plain, {"table": self.table}

    @classmethod
    def from_state(cls, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> TargetEncoder:
        """Restore the encoder that `state` described."""
        levels, rows = tuple(plain["levels"]), len(plain["levels"]) + plain["has_missing"] + 1
        check_levels(plain["column"], levels)
        table = arrays.get("table", np.empty(0))
        shape_fits = table.ndim == 2 and len(table) == rows and table.shape[1] >= 2
        if len(arrays) != 1 or table.dtype != np.float32 or not shape_fits:
            raise ValueError(f"'{plain['column']}': its encoder has no table of float32 for its levels")
        return cls(
            column=plain["column"],
            levels=levels,
            has_missing=plain["has_missing"],
            table=np.ascontiguousarray(table),
        )


def fit_target_encoder(
    table: Table,
    name: str,
    levels: LevelCounts,
    target: np.ndarray,  # float64 (n, c)
    weights: np.ndarray | None,
    generator: np.random.Generator,
) -> tuple[TargetEncoder, np.ndarray]:
    """Fit the encoder; the second value is the cross-fitted encoding of these rows, float32 (n, k)."""
    texts, counts, n_missing = levels
    outputs = _independent_outputs(target)
    weight = (
        np.ones(len(outputs)) if weights is None else weights * (np.count_nonzero(weights) / weights.sum())
    )
    codes = find_words(table.column(name), table.decimal, tuple(texts))
    has_missing = n_missing > 0
    n_levels = len(texts) + has_missing
    codes = np.where(codes == -1, len(texts), codes)
    folds = np.empty(len(codes), dtype=np.int64)
    folds[generator.permutation(len(codes))] = np.arange(len(codes)) % _FOLDS
    sums = _fold_sums(codes, folds, outputs, weight, n_levels)
    smoothing = _smoothing(codes, outputs, weight, n_levels)
    total = sums.sum(axis=0)
    prior = total[:, 1:].sum(axis=0) / total[:, 0].sum()  # of all rows: one per fold would reveal the fold
    crossed = np.empty((len(codes), outputs.shape[1]))
    for fold in range(_FOLDS):
        inside = folds == fold
        crossed[inside] = _shrunken_means(total - sums[fold], prior, smoothing)[codes[inside]]
    means = _shrunken_means(total, prior, smoothing)
    scaled, crossed = _standardise(means, crossed, weight)
    all_counts = np.append(counts, n_missing) if has_missing else counts
    frequency = np.array([math.log(max(int(count), 1)) for count in [*all_counts, 1]])
    frequency = _scaled(frequency, frequency[codes], weight)
    means = np.column_stack([scaled, frequency]).astype(np.float32)
    encoder = TargetEncoder(column=name, levels=tuple(texts), has_missing=has_missing, table=means)
    x = np.column_stack([crossed, frequency[codes]]).astype(np.float32)
    return encoder, x


def _independent_outputs(target: np.ndarray) -> np.ndarray:
    """Drop the first of two class indicators, and keep only the most frequent of many classes."""
    outputs = np.asarray(target, dtype=np.float64)
    if outputs.ndim == 1:
        outputs = outputs[:, None]
    if outputs.shape[1] == 2 and np.allclose(outputs.sum(axis=1), outputs[0].sum()):
        return outputs[:, 1:]
    if outputs.shape[1] > _MAX_OUTPUTS:
        kept = np.sort(np.argsort(-outputs.sum(axis=0), kind="stable")[:_MAX_OUTPUTS])
        return outputs[:, kept]
    return outputs


def _fold_sums(
    codes: np.ndarray, folds: np.ndarray, outputs: np.ndarray, weight: np.ndarray, n_levels: int
) -> np.ndarray:
    """Sum weights and weighted outputs by fold and level, (folds, levels, outputs + 1)."""
    cell = folds * n_levels + codes
    columns = [weight, *(weight * outputs[:, k] for k in range(outputs.shape[1]))]
    sums = [np.bincount(cell, weights=column, minlength=_FOLDS * n_levels) for column in columns]
    return np.stack(sums, axis=1).reshape(_FOLDS, n_levels, -1)


def _shrunken_means(sums: np.ndarray, prior: np.ndarray, smoothing: np.ndarray) -> np.ndarray:
    """Shrink level means towards the overall mean ``prior``, which is the last row; (levels + 1, outputs)."""
    means = (sums[:, 1:] + smoothing * prior) / (sums[:, :1] + smoothing)
    return np.vstack([means, prior])


def _smoothing(codes: np.ndarray, outputs: np.ndarray, weight: np.ndarray, n_levels: int) -> np.ndarray:
    """Return the prior's weight in rows: within-level over between-level variance, (outputs,)."""
    totals = np.bincount(codes, weights=weight, minlength=n_levels)
    n_rows, n_used = float(weight.sum()), int((totals > 0).sum())
    result = np.empty(outputs.shape[1])
    for k in range(outputs.shape[1]):
        y = outputs[:, k]
        overall = float(np.average(y, weights=weight))
        means = np.bincount(codes, weights=weight * y, minlength=n_levels) / np.maximum(totals, 1e-300)
        within = float((weight * (y - means[codes]) ** 2).sum()) / max(n_rows - n_used, 1.0)
        deviation = float((totals * (means - overall) ** 2).sum()) - (n_used - 1) * within
        room = n_rows - float((totals**2).sum()) / n_rows
        between = deviation / room if room > 0 else 0.0
        ratio = within / between if between > 0 else math.inf
        result[k] = min(max(ratio, 1.0), 100.0)
    return result


def _standardise(means: np.ndarray, crossed: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale both encodings so that the training rows have mean 0 and deviation 1."""
    scaled, rows = np.zeros_like(means), np.zeros_like(crossed)
    for k in range(means.shape[1]):
        scaling = _scaling(crossed[:, k], weight)
        if scaling is not None:
            scaled[:, k], rows[:, k] = scaling.apply(means[:, k]), scaling.apply(crossed[:, k])
    return scaled, rows


def _scaled(values: np.ndarray, at_rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    scaling = _scaling(at_rows, weight)
    return np.zeros_like(values) if scaling is None else scaling.apply(values)


def _scaling(values: np.ndarray, weight: np.ndarray) -> Scaling | None:
    used = weight > 0
    return fit_scaling(values[used], weight[used])
