"""Decide the limits of a fit from the table's size and the time limit, independent of the machine.

All constants of the division of time are here, with unit and reason; those of the work after the search are
in :mod:`deadline`. Measurements during a fit (the machine's speed, seconds spent so far) only decide when the
search ends and how many models the ensemble has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# Training rows. With more rows only one model would be fully evaluated, and the first is rarely the best. Its
# leaves would also be smaller.
ROWS_PER_SECOND, CELLS_PER_SECOND = 2_000, 80_000
LEAST_ROWS = 10_000  # encoded and evaluated within seconds, unless the table is very wide
FEWEST_ROWS = 10  # drawn under any limit, as fewer cannot be split
CLASSES_PER_WORK = 10  # with this many, gradients and predictions cost about as much as the kernels
# Even LEAST_ROWS take too long with thousands of columns or hundreds of classes: every cell is parsed and
# encoded for several folds, and every validation row has a probability per class.
LEAST_CELLS_PER_SECOND, LEAST_CLASSES_PER_WORK = 300_000, 200

# Validation.
CROSS_VALIDATION_ROWS = 6_000  # up to this size every row validates; of larger tables, a fifth is enough
SHORT_LIMIT_S = 20.0  # below, there is time for few fits and the SHORT_ values are used
SHORT_CROSS_VALIDATION_ROWS = 2_000
SMALL_TABLE_ROWS = 300  # below this size, ten folds leave the training sets large enough
SMALL_TABLE_FOLDS, USUAL_FOLDS = 10, 5
LEAST_FOLDS = 2  # fewest validation folds that a time limit may reduce a plan to while it runs
FOLD_COLUMNS_PER_SECOND = 600  # columns times folds: each fold encodes every column by itself
# Subsamples on which a trial is validated before it may use more rows: on a few thousand rows candidates
# are ranked nearly as on all rows, at a small share of the cost.
RUNG_ROWS, SHORT_RUNG_ROWS = (1_500, 4_500), (1_000,)

# Leaves and kernels.
LARGEST_LEAF_ROWS = 10_000  # larger leaves predict little better and cost the square and cube of their rows
LEAST_LEAF_ROWS = 500.0  # smaller leaves predict worse than fewer trials do
# Leaf size and rows that fit into a minute: work is ``rows * leaf_rows ** 2``. It lets a table of 48,000 rows
# be tuned on two cores.
MINUTE_LEAF_ROWS, MINUTE_ROWS = 6_000, 48_000
LEAF_TOLERANCE, TIES = 1.25, 1.05  # tolerance above the leaf size, and margin for uneven halves
# Rows of a leaf times columns with more than two values. Up to this product, kernels with a power or an
# exponential per coordinate and pair take about as long as the solve. Limits below a minute allow less.
COORDINATE_CELLS, COORDINATE_LIMIT_S = 1_000_000, 60.0

# Shares of a time limit.
RIDGE_SHARE = 0.05  # for the ridge regression among the baselines, which is only for comparison
BOOSTING_SHARE, MOST_BOOSTING_S = 0.05, 20.0  # for the boosted trees among them
FOLD_ENCODING_SHARE, LEAST_FOLD_ENCODING_S = 0.25, 1.0  # of the time left, for encoding the folds
LATE_SHARE = 0.4  # if this share is spent before the search, the search builds no second encoding
FIRST_RUNG_SHARE = 0.25  # of the search, for the first rung of the first configurations
REFINEMENT_SHARE = 0.15  # of the search, additional, for refining the better half of them
FIRST_MODEL_SHARE = 0.5  # of the search; AGOP updates then stop until a first model is validated
FINAL_FITS_SHARE = 0.3  # the most for the final fits: an ensemble gains less than a better candidate
SELECTION_SHARE, MOST_SELECTION_S = 0.04, 2.0  # for ensemble selection among hundreds of trials
# For measuring the columns on held-out rows, after the final fits; fewer seconds measure nothing.
HELD_OUT_SHARE, LEAST_HELD_OUT_S = 0.03, 0.35
MOST_HELD_OUT_SHARE = 0.1  # the same for a single fold, out of what estimates left over
# Error of a trial's time estimate, as a share of the time limit.
ESTIMATE_ERROR, SHORT_ESTIMATE_ERROR = 0.05, 0.03

# Tolerated overruns. A fit starts and saves within seconds, and a limit is kept to about 5 s.
# The first model may exceed the limit by this, if that allows larger leaves.
FIRST_MODEL_GRACE_SHARE, FIRST_MODEL_GRACE_S = 0.05, 1.5
# The expected end of a final fit may exceed it by this, as estimates are inexact.
FINAL_FIT_GRACE_SHARE, FINAL_FIT_GRACE_S = 0.15, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a fit, from rows, columns, classes and the time limit."""

    time_limit_s: float  # infinite without a limit
    max_rows: int | None  # training rows, drawn at random from a larger table; None for all
    cross_validation_rows: int  # more rows are validated on a hold-out
    max_folds: int
    folds_for_rare_classes: bool  # whether there is time for folds if a hold-out has too few rare rows
    rung_rows: tuple[int, ...]  # of the rungs below all rows
    leaf_rows: int  # largest leaf
    max_coordinate_columns: int  # columns with more than two values, for kernels with a power per coordinate
    ridge_s: float  # longest ridge regression among the baselines
    boosting_s: float  # longest boosted trees among them
    estimate_error_s: float  # reserve for inexact estimates
    selection_s: float  # reserve for ensemble selection
    final_fits_s: float  # largest reserve for the final fits
    held_out_s: float  # reserve for measuring the columns on held-out rows
    most_held_out_s: float  # for a single fold of that, if so much is left
    first_model_grace_s: float  # tolerated overrun of the first model
    final_fit_grace_s: float  # tolerated overrun of a final fit
    slow_kernels_last: bool  # among the first configurations


def find_limits(
    rows: int,
    columns: int,
    classes: int,
    time_limit_s: float | None,
    *,
    column_work: int | None = None,
) -> Limits:
    """Return the limits of a fit for a table's size and a time limit.

    Args:
        rows: training rows.
        columns: feature columns of the table.
        classes: of the target; 0 for a number.
        time_limit_s: of the whole fit; None for no limit.
        column_work: cost of encoding the columns, in numeric columns; by default all are numeric.

    >>> def show(*size):
    ...     limits = find_limits(*size)
    ...     print(limits.max_rows, limits.cross_validation_rows, limits.max_folds, limits.rung_rows,
    ...           limits.leaf_rows, limits.max_coordinate_columns, limits.ridge_s, limits.final_fits_s)
    >>> show(1_000, 10, 0, None)
    None 6000 10 (1500, 4500) 12500 1000 inf inf
    >>> show(1_000, 10, 0, 60.0)
    120000 6000 10 (1500, 4500) 12500 1000 3.0 18.0
    >>> show(48_000, 10, 2, 60.0)
    100000 6000 10 (1500, 4500) 6301 100 3.0 18.0
    >>> show(48_000, 10, 2, 10.0)
    16666 2000 10 (1000,) 3151 16 0.5 3.0
    >>> show(1_000, 5_000, 100, 10.0)
    400 2000 1 (1000,) 12500 166 0.5 3.0
    """
    limit = math.inf if time_limit_s is None else time_limit_s
    is_short = limit < SHORT_LIMIT_S
    room = find_fold_room(limit, columns if column_work is None else column_work)
    coordinate_cells = int(COORDINATE_CELLS * min(1.0, limit / COORDINATE_LIMIT_S))
    return Limits(
        time_limit_s=limit,
        max_rows=None if time_limit_s is None else find_row_room(time_limit_s, columns, classes),
        cross_validation_rows=SHORT_CROSS_VALIDATION_ROWS if is_short else CROSS_VALIDATION_ROWS,
        max_folds=room,
        folds_for_rare_classes=not is_short,
        rung_rows=SHORT_RUNG_ROWS if is_short else RUNG_ROWS,
        leaf_rows=find_leaf_rows(rows, time_limit_s),
        max_coordinate_columns=coordinate_cells // max(min(rows, LARGEST_LEAF_ROWS), 1),
        ridge_s=RIDGE_SHARE * limit,
        boosting_s=min(BOOSTING_SHARE * limit, MOST_BOOSTING_S),
        estimate_error_s=(SHORT_ESTIMATE_ERROR if is_short else ESTIMATE_ERROR) * limit,
        selection_s=0.0 if is_short else min(SELECTION_SHARE * limit, MOST_SELECTION_S),
        final_fits_s=FINAL_FITS_SHARE * limit,
        held_out_s=HELD_OUT_SHARE * limit if HELD_OUT_SHARE * limit >= LEAST_HELD_OUT_S else 0.0,
        most_held_out_s=MOST_HELD_OUT_SHARE * limit,
        first_model_grace_s=min(FIRST_MODEL_GRACE_SHARE * limit, FIRST_MODEL_GRACE_S),
        final_fit_grace_s=min(FINAL_FIT_GRACE_SHARE * limit, FINAL_FIT_GRACE_S),
        slow_kernels_last=is_short,
    )


def find_row_room(time_limit_s: float, columns: int, classes: int) -> int:
    """Return how many training rows a time limit leaves room for.

    >>> find_row_room(10.0, 5, 0), find_row_room(60.0, 5, 10), find_row_room(60.0, 80, 10)
    (20000, 60000, 30000)
    >>> find_row_room(10.0, 5_000, 0), find_row_room(10.0, 10, 600)
    (600, 2500)
    """
    per_second = min(ROWS_PER_SECOND, CELLS_PER_SECOND / max(columns, 1)) / (1 + classes / CLASSES_PER_WORK)
    least = min(LEAST_ROWS, time_limit_s * LEAST_CELLS_PER_SECOND / max(columns, 1))
    least = max(FEWEST_ROWS, least / (1 + classes / LEAST_CLASSES_PER_WORK))
    return int(max(least, time_limit_s * per_second))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """How many training rows the search and the final fits use."""

    search: int
    fit: int  # at least as many


def find_row_counts(
    rows: int,
    max_rows: int | None,
    *,
    fit_rows: int | Literal["all"] | None = None,
    search_rows: int | None = None,
    room: int | None = None,
) -> RowCounts:
    """Return how many rows the search and the final fits use; the final fits use those of the search too.

    Args:
        rows: training rows of the table.
        max_rows: for which the time limit leaves room; None for all.
        fit_rows: that the user asked for in the final fits.
        search_rows: that the user asked for in the search.
        room: for which the memory leaves room in the search; None for all.

    >>> find_row_counts(9_000, None), find_row_counts(9_000, 4_000)
    (RowCounts(search=9000, fit=9000), RowCounts(search=4000, fit=4000))
    >>> find_row_counts(9_000, 4_000, fit_rows="all"), find_row_counts(9_000, None, search_rows=500)
    (RowCounts(search=4000, fit=9000), RowCounts(search=500, fit=9000))
    >>> find_row_counts(9_000, 4_000, search_rows=5_000), find_row_counts(9_000, None, room=800)
    (RowCounts(search=5000, fit=5000), RowCounts(search=800, fit=9000))
    """
    allowed = rows if max_rows is None else max_rows
    searched = min(allowed, rows if room is None else room) if search_rows is None else search_rows
    wanted = rows if fit_rows == "all" else fit_rows
    fitted = min(max(allowed, searched) if wanted is None else wanted, rows)
    return RowCounts(search=min(searched, fitted), fit=fitted)


def find_fold_room(time_limit_s: float, column_work: int) -> int:
    """Return how many folds a time limit leaves room for; fewer than two mean a hold-out.

    >>> find_fold_room(10.0, 10), find_fold_room(10.0, 1_000), find_fold_room(10.0, 5_000)
    (10, 6, 1)
    """
    return int(min(SMALL_TABLE_FOLDS, FOLD_COLUMNS_PER_SECOND * time_limit_s / max(column_work, 1)))


def find_leaf_rows(rows: int, time_limit_s: float | None) -> int:
    """Return the largest leaf that a time limit allows; without a limit the size is fixed.

    >>> find_leaf_rows(5_000, 60.0), find_leaf_rows(48_000, 60.0), find_leaf_rows(48_000, None)
    (12500, 6301, 12601)
    """
    wanted = float(LARGEST_LEAF_ROWS)
    if time_limit_s is not None:
        wanted = MINUTE_LEAF_ROWS * math.sqrt(time_limit_s / 60 * MINUTE_ROWS / max(rows, 1))
        wanted = min(LARGEST_LEAF_ROWS, max(LEAST_LEAF_ROWS, wanted))
    if rows <= LEAF_TOLERANCE * wanted:
        return int(LEAF_TOLERANCE * wanted)
    # Splits are at the median: a leaf just above the limit would be halved because of a few rows.
    leaves = 2 ** math.ceil(math.log2(rows / (LEAF_TOLERANCE * wanted)))
    return int(rows / leaves * TIES) + 1


def leaf_count(rows: int, leaf_size: int) -> int:
    """Return the number of leaves of a tree that is halved until none has more than ``leaf_size`` rows.

    >>> leaf_count(6000, 4000), leaf_count(4000, 4000)
    (2, 1)
    """
    leaves = 1
    while rows / leaves > leaf_size:
        leaves *= 2
    return leaves
