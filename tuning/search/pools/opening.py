"""Open the workers that the user asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager

from xrfm_cli.events import OnEvent
from xrfm_cli.trees.tasks import TreeWorkers
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.pools.pool import Pool
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
