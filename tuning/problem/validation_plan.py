"""The validation plan: training and validation rows by folds or hold-out, and the rung sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import make_folds, make_holdout
from xrfm_cli.tuning.limits import (
    RUNG_ROWS,
    SMALL_TABLE_FOLDS,
    SMALL_TABLE_ROWS,
    USUAL_FOLDS,
    Limits,
    find_limits,
)

Rows = NDArray[np.int64]
RARE_ROWS = 100  # if a hold-out has fewer rows of all rare classes together, chance chooses the model
RARE_FOLDS = 3  # used then, so that every row validates
RARE_FOLDS_ROWS = 20_000  # for tables up to this size, as larger ones leave time for few fits
HOLDOUT_SHARE, MAX_HOLDOUT_ROWS = 0.2, 10_000
RUNG_VALIDATION_ROWS = 2_500  # validation rows of a trial before its last rung
RUNG_GROWTH = 1.6  # a rung must have this many times the rows of the one before


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Row numbers to train on, shuffled once, and row numbers to validate on."""

    train: Rows
    valid: Rows

    @property
    def rung_valid(self) -> Rows:
        """Return the positions in ``valid``, evenly spaced, of the rung validation rows."""
        count = min(len(self.valid), RUNG_VALIDATION_ROWS)
        return np.linspace(0, len(self.valid) - 1, count).round().astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationPlan:
    """How candidates are validated on one table."""

    scheme: Literal["cross-validation", "hold-out", "given rows"]
    folds: tuple[Fold, ...]
    rung_sizes: tuple[int, ...]  # rows of each rung in the first fold; the last has all of them
    refit_rows: Rows  # training rows of the final models
    reason: str

    @property
    def validation_rows(self) -> Rows:
        """Return the row numbers with an out-of-fold prediction, fold after fold."""
        return np.concatenate([fold.valid for fold in self.folds])


def make_validation_plan(
    n: int,
    *,
    seed: int,
    folds: int | None = None,
    strata: NDArray[np.int64] | None = None,
    groups: NDArray[np.generic] | None = None,
    time: NDArray[np.generic] | None = None,
    given: Rows | None = None,
    limits: Limits | None = None,
    columns: int = 1,
) -> ValidationPlan:
    """Choose the scheme that suits the table, unless the user has chosen.

    Args:
        n: rows of the table.
        seed: of the shuffles.
        folds: number of folds that the user asked for.
        strata: class codes, kept in proportion.
        groups: rows of one group are never split between training and validation.
        time: later rows are validation rows.
        given: rows that the user set aside for validation; they are never trained on.
        limits: a short time limit leaves no time for five folds of a large table or of many columns; None
            for no limit.
        columns: of the table, to name in the reason.
    """
    every = np.arange(n)
    limits = limits or find_limits(n, 1, 0, None)
    most, room, has_time = limits.cross_validation_rows, limits.max_folds, limits.folds_for_rare_classes
    has_time_for_rare = has_time and room >= RARE_FOLDS and time is None and most < n <= RARE_FOLDS_ROWS
    rare = rare_rows(strata) if strata is not None and has_time_for_rare else 0
    if given is not None:
        train = np.setdiff1d(every, given)
        pairs, scheme, refit = [(train, given)], "given rows", train
        reason = f"{len(given):,} rows given for validation"
    elif folds is not None or (n <= most and room >= 2) or rare:
        if folds is not None:
            count, why = folds, ""
        elif n <= most:
            count = SMALL_TABLE_FOLDS if n < SMALL_TABLE_ROWS else USUAL_FOLDS
            why = f", as the table has at most {most:,} rows"
            if room < count:
                count, why = room, f", as the time limit is short for {columns:,} columns"
        else:
            count, why = RARE_FOLDS, f", as only {rare:,} rows are of rare classes"
        pairs = make_folds(n, folds=count, seed=seed, strata=strata, groups=groups, time=time)
        scheme, refit = "cross-validation", every
        reason = f"{len(pairs)} folds{why}"
    else:
        share = min(HOLDOUT_SHARE, MAX_HOLDOUT_ROWS / n)
        pairs = [make_holdout(n, share=share, seed=seed, strata=strata, groups=groups, time=time)]
        scheme, refit = "hold-out", every
        reason = f"{len(pairs[0][1]):,} rows held out, as the "
        if n <= most:
            reason += f"time limit is short for {columns:,} columns"
        else:
            reason += f"table has more than {most:,} rows" + " and the time limit is short" * (not has_time)
    if time is not None:
        reason += "; validated on later rows"
    elif groups is not None:
        reason += "; groups kept together"
    shuffle = np.random.default_rng([seed, 1])
    chosen = tuple(Fold(train=shuffle.permutation(train), valid=np.sort(valid)) for train, valid in pairs)
    return ValidationPlan(
        scheme=scheme,  # type: ignore[arg-type]
        folds=chosen,
        rung_sizes=_rung_sizes(min(len(fold.train) for fold in chosen), limits.rung_rows),
        refit_rows=refit,
        reason=reason,
    )


def rare_rows(strata: NDArray[np.int64]) -> int:
    """Return the rows of rare classes if a hold-out has too few to separate good models from lucky ones.

    A class is rare if a hold-out has fewer than :data:`RARE_ROWS` rows of it.

    >>> rare_rows(np.repeat([0, 1, 2], [9_000, 900, 100])), rare_rows(np.repeat([0, 1], [9_000, 1_000]))
    (100, 0)
    """
    counts = np.unique(strata, return_counts=True)[1]
    rare = int(counts[counts * HOLDOUT_SHARE < RARE_ROWS].sum())
    return rare if rare * HOLDOUT_SHARE < RARE_ROWS else 0


def _rung_sizes(n_train: int, wanted: tuple[int, ...] = RUNG_ROWS) -> tuple[int, ...]:
    """Return growing subsample sizes, then the number of all rows.

    >>> _rung_sizes(1_000), _rung_sizes(5_000), _rung_sizes(50_000)
    ((1000,), (1500, 5000), (1500, 4500, 50000))
    """
    small = tuple(size for size in wanted if size * RUNG_GROWTH <= n_train)
    return (*small, n_train)
