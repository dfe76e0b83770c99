"""Build the learning problem from a table and options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import (
    Table,
    TableSchema,
    TargetSchema,
    concatenate_tables,
    drop_rows_without_target,
    encode_target,
    read_groups,
    read_offset,
    read_time,
    read_weights,
    type_rows,
)
from xrfm_cli.errors import OptionError, TargetError
from xrfm_cli.leaf_models.rfm import default_memory_bytes
from xrfm_cli.mentions import option
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.limits import Limits, find_limits, find_row_counts
from xrfm_cli.tuning.pins import Pins
from xrfm_cli.tuning.problem.learning_data import LearningData, weighs_exposure
from xrfm_cli.tuning.problem.learning_problem import FinalRows, Problem
from xrfm_cli.tuning.problem.validation_plan import make_validation_plan
from xrfm_cli.tuning.scoring.metrics import find_metric
from xrfm_cli.tuning.transfer.base import Base

# Encoding and learning cost of a column by kind, in numeric columns.
COLUMN_WORK = {"categorical": 5, "datetime": 10, "text": 30}
ROWS_OF_A_CLASS = 50  # drawn in any case
# Rows of the search of a table that does not fit into memory. The search holds these rows as text, as typed
# columns and encoded for several folds, so they may take half of the memory that a table may.
SEARCH_SHARE, VALUE_BYTES, LEAST_SEARCH_ROWS = 0.5, 8, 1_000


class ProblemSetup(NamedTuple):
    """The problem of one fit, and the numbers of rows left out of it."""

    problem: Problem
    dropped: int  # rows without a target or with weight 0
    left_out: int  # usable rows that the final fits do not use
    source_rows: NDArray[np.int64]  # position of each of the problem's rows in the table it was read from


class GivenRows(NamedTuple):
    """Usable rows of the table of ``--valid``."""

    table: Table
    y_true: NDArray[np.float64]
    positions: NDArray[np.int64]  # of these rows in the table as it was read
    dropped: int  # rows without a target or with weight 0


def set_up_problem(
    table: Table,
    schema: TableSchema,
    target: TargetSchema,
    config: FitConfig,
    valid: Table | None = None,
    base: Base | None = None,
) -> ProblemSetup:
    """Build the problem of one fit.

    ``valid`` holds validation rows that are never trained on. If they do not fit into memory, a sample of
    them validates. ``base`` is the base model of transfer learning.

    Raises TargetError if fewer than two rows can be trained on or none can validate, and OptionError if the
    metric or the offset does not suit the target.
    """
    pins, n_read = Pins.of(config.pinned), table.n_rows
    if schema.with_role("offset"):
        _check_offset(table, schema, target, base)
        if valid is not None:
            read_offset(valid, schema)
    table, source_rows = _usable_rows(table, schema, target)
    dropped = n_read - len(source_rows)
    if table.n_rows < 2:
        raise TargetError(
            f"{table.source}: only one row has a value of '{target.name}' and a weight above 0; at least "
            "two are needed"
        )
    limits = limits_of(table.n_rows, schema, target, config)
    y_true, left_out = encode_target(table, target), 0
    counts = find_row_counts(
        table.n_rows,
        limits.max_rows,
        fit_rows=config.fit_rows,
        search_rows=config.search_rows,
        room=_search_room(table, schema),
    )
    searched = draw_training_rows(y_true, target, most=counts.search, seed=config.seed)
    drawn = draw_training_rows(y_true, target, most=counts.fit, seed=config.seed)
    if drawn is not None:
        table, y_true, left_out = table.take(drawn), y_true[drawn], table.n_rows - len(drawn)
        source_rows = source_rows[drawn]
    weights = read_weights(table, schema)
    final = None
    if searched is not None and len(searched) < table.n_rows:
        places = searched if drawn is None else np.searchsorted(drawn, searched)
        every = _learning_data(table, schema, target, config, y_true, weights, base)
        final = FinalRows(data=every, rows=np.arange(table.n_rows), places=places)
        table, y_true, source_rows = table.take(places), y_true[places], source_rows[places]
        weights = None if weights is None else weights[places]
    limits = limits_of(table.n_rows, schema, target, config)
    given = None
    if valid is not None:
        valid, validating, source_valid, without_target = _given_rows(valid, schema, target, config.seed)
        given = np.arange(table.n_rows, table.n_rows + valid.n_rows)
        features = {column.name for column in schema.features}
        features |= set(() if base is None else base.shared)
        read = [
            c.name for c in schema.columns if c.name in features or c.role in ("target", "weight", "offset")
        ]
        table, dropped = concatenate_tables(table.select(read), valid), dropped + without_target
        y_true = np.concatenate([y_true, validating])
        source_rows = np.concatenate([source_rows, source_valid])
        of_valid = read_weights(valid, schema)
        if weights is not None and of_valid is not None:
            weights = np.concatenate([weights, of_valid])
    metric = find_metric(config.metric, target.task)
    every_target = y_true if final is None else np.concatenate([final.data.y_true, y_true])
    _check_range(metric.name, every_target, source=table.source, target=target.name)
    plan = make_validation_plan(
        table.n_rows,
        seed=config.seed,
        folds=config.folds,
        strata=y_true if target.classes else None,
        groups=None if valid is not None else read_groups(table, schema),
        time=None if valid is not None else read_time(table, schema),
        given=given,
        limits=limits,
        columns=_column_work(schema),
    )
    problem = Problem.of(
        _learning_data(table, schema, target, config, y_true, weights, base),
        plan,
        metric=metric,
        pins=pins,
        limits=limits,
        memory_bytes=config.memory_bytes or default_memory_bytes(config.device),
        final=final,
    )
    return ProblemSetup(problem=problem, dropped=dropped, left_out=left_out, source_rows=source_rows)


def _given_rows(valid: Table, schema: TableSchema, target: TargetSchema, seed: int) -> GivenRows:
    """Return the usable rows of a validation table, or a sample of them that fits into memory."""
    n_read, source = valid.n_rows, valid.source
    valid, positions = _usable_rows(valid, schema, target)
    if valid.n_rows == 0:
        raise TargetError(f"{source}: no row has a '{target.name}', so it cannot validate.")
    y_true = encode_target(valid, target)
    unseen = np.flatnonzero(y_true == -2) if target.classes else np.empty(0)
    if len(unseen):
        label = valid.column(target.name)[int(unseen[0])].as_py()
        raise TargetError(
            f"{source}: '{target.name}' has the class {label!r}, which no training row has "
            f"({len(unseen):,} such rows). Drop them."
        )
    dropped = n_read - valid.n_rows
    drawn = draw_training_rows(y_true, target, most=_search_room(valid, schema), seed=seed)
    if drawn is not None:  # they are held beside the rows of the search
        valid, y_true, positions = valid.take(drawn), y_true[drawn], positions[drawn]
    return GivenRows(table=valid, y_true=y_true, positions=positions, dropped=dropped)


def _check_range(metric: str, y_true: NDArray[np.float64], *, source: str, target: str) -> None:
    """Refuse targets outside the range for which a metric is defined."""
    if metric == "poisson_deviance" and (y_true < 0).any():
        row = int(np.flatnonzero(y_true < 0)[0]) + 1
        raise OptionError(
            f"{option('metric', metric)}: {source} has a negative '{target}' (row "
            f"{row:,} of those with a target), but counts are 0 or more. Choose rmse or mae."
        )
    if metric == "gamma_deviance" and (y_true <= 0).any():
        row = int(np.flatnonzero(y_true <= 0)[0]) + 1
        raise OptionError(
            f"{option('metric', metric)}: {source} has a '{target}' of 0 or less "
            f"(row {row:,} of those with a target), but amounts must be above 0. "
            "Choose poisson_deviance or rmse."
        )


def _check_offset(table: Table, schema: TableSchema, target: TargetSchema, base: Base | None) -> None:
    """Refuse an offset that does not suit its cells, the target or a base; every row of the table counts."""
    name = schema.with_role("offset")[0].name
    read_offset(table, schema)
    if target.task != "regression":
        raise OptionError(
            f"{option('offset', name)}: '{target.name}' of {table.source} is a class, but only numbers grow "
            f"with an exposure. Leave it out, or give {option('task', 'regression')} if it is a number."
        )
    if base is not None:
        raise OptionError(
            f"{option('offset', name)}: cannot be combined with {option('transfer_from')}. Leave one out."
        )
    negative = np.flatnonzero(encode_target(table, target) < 0)
    if len(negative):
        raise OptionError(
            f"{option('offset', name)}: {table.source} has a negative '{target.name}' in row "
            f"{negative[0] + 1:,}, but a target per '{name}' is 0 or more. Leave it out."
        )


def _search_room(table: Table, schema: TableSchema) -> int | None:
    """Return for how many rows of a table in files the memory leaves room in the search; None for all."""
    if table.scratch is None:
        return None
    row_bytes = max(table.data.nbytes / table.n_rows, VALUE_BYTES * _column_work(schema))
    return max(LEAST_SEARCH_ROWS, int(table.scratch.held_bytes * SEARCH_SHARE / row_bytes))


def _learning_data(
    table: Table,
    schema: TableSchema,
    target: TargetSchema,
    config: FitConfig,
    y_true: NDArray[Any],
    weights: NDArray[np.float64] | None,
    base: Base | None,
) -> LearningData:
    """Return rows with their text parsed, and with the predictions of a base."""
    base_outputs, typed = None, type_rows(table, schema)
    if base is not None:
        base_outputs = base.outputs_of(table)
        table = base.extended(table, base_outputs)
        typed = replace(typed, table=base.extended(typed.table, base_outputs))
    return LearningData(
        table=table,
        typed=typed,
        schema=schema,
        target=target,
        y_true=y_true,
        weights=weights,
        seed=config.seed,
        device=config.device,
        base=base,
        base_outputs=base_outputs,
        exposure=read_offset(table, schema),
        weighs_exposure=weighs_exposure(config.metric, config.pinned),
    )


def limits_of(rows: int, schema: TableSchema, target: TargetSchema, config: FitConfig) -> Limits:
    """Return what this number of training rows and the time limit decide."""
    return find_limits(
        rows,
        len(schema.features),
        len(target.classes),
        config.effective_time_limit_s,
        column_work=_column_work(schema),
    )


def _column_work(schema: TableSchema) -> int:
    """Return the cost of encoding the columns, in numeric columns."""
    return sum(COLUMN_WORK.get(column.kind, 1) for column in schema.features)


def draw_training_rows(
    y_true: NDArray[np.float64], target: TargetSchema, *, most: int | None, seed: int
) -> NDArray[np.int64] | None:
    """Draw at most ``most`` row numbers of a table at random, in order; None for all rows.

    Each class keeps at least ROWS_OF_A_CLASS rows, if it has them and there is room.
    """
    if most is None or len(y_true) <= most:
        return None
    order = np.random.default_rng([seed, 2]).permutation(len(y_true))
    first = order[:most]
    if target.classes:
        each = max(1, min(ROWS_OF_A_CLASS, most // len(target.classes)))
        rare = [order[y_true[order] == code][:each] for code in range(len(target.classes))]
        first = np.concatenate([first, *rare])
    return np.unique(first)


def _usable_rows(table: Table, schema: TableSchema, target: TargetSchema) -> tuple[Table, NDArray[np.int64]]:
    """Return the rows with a target and a weight above 0, and their positions in the table."""
    positions = np.arange(table.n_rows)
    kept, dropped = drop_rows_without_target(table, target)
    if dropped:
        values = encode_target(table, target)
        positions = positions[~np.isnan(values) if target.task == "regression" else values != -1]
    weights = read_weights(kept, schema)
    if weights is None or (weights > 0).all():
        return kept, positions
    used = np.flatnonzero(weights > 0)
    return kept.take(used), positions[used]
