"""Columns generated from others for `benchmarks.feature_generation`, one family at a time.

All is learned from training rows. Levels that are to be target encoded stay levels here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.suite import Split
from xrfm_cli.datasets import SchemaOverrides, encode_target, infer_schema, infer_target

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

TARGET_ENCODED = "levels of "  # columns whose names start so are target encoded, whatever the candidate says
QUANTILES = 8  # a number with more distinct values is cut into this many classes
MOST_PLAIN = 12  # distinct values of a number that is not cut
FEWEST = 3  # rows of a level; rarer ones are one level
PRIOR_ROWS = 20.0  # the mean of a level is shrunk as if this many rows had the overall mean
COMBINATIONS = 5  # of columns, in a family of combinations
SURE = 3.0  # standard errors of a gain, for pairs that are hardly there by chance
EXPANDED = 6  # numbers, in a family of expansions
FOLDS = 5


class Columns:
    """The features of a table: as numbers, as levels, and what each tells about the target."""

    def __init__(self, split: Split) -> None:
        schema = infer_schema(split.train, SchemaOverrides(target=split.target))
        kinds = {column.name: column.kind for column in schema.features}
        self.numbers = [name for name, kind in kinds.items() if kind == "numeric"]
        self.categories = [name for name, kind in kinds.items() if kind in ("categorical", "boolean")]
        self.frames = tuple(table.data.to_pandas() for table in (split.train, split.test))
        self.cuts = {name: _cuts(self.number(name)) for name in self.numbers}
        self.known = {name: _frequent(self._raw(name, 0)) for name in self.all}
        described = infer_target(split.train, split.target, task=split.task)
        y = encode_target(split.train, described)
        outputs = y[:, None] if split.task == "regression" else np.eye(int(y.max()) + 1)[y.astype(int)][:, 1:]
        self.target = (outputs - outputs.mean(0)) / outputs.std(0)
        self.folds = np.random.default_rng(0).permutation(len(y)) % FOLDS
        self.codes = {name: _numbered(self.levels(name)) for name in self.all}
        self.gain = {name: self.explained(self.codes[name], self.target)[0] for name in self.all}
        self.residual = self._residual_of_sums()

    @property
    def all(self) -> list[str]:
        """Return the names of numbers and categories."""
        return self.numbers + self.categories

    def number(self, name: str, part: int = 0) -> Floats:
        """Return a column of the training rows or, with 1, of the test rows, NaN where missing."""
        return np.asarray(pd.to_numeric(self.frames[part][name], errors="coerce"), dtype=np.float64)

    def levels(self, name: str, part: int = 0) -> NDArray[np.str_]:
        """Return a column's level of each row, with rare and unseen ones as one."""
        raw = self._raw(name, part)
        return np.where(np.isin(raw, list(self.known[name])), raw, "rare")

    def joint(self, names: tuple[str, ...], part: int = 0) -> NDArray[np.str_]:
        """Return what levels of several columns each row has."""
        return np.array([" & ".join(row) for row in zip(*(self.levels(n, part) for n in names), strict=True)])

    def _raw(self, name: str, part: int) -> NDArray[np.str_]:
        if name not in self.numbers:
            return np.asarray(self.frames[part][name].astype(str), dtype=np.str_)
        values = self.number(name, part)
        cut = values if self.cuts[name] is None else np.searchsorted(self.cuts[name], values).astype(float)
        return np.where(np.isnan(values), "missing", np.char.add("level ", cut.astype(np.str_)))

    def explained(self, codes: Codes, target: Floats) -> tuple[float, float]:
        """Return the share of a target's variance that cross-fitted means of levels explain.

        The second value is its gain over nothing in standard errors.
        """
        found = np.empty_like(target)
        for fold in range(FOLDS):
            train, inside = self.folds != fold, self.folds == fold
            counts = np.bincount(codes[train], minlength=codes.max() + 1)
            for k in range(target.shape[1]):
                sums = np.bincount(codes[train], target[train, k], minlength=len(counts))
                prior = target[train, k].mean()
                found[inside, k] = ((sums + PRIOR_ROWS * prior) / (counts + PRIOR_ROWS))[codes[inside]]
        less = (target**2 - (target - found) ** 2).sum(1)
        error = less.std() * len(less) ** 0.5
        return float(less.sum() / (target**2).sum()), float(less.sum() / error) if error > 0 else 0.0

    def _residual_of_sums(self) -> Floats:
        """Return what a cross-fitted sum of single columns' effects leaves of the target."""
        x = np.concatenate([np.eye(codes.max() + 1)[codes] for codes in self.codes.values()], axis=1)
        residual = np.empty_like(self.target)
        for fold in range(FOLDS):
            train, inside = self.folds != fold, self.folds == fold
            gram = x[train].T @ x[train] + PRIOR_ROWS * np.eye(x.shape[1])
            effects = np.linalg.solve(gram, x[train].T @ self.target[train])
            residual[inside] = self.target[inside] - x[inside] @ effects
        return residual

    def best(self, names: list[tuple[str, ...]], *, sure: float = 0.0) -> list[tuple[str, ...]]:
        """Return the combinations that explain most of what single columns leave, by cross-fitting."""
        gains = {
            these: self.explained(_numbered(_joined([self.codes[n] for n in these])), self.residual)
            for these in names
        }
        kept = [these for these, (gain, errors) in gains.items() if gain > 0 and errors >= sure]
        return sorted(kept, key=lambda these: -gains[these][0])[:COMBINATIONS]

    def singles(self, names: list[str], count: int) -> list[str]:
        """Return the columns that explain most of the target alone."""
        return sorted(names, key=lambda name: -self.gain[name])[:count]

    @cached_property
    def pairs(self) -> list[tuple[str, ...]]:
        """Return the pairs of columns that act together."""
        return self.best(list(combinations(self.all, 2)))

    @cached_property
    def sure_pairs(self) -> list[tuple[str, ...]]:
        """Return the pairs of columns that act together, without those that may do so by chance."""
        return self.best(list(combinations(self.all, 2)), sure=SURE)


def _cuts(values: Floats) -> Floats | None:
    present = values[~np.isnan(values)]
    if len(np.unique(present)) <= MOST_PLAIN:
        return None
    return np.unique(np.quantile(present, np.arange(1, QUANTILES) / QUANTILES))


def _frequent(levels: NDArray[np.str_]) -> set[str]:
    names, counts = np.unique(levels, return_counts=True)
    return set(names[counts >= FEWEST].tolist())


def _numbered(levels: NDArray[Any]) -> Codes:
    return np.unique(levels, return_inverse=True)[1].astype(np.int64).ravel()


def _joined(codes: list[Codes]) -> Codes:
    joined = codes[0]
    for more in codes[1:]:
        joined = joined * (more.max() + 1) + more
    return joined


Generated = dict[str, tuple[NDArray[Any], NDArray[Any]]]  # for training and test rows


def single_targets(columns: Columns) -> Generated:
    """Target encoding of single columns, numbers cut to quantiles, beside their usual encoding."""
    return _as_levels(columns, [(name,) for name in columns.singles(columns.all, 2 * COMBINATIONS)])


def pair_targets(columns: Columns) -> Generated:
    """Target encoding of pairs."""
    return _as_levels(columns, columns.pairs)


def sure_pair_targets(columns: Columns) -> Generated:
    """Target encoding of pairs that hardly act together by chance."""
    return _as_levels(columns, columns.sure_pairs)


def triple_targets(columns: Columns) -> Generated:
    """Target encoding of pairs, each with the third column that adds most, and of the pairs themselves."""
    pairs = columns.pairs
    wider = {tuple(sorted((*pair, name))) for pair in pairs for name in columns.all if name not in pair}
    return _as_levels(columns, pairs + columns.best(sorted(wider)))


def _as_levels(columns: Columns, combined: list[tuple[str, ...]]) -> Generated:
    return {
        TARGET_ENCODED + " & ".join(names): (columns.joint(names), columns.joint(names, 1))
        for names in combined
    }


def counts(columns: Columns) -> Generated:
    """Logarithms of the rows of each category's level and of pairs of levels."""
    combined = [(name,) for name in columns.categories] + columns.pairs
    made: Generated = {}
    for names in combined:
        rows = [pd.Series(columns.joint(names, part)) for part in (0, 1)]
        found = rows[0].value_counts()
        logs = [np.log1p(part.map(found).fillna(0).to_numpy(dtype=np.float64)) for part in rows]
        made["rows of " + " & ".join(names)] = (logs[0], logs[1])
    return made


def deviations(columns: Columns) -> Generated:
    """Numbers minus their means within levels of another column."""
    few = columns.categories + [name for name in columns.numbers if columns.cuts[name] is None]
    combined = [(number, name) for number in columns.numbers for name in few if name != number]
    made: Generated = {}
    for number, name in columns.best(combined):  # type: ignore[misc]
        levels = [pd.Series(columns.levels(name, part)) for part in (0, 1)]
        values = pd.Series(columns.number(number))
        means = values.groupby(levels[0]).mean()
        usual = float(values.mean())
        left = [
            columns.number(number, part) - levels[part].map(means).fillna(usual).to_numpy() for part in (0, 1)
        ]
        made[f"{number} within {name}"] = (left[0], left[1])
    return made


def arithmetic(columns: Columns) -> Generated:
    """Ratios both ways, differences and products of numbers that act together."""
    made: Generated = {}
    for first, second in columns.best(list(combinations(columns.numbers, 2))):  # type: ignore[misc]
        for name, rule in (
            (f"{first} / {second}", lambda a, b: a / np.where(b == 0, np.nan, b)),
            (f"{second} / {first}", lambda a, b: b / np.where(a == 0, np.nan, a)),
            (f"{first} - {second}", lambda a, b: a - b),
            (f"{first} x {second}", lambda a, b: a * b),
        ):
            values = [rule(columns.number(first, part), columns.number(second, part)) for part in (0, 1)]
            low, high = np.nanquantile(values[0], (0.01, 0.99))  # a ratio has a few huge values
            made[name] = (np.clip(values[0], low, high), np.clip(values[1], low, high))
    return made


def periodic(columns: Columns) -> Generated:
    """Sines and cosines of the ranks of numbers."""
    made: Generated = {}
    for name, ranks in _ranks(columns):
        for turns in (0.5, 1.0, 2.0):
            for word, wave in (("sin", np.sin), ("cos", np.cos)):
                made[f"{word} {turns} {name}"] = tuple(wave(2 * np.pi * turns * part) for part in ranks)  # type: ignore[assignment]
    return made


def radial(columns: Columns) -> Generated:
    """Gaussian bumps over the ranks of numbers."""
    made: Generated = {}
    for name, ranks in _ranks(columns):
        for centre in (0.0, 0.25, 0.5, 0.75, 1.0):
            made[f"near {centre} of {name}"] = tuple(
                np.exp(-(((part - centre) / 0.15) ** 2)) for part in ranks
            )  # type: ignore[assignment]
    return made


def _ranks(columns: Columns) -> list[tuple[str, list[Floats]]]:
    found = []
    cut = [name for name in columns.numbers if columns.cuts[name] is not None]
    for name in columns.singles(cut, EXPANDED):
        values = columns.number(name)
        present = np.sort(values[~np.isnan(values)])
        both = (values, columns.number(name, 1))
        ranks = [
            np.where(np.isnan(v), np.nan, np.searchsorted(present, v, "right") / len(present)) for v in both
        ]
        found.append((name, ranks))
    return found


FAMILIES: dict[str, Callable[[Columns], Generated]] = {
    "none": lambda columns: {},
    "single targets": single_targets,
    "pair targets": pair_targets,
    "sure pair targets": sure_pair_targets,
    "triple targets": triple_targets,
    "counts": counts,
    "deviations": deviations,
    "arithmetic": arithmetic,
    "periodic": periodic,
    "radial": radial,
}
