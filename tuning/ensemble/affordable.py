"""Check whether the final fits and the other work after the search still fit into the time left."""

from __future__ import annotations

from collections.abc import Callable

from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.final_fit import estimate_final_fits
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.run_step import estimate_refit
from xrfm_cli.tuning.search.trial_records import SearchResult


def afford_check(problem: Problem, config: FitConfig) -> Callable[[SearchResult, float], bool]:
    """Return a function that says whether the final fits fit into seconds without the reserve."""
    limits = problem.limits
    known: dict[int, float] = {}  # seconds of the ensemble's final fits, by the number of validated trials

    def affords(result: SearchResult, seconds: float) -> bool:
        best = min(result.validation_results, key=lambda item: item[1].loss)[1]
        once = estimate_refit(problem, result.costs, best.candidate, last_iterations=best.last_iterations)
        left, most = seconds - limits.selection_s - limits.held_out_s, config.ensemble_size * once
        if most <= left or left < once:
            return most <= left
        # Few ensembles reach the largest size, but finding the actual size takes a while.
        validated = len(result.validation_results)
        if validated not in known:
            known[validated] = estimate_final_fits(problem, result, max_members=config.ensemble_size)
        needed = max(once, min(known[validated], limits.final_fits_s))
        return needed + limits.estimate_error_s <= left

    return affords
