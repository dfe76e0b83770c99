"""From a table and options to the problem that is searched, and the ranges that suit it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import (
    EncodingConfig,
    Table,
    TableSchema,
    TargetSchema,
    concatenate_tables,
    drop_rows_without_target,
    encode_target,
    read_groups,
    read_time,
    read_weights,
    type_rows,
)
from xrfm_cli.datasets.errors import OptionError, TargetError
from xrfm_cli.datasets.pieces import PIECES
from xrfm_cli.leaf_models.rfm import DEFAULT_MEMORY_BYTES
from xrfm_cli.leaf_models.two_valued import find_two_valued
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.logarithms import suits_log
from xrfm_cli.tuning.metrics import find_metric
from xrfm_cli.tuning.plan import make_plan
from xrfm_cli.tuning.problem import Problem
from xrfm_cli.tuning.space import SearchSpace, check_names

LARGEST_LEAF = 10_000
# Of the time limit. Of more rows than these only one model is judged to its end, and the best is seldom the
# first; nor would its leaves be as large.
ROWS_A_SECOND, CELLS_A_SECOND = 2_000, 80_000
MANY_CLASSES = 10  # for which gradients and predictions cost about as much as the kernels
LEAST_ROWS = 10_000
# Even these take too long with thousands of columns or hundreds of classes: every cell is parsed and encoded
# for several folds, and every class has a probability for each row that judges.
LEAST_CELLS_A_SECOND, HUNDREDS_OF_CLASSES = 300_000, 200
# Columns of numbers that a column of another kind costs as much as, to encode and to learn from.
COLUMN_WORK = {"categorical": 5, "datetime": 10, "text": 30}
ROWS_OF_A_CLASS = 50  # that are drawn in any case
ROUNDING, TIES = 1.25, 1.05  # how far above that a leaf may be, and room for uneven halves
LEAF_ROWS_A_MINUTE = 6_000  # leaves of this size let a table of 48,000 rows be tuned in a minute on two cores
FULL_METRIC_FEATURES = 300
WIDEST = 300  # columns, if every number is cut into pieces
# Rows of a leaf times columns with more than two values, up to which kernels that need a power or an
# exponential for every coordinate of every pair take about the time of the solve; shorter limits allow less.
COORDINATE_WORK = 1_000_000
COORDINATE_WORK_S = 60.0
AGOP_WORK = 400_000_000  # rows drawn times centers times columns of one metric update


class Prepared(NamedTuple):
    """The problem of one fit, and the rows that have no part in it."""

    problem: Problem
    dropped: int  # rows without a target or of weight 0
    left_out: int  # rows that the time limit leaves no room for


def prepare_problem(
    table: Table, schema: TableSchema, target: TargetSchema, config: FitConfig, valid: Table | None = None
) -> Prepared:
    """The problem of one fit.

    ``valid`` holds rows that judge and are never trained on.
    """
    check_names(config.pinned)
    table, dropped = _usable_rows(table, schema, target)
    if table.n_rows < 2:
        raise TargetError(
            f"{table.source}: only one row has a value of '{target.name}' and a weight that counts; at least "
            "two are needed"
        )
    limit = config.effective_time_limit_s
    most = room_for_rows(limit, columns=len(schema.features), classes=len(target.classes))
    truth, left_out = encode_target(table, target), 0
    drawn = draw_training_rows(truth, target, most=most, seed=config.seed)
    if drawn is not None:
        table, truth, left_out = table.take(drawn), truth[drawn], table.n_rows - len(drawn)
    weights = read_weights(table, schema)
    given = None
    if valid is not None:
        valid, dropped_valid = _usable_rows(valid, schema, target)
        if valid.n_rows == 0:
            raise TargetError(f"{valid.source}: no row has a '{target.name}', so it cannot judge.")
        judging = encode_target(valid, target)
        unseen = np.flatnonzero(judging == -2) if target.classes else np.empty(0)
        if len(unseen):
            label = valid.column(target.name)[int(unseen[0])].as_py()
            raise TargetError(
                f"{valid.source}: '{target.name}' has the class {label!r}, which no training row has "
                f"({len(unseen):,} such rows). Drop them."
            )
        given = np.arange(table.n_rows, table.n_rows + valid.n_rows)
        features = {column.name for column in schema.features}
        read = [c.name for c in schema.columns if c.name in features or c.role in ("target", "weight")]
        table, dropped = concatenate_tables(table.select(read), valid), dropped + dropped_valid
        truth = np.concatenate([truth, judging])
        of_valid = read_weights(valid, schema)
        if weights is not None and of_valid is not None:
            weights = np.concatenate([weights, of_valid])
    metric = find_metric(config.metric, target.task)
    if metric.name == "poisson_deviance" and (truth < 0).any():
        row = int(np.flatnonzero(truth < 0)[0]) + 1
        raise OptionError(
            f"--metric poisson_deviance: {table.source} has a negative '{target.name}' (the {row:,}. row "
            "with a target), but counts are 0 or more. Choose rmse or mae."
        )
    plan = make_plan(
        table.n_rows,
        seed=config.seed,
        folds=config.folds,
        strata=truth if target.classes else None,
        groups=None if valid is not None else read_groups(table, schema),
        time=None if valid is not None else read_time(table, schema),
        given=given,
        time_limit_s=config.effective_time_limit_s,
        columns=sum(COLUMN_WORK.get(column.kind, 1) for column in schema.features),
    )
    problem = Problem(
        table=table,
        typed=type_rows(table, schema),
        schema=schema,
        target=target,
        truth=truth,
        weights=weights,
        metric=metric,
        plan=plan,
        seed=config.seed,
        device=config.device,
        memory_bytes=config.memory_bytes or DEFAULT_MEMORY_BYTES,
        pinned=config.pinned,
    )
    return Prepared(problem=problem, dropped=dropped, left_out=left_out)


def room_for_rows(time_limit_s: float | None, *, columns: int, classes: int) -> int | None:
    """How many rows a time limit leaves room for; None for any number. It never depends on the machine.

    >>> room_for_rows(None, columns=5, classes=0), room_for_rows(10.0, columns=5, classes=0)
    (None, 20000)
    >>> room_for_rows(60.0, columns=5, classes=10), room_for_rows(60.0, columns=80, classes=10)
    (60000, 30000)
    >>> room_for_rows(10.0, columns=5_000, classes=0), room_for_rows(10.0, columns=10, classes=600)
    (600, 2500)
    """
    if time_limit_s is None:
        return None
    a_second = min(ROWS_A_SECOND, CELLS_A_SECOND / max(columns, 1)) / (1 + classes / MANY_CLASSES)
    least = min(LEAST_ROWS, time_limit_s * LEAST_CELLS_A_SECOND / max(columns, 1))
    return int(max(least / (1 + classes / HUNDREDS_OF_CLASSES), time_limit_s * a_second))


def draw_training_rows(
    truth: NDArray[np.float64], target: TargetSchema, *, most: int | None, seed: int
) -> NDArray[np.int64] | None:
    """At most so many rows of a table, in order, drawn at random; None for all of them.

    Of each class at least as many are drawn as can teach something.
    """
    if most is None or len(truth) <= most:
        return None
    order = np.random.default_rng([seed, 2]).permutation(len(truth))
    first = order[:most]
    if target.classes:
        each = max(1, min(ROWS_OF_A_CLASS, most // len(target.classes)))
        rare = [order[truth[order] == code][:each] for code in range(len(target.classes))]
        first = np.concatenate([first, *rare])
    return np.unique(first)


def _usable_rows(table: Table, schema: TableSchema, target: TargetSchema) -> tuple[Table, int]:
    """Rows with a target and a weight above 0, and how many were left out."""
    kept, dropped = drop_rows_without_target(table, target)
    weights = read_weights(kept, schema)
    if weights is None or (weights > 0).all():
        return kept, dropped
    return kept.take(np.flatnonzero(weights > 0)), dropped + int((weights == 0).sum())


def make_space(problem: Problem, config: FitConfig) -> SearchSpace:
    """The ranges that suit the table's size and columns."""
    kinds = {column.kind for column in problem.schema.features}
    x = problem.fold(0, EncodingConfig()).x_train
    n, d, many_valued = len(problem.plan.refit_rows), x.shape[1], len(find_two_valued(x).others)
    in_a_leaf, limit = min(n, LARGEST_LEAF), config.effective_time_limit_s or COORDINATE_WORK_S
    few_coordinates = in_a_leaf * many_valued <= COORDINATE_WORK * min(1.0, limit / COORDINATE_WORK_S)
    space = SearchSpace(
        leaf_size=choose_leaf_size(n, config.effective_time_limit_s),
        pinned=config.pinned,
        has_numbers=bool(kinds & {"numeric", "datetime"}),
        has_categories="categorical" in kinds,
        general_p=few_coordinates,
        full_metric=d <= FULL_METRIC_FEATURES,
        sum_power=few_coordinates,
        pieces=d + PIECES * sum(column.kind == "numeric" for column in problem.schema.features) <= WIDEST,
        log_odds=problem.n_classes == 2,
        log_target=not problem.n_classes and suits_log(problem.truth[problem.plan.refit_rows]),
        agop_rows=int(min(2_000, max(500, AGOP_WORK // (in_a_leaf * d)))),
    )
    space.complete({})  # pins that contradict each other are refused before any work
    if config.pinned.get("loss") == "logistic" and problem.n_classes != 2:
        has = f"has {problem.n_classes} classes" if problem.n_classes else "is a number"
        raise OptionError(
            f"--set loss=logistic: '{problem.target.name}' of {problem.table.source} {has}, and log odds are "
            "those of two classes. Leave it out."
        )
    if config.pinned.get("target_transform") == "log":
        _require_logarithms(problem)
    return space


def _require_logarithms(problem: Problem) -> None:
    """Refuse to learn logarithms that some training target does not have."""
    name, source = problem.target.name, problem.table.source
    if problem.n_classes:
        raise OptionError(
            f"--set target_transform=log: '{name}' of {source} is a class, and a class has no logarithm. "
            "Leave it out, or give --task regression if it is a number."
        )
    negative = np.flatnonzero(problem.truth[problem.plan.refit_rows] < 0)
    if len(negative):
        raise OptionError(
            f"--set target_transform=log: {source} has a negative '{name}' (the {negative[0] + 1:,}. row "
            "with a target), which has no logarithm. Leave it out."
        )


def choose_leaf_size(n: int, time_limit_s: float | None) -> int:
    """The largest leaves that a time limit allows for ``n`` rows: work grows like ``n * leaf_size ** 2``.

    Without a limit the size is fixed. It never depends on the machine.

    >>> choose_leaf_size(5_000, 60.0), choose_leaf_size(48_000, 60.0), choose_leaf_size(48_000, None)
    (12500, 6301, 12601)
    """
    wanted = float(LARGEST_LEAF)
    if time_limit_s is not None:
        wanted = LEAF_ROWS_A_MINUTE * float(np.sqrt(time_limit_s / 60 * 48_000 / max(n, 1)))
        wanted = min(LARGEST_LEAF, max(500.0, wanted))
    if n <= ROUNDING * wanted:
        return int(ROUNDING * wanted)
    # Splits are at the median: leaves just above a limit would be halved for the sake of a few rows.
    leaves = 2 ** int(np.ceil(np.log2(n / (ROUNDING * wanted))))
    return int(n / leaves * TIES) + 1
