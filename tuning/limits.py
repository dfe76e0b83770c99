"""Division of a time limit between folds, the search, the final fits and the report."""

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

REFIT_SHARE = 0.3  # maximum share of the time limit reserved for the final fits
# Error of a trial's time estimate, as a share of the time limit: for short limits and for long ones.
ESTIMATE_ERROR, LONG_ESTIMATE_ERROR, SHORT_LIMIT_S = 0.1, 0.05, 20.0
LEAST_FOLDS = 2  # fewest validation folds that a time limit may reduce a plan to
FOLDING_SHARE, FOLDING_S = 0.25, 1.0  # for encoding folds: share of the time left, and a minimum
# For ensemble selection among hundreds of trials: share of the limit, and a maximum.
CHOOSING_SHARE, CHOOSING_S = 0.04, 2.0
HELD_OUT_SHARE = 0.03  # of the limit, for measuring the columns on held-out rows after the final fits


def fold_in_time(
    problem: Problem, deadline: float | None, *, on_event: OnEvent, clock: Callable[[], float]
) -> Problem:
    """Encode the folds: all, or as many as fit into a share of the time left.

    Candidates are then validated on these alone. At least two folds are kept.
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
    """Return a check whether the final fits, the model file and the report fit into the seconds left."""
    limit = config.effective_time_limit_s or float("inf")
    reserve = max(ESTIMATE_ERROR * min(limit, SHORT_LIMIT_S), LONG_ESTIMATE_ERROR * limit)
    choosing = min(CHOOSING_SHARE * limit, CHOOSING_S)
    held_out = HELD_OUT_SHARE * (config.effective_time_limit_s or 0.0)
    known: dict[int, float] = {}  # seconds of the ensemble's final fits, by the number of validated trials

    def affords(result: SearchResult, seconds: float) -> bool:
        best = min(result.validation_results, key=lambda item: item[1].loss)[1]
        once = estimate_refit(problem, result.costs, best.candidate, last_iterations=best.last_iterations)
        left, most = seconds - result.report_s - choosing - held_out, config.ensemble_size * once
        if most <= left or left < once:
            return most <= left
        # Few ensembles reach the largest size, but finding the actual size takes a while.
        validated = len(result.validation_results)
        if validated not in known:
            known[validated] = estimate_final_fits(problem, result, max_members=config.ensemble_size)
        needed = max(once, min(known[validated], REFIT_SHARE * limit))
        return needed + reserve <= left

    return affords
