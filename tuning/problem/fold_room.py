"""Encode the validation folds, as many as a time limit leaves room for."""

from __future__ import annotations

from collections.abc import Callable

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.deadline import Deadline
from xrfm_cli.tuning.limits import FOLD_ENCODING_SHARE, LEAST_FOLD_ENCODING_S, LEAST_FOLDS
from xrfm_cli.tuning.problem.baselines import RIDGE_ENCODING
from xrfm_cli.tuning.problem.learning_problem import Problem


def fold_in_time(
    problem: Problem, deadline: Deadline, *, on_event: OnEvent, clock: Callable[[], float]
) -> Problem:
    """Encode the folds: all, or as many as fit into a share of the time left.

    Candidates are then validated on these alone. At least two folds are kept.
    """
    folds = problem.plan.folds
    if not deadline.is_set or len(folds) <= LEAST_FOLDS:
        return problem
    began = clock()
    last = began + max(FOLD_ENCODING_SHARE * deadline.left(began), LEAST_FOLD_ENCODING_S)
    for number in range(1, len(folds)):
        since = clock()
        is_late = deadline.left(began) <= 0 or since + (since - began) / max(number - 1, 1) > last
        if number >= LEAST_FOLDS and is_late:
            message = f"the time limit left room for {number} of {len(folds)} folds"
            on_event(Event(kind="fallback", message=message, count=1))
            return problem.with_first_folds(number)
        problem.folds.matrices(number, RIDGE_ENCODING)
    return problem
