"""Search ranges for a table's size and columns."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.datasets.encoders.piecewise_linear import PIECES
from xrfm_cli.errors import OptionError
from xrfm_cli.leaf_models.binary_columns import find_binary_columns
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.log_target import suits_log
from xrfm_cli.tuning.search.space import SearchSpace

LARGEST_LEAF = 10_000
ROUNDING, TIES = 1.25, 1.05  # tolerance above the leaf size, and margin for uneven halves
LEAF_ROWS_PER_MINUTE = 6_000  # lets a table of 48,000 rows be tuned in a minute on two cores
FULL_MATRIX_FEATURES = 300
WIDEST = 300  # most columns with a piecewise-linear encoding of every number
# Rows of a leaf times columns with more than two values. Up to this product, kernels with a power or an
# exponential per coordinate and pair take about as long as the solve. Shorter limits allow less.
COORDINATE_WORK = 1_000_000
COORDINATE_WORK_S = 60.0
AGOP_WORK = 400_000_000  # rows drawn times centers times columns of one AGOP update


def make_space(problem: Problem, config: FitConfig) -> SearchSpace:
    """Return the search space for the table's size and columns."""
    kinds = {column.kind for column in problem.schema.features}
    x = problem.fold(0, EncodingConfig()).x_train
    n, d, many_valued = len(problem.plan.refit_rows), x.shape[1], len(find_binary_columns(x).others)
    in_a_leaf, limit = min(n, LARGEST_LEAF), config.effective_time_limit_s or COORDINATE_WORK_S
    few_coordinates = in_a_leaf * many_valued <= COORDINATE_WORK * min(1.0, limit / COORDINATE_WORK_S)
    space = SearchSpace(
        leaf_size=choose_leaf_size(n, config.effective_time_limit_s),
        pinned=config.pinned,
        has_numbers=bool(kinds & {"numeric", "datetime"}),
        has_categories="categorical" in kinds,
        general_p=few_coordinates,
        full_feature_matrix=d <= FULL_MATRIX_FEATURES,
        sum_power=few_coordinates,
        pieces=d + PIECES * sum(column.kind == "numeric" for column in problem.schema.features) <= WIDEST,
        log_odds=problem.n_classes == 2,
        log_target=not problem.n_classes and suits_log(problem.y_true[problem.plan.refit_rows]),
        agop_rows=int(min(2_000, max(500, AGOP_WORK // (in_a_leaf * d)))),
    )
    space.complete({})  # refuses contradictory pins before any work
    if config.pinned.get("loss") == "logistic" and problem.n_classes != 2:
        has = f"has {problem.n_classes} classes" if problem.n_classes else "is a number"
        raise OptionError(
            f"--set loss=logistic: '{problem.target.name}' of {problem.table.source} {has}, but log odds "
            "need two classes. Leave it out."
        )
    if config.pinned.get("target_transform") == "log":
        _require_logarithms(problem)
    return space


def _require_logarithms(problem: Problem) -> None:
    """Refuse the log target transform if a training target is negative or a class."""
    name, source = problem.target.name, problem.table.source
    if problem.n_classes:
        raise OptionError(
            f"--set target_transform=log: '{name}' of {source} is a class, and a class has no logarithm. "
            "Leave it out, or give --task regression if it is a number."
        )
    negative = np.flatnonzero(problem.y_true[problem.plan.refit_rows] < 0)
    if len(negative):
        raise OptionError(
            f"--set target_transform=log: {source} has a negative '{name}' (the {negative[0] + 1:,}. row "
            "with a target), which has no logarithm. Leave it out."
        )


def choose_leaf_size(n: int, time_limit_s: float | None) -> int:
    """Return the largest leaf size that a time limit allows for ``n`` rows: work is ``n * leaf_size ** 2``.

    Without a limit the size is fixed. It never depends on the machine.

    >>> choose_leaf_size(5_000, 60.0), choose_leaf_size(48_000, 60.0), choose_leaf_size(48_000, None)
    (12500, 6301, 12601)
    """
    wanted = float(LARGEST_LEAF)
    if time_limit_s is not None:
        wanted = LEAF_ROWS_PER_MINUTE * float(np.sqrt(time_limit_s / 60 * 48_000 / max(n, 1)))
        wanted = min(LARGEST_LEAF, max(500.0, wanted))
    if n <= ROUNDING * wanted:
        return int(ROUNDING * wanted)
    # Splits are at the median: a leaf just above the limit would be halved because of a few rows.
    leaves = 2 ** int(np.ceil(np.log2(n / (ROUNDING * wanted))))
    return int(n / leaves * TIES) + 1
