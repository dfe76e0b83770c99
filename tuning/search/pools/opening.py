"""Open the workers that the user asked for."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

from xrfm_cli.events import OnEvent
from xrfm_cli.leaf_models.threads import compute_threads
from xrfm_cli.trees.tasks import TreeWorkers
from xrfm_cli.tuning.deadline import Deadline
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.cost import product_rate
from xrfm_cli.tuning.search.pools.pool import MOST_ROWS, Pool
from xrfm_cli.tuning.search.pools.step_pool import step_pool
from xrfm_cli.tuning.search.pools.tree_pool import tree_pool


def open_pool(
    problem: Problem, workers: int, scheduler: str | None, on_event: OnEvent
) -> AbstractContextManager[Pool | None]:
    """Return the workers of this machine, or those of a dask cluster."""
    if scheduler is None:
        return step_pool(problem, workers, on_event)
    from xrfm_cli.tuning.search.pools.dask_pool import dask_pool

    return dask_pool(problem, scheduler, on_event)


def tree_workers(
    workers: int, scheduler: str | None, on_event: OnEvent
) -> AbstractContextManager[TreeWorkers | None]:
    """Return the workers that compute splits and leaves of the final models; None if this process does."""
    if scheduler is None:
        return tree_pool(workers, on_event)
    from xrfm_cli.tuning.search.pools.dask_trees import dask_trees

    return dask_trees(scheduler, on_event)


def rate_of_products(problem: Problem, pool: Pool | None, deadline: Deadline) -> float:
    """Return the rate of matrix products that steps begin with; infinite if no estimate is needed.

    The fastest product had a core of its own, so the rate is divided by the slowdown.
    """
    if not deadline.is_set:
        return math.inf
    with compute_threads(1 if pool and problem.plan.rung_sizes[-1] <= MOST_ROWS else None):
        return product_rate(problem.data.device) / deadline.slowdown()
