"""Validation rows drawn repeatedly: halves of them, and further folds for the last candidates of a search."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.events import ignore_event
from xrfm_cli.tuning.ensemble.candidates import Entry
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import ValidationPlan, make_validation_plan
from xrfm_cli.tuning.scoring.calibration import outcomes
from xrfm_cli.tuning.search.run_step import run_step
from xrfm_cli.tuning.search.trial import evaluate

Array = NDArray[np.float64]
MOST_CANDIDATES = 8
REPEATS = 2  # besides the folds of the search
SEED_STEP = 1_000  # between the seeds of two draws
HALVES, SEED = 10, 0  # random halves of the validation rows, for the rules that average over them


def halves(n: int) -> list[NDArray[np.int64]]:
    """Return random halves of ``n`` rows."""
    draws = np.random.default_rng(SEED)
    return [draws.permutation(n)[: n // 2] for _ in range(HALVES)]


def last_candidates(weights: NDArray[Any], most: int = MOST_CANDIDATES) -> list[int]:
    """Return the places of the members of an ensemble, heaviest first, then those of the next best trials.

    >>> last_candidates(np.array([0.2, 0.0, 0.8, 0.0]), most=3)
    [2, 0, 1]
    """
    return np.argsort(-weights, kind="stable")[:most].tolist()


def redrawn_plan(problem: Problem, repeat: int) -> ValidationPlan:
    """Return a plan of as many folds, drawn anew, in which every candidate is evaluated on all rows at once.

    Without smaller rungs the kernel is not refined again, so the candidate stays as it was validated.
    """
    data, count = problem.data, len(problem.plan.folds)
    plan = make_validation_plan(
        data.table.n_rows,
        seed=data.seed + SEED_STEP * repeat,
        folds=count,
        strata=data.y_true if data.n_classes else None,
        limits=problem.limits,
    )
    return replace(plan, rung_sizes=plan.rung_sizes[-1:])


def repeated_outputs(problem: Problem, entries: list[Entry], repeats: int = REPEATS) -> Array:
    """Return predictions ``(1 + repeats, entries, n)``, for classes ``(1 + repeats, entries, n, classes)``.

    The first are those of the search. All are in the order of the problem's validation rows.
    """
    found = [np.array([entry.output for entry in entries])]
    rows = problem.plan.validation_rows
    for repeat in range(1, repeats + 1):
        again = problem.with_plan(redrawn_plan(problem, repeat))
        run = partial(run_step, again, on_event=ignore_event)
        outputs = np.empty_like(found[0])
        for place, entry in enumerate(entries):
            candidate = entry.validation_result.candidate
            scores = evaluate(again, candidate, trial=entry.number, run=run).scores
            calibrator = again.scorer.calibrator(scores, again.plan.validation_rows, candidate.transform)
            by_row = np.empty_like(outputs[place])
            by_row[again.plan.validation_rows] = outcomes(scores, calibrator)
            outputs[place] = by_row[rows]
        found.append(outputs)
    return np.array(found)
