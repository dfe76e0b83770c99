"""How a time limit is shared between folds, the search, the final fits and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xrfm_cli.events import Event, OnEvent
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.final_fit import estimate_final_fits
from xrfm_cli.tuning.problem.baselines import RIDGE_ENCODING
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.run_step import estimate_refit
from xrfm_cli.tuning.search.trial_records import SearchResult

REFIT_SHARE = 0.3  # of the time limit, kept for the final fits at most
# Of a time limit, by which the estimate of a trial may be wrong; of a long one less.
ESTIMATE_ERROR, LONG_ESTIMATE_ERROR, SHORT_LIMIT_S = 0.1, 0.05, 20.0
LEAST_FOLDS = 2  # that judge, where so many were planned
FOLDING_SHARE, FOLDING_S = 0.25, 1.0  # of the time left, and at least, for encoding the folds
CHOOSING_SHARE, CHOOSING_S = 0.04, 2.0  # of a time limit, and at most, for weighing hundreds of trials


def fold_in_time(
    problem: Problem, deadline: float | None, *, on_event: OnEvent, clock: Callable[[], float]
) -> Problem:
    """The problem with its folds encoded: all, or the first ones that a share of the time is enough for.

    Candidates are then judged by these alone. Two folds judge in any case.
    """
    folds = problem.plan.folds
    if deadline is None or len(folds) <= LEAST_FOLDS:
        return problem
    began = clock()
    last = began + max(FOLDING_SHARE * (deadline - began), FOLDING_S)
    for number in range(1, len(folds)):
        since = clock()
        if number >= LEAST_FOLDS and (began >= deadline or since + (since - began) / (number - 1) > last):
            message = f"the time limit left room for {number} of {len(folds)} folds"
            on_event(Event(kind="fallback", message=message, count=len(folds) - number))
            return replace(problem, plan=replace(problem.plan, folds=folds[:number]))
        problem.fold(number, RIDGE_ENCODING)
    return problem


def afford_check(problem: Problem, config: FitConfig) -> Callable[[SearchResult, float], bool]:
    """Whether what follows the search fits into some seconds: final fits, the model file and the report."""
    limit = config.effective_time_limit_s or float("inf")
    reserve = max(ESTIMATE_ERROR * min(limit, SHORT_LIMIT_S), LONG_ESTIMATE_ERROR * limit)
    choosing = min(CHOOSING_SHARE * limit, CHOOSING_S)
    known: dict[int, float] = {}  # seconds of the ensemble's final fits, by the number of judged trials

    def affords(result: SearchResult, seconds: float) -> bool:
        best = min(result.validation_results, key=lambda item: item[1].loss)[1]
        once = estimate_refit(problem, result.costs, best.candidate, last_iterations=best.last_iterations)
        left, most = seconds - result.report_s - choosing, config.ensemble_size * once
        if most <= left or left < once:
            return most <= left
        # Few ensembles are of the largest size, but it takes a while to know.
        validated = len(result.validation_results)
        if validated not in known:
            known[validated] = estimate_final_fits(problem, result, max_members=config.ensemble_size)
        needed = max(once, min(known[validated], REFIT_SHARE * limit))
        return needed + reserve <= left

    return affords
