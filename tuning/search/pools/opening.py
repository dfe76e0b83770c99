"""Open the workers that the user asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager

from xrfm_cli.events import OnEvent
from xrfm_cli.trees.leaf_tasks import LeafWorkers
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.pools.leaf_pool import leaf_pool
from xrfm_cli.tuning.search.pools.pool import Pool
from xrfm_cli.tuning.search.pools.step_pool import step_pool


def open_pool(
    problem: Problem, workers: int, scheduler: str | None, on_event: OnEvent
) -> AbstractContextManager[Pool | None]:
    """Return the workers of this machine, or those of a dask cluster."""
    if scheduler is None:
        return step_pool(problem, workers, on_event)
    from xrfm_cli.tuning.search.pools.dask_pool import dask_pool

    return dask_pool(problem, scheduler, on_event)


def leaf_workers(
    workers: int, scheduler: str | None, on_event: OnEvent
) -> AbstractContextManager[LeafWorkers | None]:
    """Return the workers that fit leaves of the final models; None if this process does."""
    if scheduler is None:
        return leaf_pool(workers, on_event)
    from xrfm_cli.tuning.search.pools.dask_leaves import dask_leaves

    return dask_leaves(scheduler, on_event)
