"""What a fit would do, said before it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xrfm_cli.datasets import EncodingConfig, Table, TableSchema, TargetSchema, find_copies
from xrfm_cli.leaf_models.steps import direct_bytes
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.problem.setup import set_up_problem
from xrfm_cli.tuning.search.cost import leaf_count, product_rate
from xrfm_cli.tuning.search.ranges import make_space
from xrfm_cli.tuning.search.space import check_names

PRUNED_SHARE = 0.45  # of the work of a trial that is judged to its end, averaged over pruned ones too
SOLVES = 4  # factorisations and metric updates of a trial's largest stage, in products of the same order


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """Rows, columns, validation and what the fit is expected to cost."""

    rows: int
    dropped_rows: int
    features: int  # encoded columns
    validation: str
    leaf_size: int
    leaves: int
    trials: int | None
    time_limit_s: float | None
    estimate_s: float  # the time limit, or what so many trials take
    memory_bytes: int  # kernel matrices and encoded rows at their largest
    copies: tuple[str, ...]  # columns from which the target of every row follows

    def to_json(self) -> dict[str, Any]:
        """JSON facts."""
        return asdict(self)


def dry_run_fit(
    table: Table, schema: TableSchema, target: TargetSchema, config: FitConfig, *, valid: Table | None = None
) -> DryRun:
    """Plan a fit without doing it. Memory and seconds are estimates from sizes and one timed product."""
    check_names(config.pinned)
    problem, dropped, _ = set_up_problem(table, schema, target, config, valid)
    space = make_space(problem, config)
    leaf_size = space.complete({"leaf_size": space.leaf_size}).tree.leaf_size
    rows, features = len(problem.plan.refit_rows), problem.fold(0, EncodingConfig()).x_train.shape[1]
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
        copies=find_copies(problem.typed.table, problem.schema, problem.y_true, classes=problem.n_classes),
    )
