"""The single rule for which rows depend on each other: rows of one group, and rows close in time."""

from __future__ import annotations

import numpy as np

from xrfm_cli.datasets import make_folds, read_groups, read_time
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows


def split_dependent(problem: Problem, parts: int) -> list[Rows] | None:
    """Split positions of validation rows into parts that share no group, or that follow each other in time.

    Returns None if rows are independent, so that any split will do. Rows given for validation are
    independent: they come without a group or a time.
    """
    data, rows = problem.data, problem.plan.validation_rows
    if problem.plan.scheme == "given rows":
        return None
    groups = read_groups(data.table, data.schema)
    if groups is not None:
        folds = make_folds(len(rows), folds=parts, seed=data.seed, groups=groups[rows])
        return [valid for _, valid in folds]
    time = read_time(data.table, data.schema)
    if time is None:
        return None
    return [np.sort(part) for part in np.array_split(np.argsort(time[rows], kind="stable"), parts)]
