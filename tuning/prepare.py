"""From a table and options to the problem that is searched, and the ranges that suit it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xrfm_cli.datasets import (
    EncodingConfig,
    Table,
    TableSchema,
    TargetSchema,
    drop_rows_without_target,
    encode_target,
    read_weights,
)
from xrfm_cli.datasets.errors import SchemaError, TargetError
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.metrics import find_metric
from xrfm_cli.tuning.plan import make_plan
from xrfm_cli.tuning.problem import Problem
from xrfm_cli.tuning.space import SearchSpace, check_names

DEFAULT_MEMORY_BYTES = 4 << 30
LARGEST_LEAF = 10_000
LEAF_ROWS_A_MINUTE = 6_000  # leaves of this size let a table of 48,000 rows be tuned in a minute on two cores
GENERAL_P_ROWS, SUM_POWER_WORK, FULL_METRIC_FEATURES = 3_000, 400_000, 300


def prepare_problem(
    table: Table, schema: TableSchema, target: TargetSchema, config: FitConfig, valid: Table | None = None
) -> tuple[Problem, int]:
    """The problem of one fit, and the number of rows that were dropped for want of a target.

    ``valid`` holds rows that judge and are never trained on.
    """
    check_names(config.pinned)
    table, dropped = drop_rows_without_target(table, target)
    given = None
    if valid is not None:
        valid, dropped_valid = drop_rows_without_target(valid, target)
        if valid.n_rows == 0:
            raise TargetError(
                f"{valid.source}: has no row with a value in '{target.name}', so it cannot judge."
            )
        given = np.arange(table.n_rows, table.n_rows + valid.n_rows)
        table, dropped = _stacked(table, valid), dropped + dropped_valid
    truth = encode_target(table, target)
    unseen = int((truth == -2).sum()) if target.classes else 0
    if unseen:
        raise TargetError(
            f"{table.source}: {unseen} rows for validation have a '{target.name}' that no training row has. "
            "Drop them."
        )
    plan = make_plan(
        table.n_rows,
        seed=config.seed,
        folds=config.folds,
        strata=truth if target.classes else None,
        groups=_role_values(table, schema, "group"),
        time=_role_values(table, schema, "time"),
        given=given,
    )
    problem = Problem(
        table=table,
        schema=schema,
        target=target,
        truth=truth,
        weights=read_weights(table, schema),
        metric=find_metric(config.metric, target.task),
        plan=plan,
        seed=config.seed,
        device=config.device,
        memory_bytes=config.memory_bytes or DEFAULT_MEMORY_BYTES,
        pinned=config.pinned,
    )
    return problem, dropped


def _stacked(table: Table, more: Table) -> Table:
    """The rows of two tables with the same columns, one after the other."""
    below = more.select(table.column_names).data
    if below.schema.types != table.data.schema.types:
        raise SchemaError(
            f"{more.source}: its columns are stored as other types than those of {table.source}. "
            "Give both files in the same format."
        )
    return replace(table, data=pa.concat_tables([table.data, below.cast(table.data.schema)]))


def make_space(problem: Problem, config: FitConfig) -> SearchSpace:
    """The ranges that suit the table's size and columns."""
    kinds = {column.kind for column in problem.schema.features}
    n, d = len(problem.plan.refit_rows), problem.fold(0, EncodingConfig()).x_train.shape[1]
    space = SearchSpace(
        leaf_size=choose_leaf_size(n, config.effective_time_limit_s),
        pinned=config.pinned,
        has_numbers=bool(kinds & {"numeric", "datetime"}),
        has_categories="categorical" in kinds,
        general_p=n <= GENERAL_P_ROWS,
        full_metric=d <= FULL_METRIC_FEATURES,
        sum_power=min(n, LARGEST_LEAF) * d <= SUM_POWER_WORK,
    )
    space.complete({})  # pins that contradict each other are refused before any work
    return space


def choose_leaf_size(n: int, time_limit_s: float | None) -> int:
    """The largest leaves that a time limit allows for ``n`` rows: work grows like ``n * leaf_size ** 2``.

    Without a limit the size is fixed. It never depends on the machine.

    >>> choose_leaf_size(5_000, 60.0), choose_leaf_size(48_000, 60.0), choose_leaf_size(48_000, None)
    (10000, 6000, 10000)
    """
    if time_limit_s is None:
        return LARGEST_LEAF
    size = LEAF_ROWS_A_MINUTE * float(np.sqrt(time_limit_s / 60 * 48_000 / max(n, 1)))
    return int(min(LARGEST_LEAF, max(500, size)))


def _role_values(table: Table, schema: TableSchema, role: str) -> NDArray[np.generic] | None:
    """Sortable values of the column with a role; equal codes for equal values."""
    for column in schema.columns:
        if column.role != role:
            continue
        values = table.data.column(column.name).combine_chunks()
        if values.null_count:
            row = int(np.flatnonzero(np.asarray(values.is_null()))[0]) + 1
            raise SchemaError(
                f"{table.source}: column '{column.name}' ({role}) has no value in row {row}. Fill it in."
            )
        array = np.asarray(values)
        return np.unique(array.astype(str) if array.dtype == object else array, return_inverse=True)[1]
    return None
