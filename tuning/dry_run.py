"""Dry run: describe a fit without doing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xrfm_cli.datasets import EncodingConfig, Table, TableSchema, TargetSchema, find_copies
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search.cost import leaf_count, product_rate
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.transfer.base import Base

PRUNED_SHARE = 0.45  # mean work of a trial, pruned ones included, as a share of a complete trial's
SOLVES = 4  # factorisations and AGOP updates at a trial's largest rung, in products of the same order


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """Rows, columns, validation and estimated cost of a fit."""

    rows: int
    dropped_rows: int
    features: int  # encoded columns
    validation: str
    leaf_size: int
    leaves: int
    trials: int | None
    time_limit_s: float | None
    estimate_s: float  # the time limit, or the expected seconds of the given number of trials
    memory_bytes: int  # peak size of kernel matrices and encoded rows
    copies: tuple[str, ...]  # columns that determine the target of every row
    transfer: str | None = None  # what a base model shares with the table

    def to_json(self) -> dict[str, Any]:
        """Return the values by name, ready for JSON."""
        return asdict(self)


def dry_run_fit(
    table: Table,
    schema: TableSchema,
    target: TargetSchema,
    config: FitConfig,
    *,
    valid: Table | None = None,
    base: Base | None = None,
) -> DryRun:
    """Describe a fit without doing it. Memory and seconds are estimates from sizes and one timed product."""
    problem, dropped, *_ = set_up_problem(table, schema, target, config, valid, base)
    space = make_space(problem)
    leaf_size = space.complete({"leaf_size": space.leaf_size}).tree.leaf_size
    rows, features = (
        len(problem.plan.refit_rows),
        problem.folds.matrices(0, EncodingConfig()).x_train.shape[1],
    )
    leaves = leaf_count(rows, leaf_size)
    largest = -(-rows // leaves)
    limit = config.effective_time_limit_s
    trials = 1 if config.trials == 0 else config.trials
    work = len(problem.plan.folds) * leaves * float(largest) ** 3 * SOLVES / 3
    work *= (trials or 1) * PRUNED_SHARE
    estimate = limit if limit is not None else work / product_rate(config.device)
    return DryRun(
        rows=rows,
        dropped_rows=dropped,
        features=features,
        validation=f"{problem.plan.scheme}: {problem.plan.reason}",
        leaf_size=leaf_size,
        leaves=leaves,
        trials=trials,
        time_limit_s=limit,
        estimate_s=round(estimate, 1),
        memory_bytes=min(direct_bytes(largest), problem.memory_bytes) + 4 * 4 * rows * features + (300 << 20),
        copies=find_copies(
            problem.data.typed.table, problem.data.schema, problem.data.y_true, classes=problem.data.n_classes
        ),
        transfer=None if base is None else f"{base.name} {base.found.words}",
    )
