"""Measure the columns on held-out rows: permutation drops, confirmed shares and differences between folds.

The fold models of the search are not kept, so the heaviest member is fitted again on each fold, once, from
the feature matrix that the fold learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import Table
from xrfm_cli.errors import XRFMError
from xrfm_cli.events import OnEvent
from xrfm_cli.tuning.ensemble.final_tree import Refitter
from xrfm_cli.tuning.explain.confirmation import Part, measure_part, summarise
from xrfm_cli.tuning.explain.held_out_records import HeldOut
from xrfm_cli.tuning.explain.sample import sample_of
from xrfm_cli.tuning.explain.spread import Spread, common_rows
from xrfm_cli.tuning.explain.swap_study import FEWEST_COLUMNS, FEWEST_ROWS
from xrfm_cli.tuning.explain.swaps import row_ns
from xrfm_cli.tuning.model.fitted_model import FittedModel, Member
from xrfm_cli.tuning.problem.fold_cache import FoldMatrices
from xrfm_cli.tuning.problem.learning_data import EncodedRows
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.search.run_step import estimate_refit, fold_matrices
from xrfm_cli.tuning.search.trial import ValidationResult
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]
MOST_FOLDS = 4  # enough for a range
FOLD_ROWS = 6_000  # larger tables leave time for one fold model only
# Estimated nanoseconds of prediction over all folds: the least, and the budget if there is time. With two
# classes, it takes a few hundred rows of each fold to confirm a column with a tenth of the variance.
BUDGET_NS, MOST_BUDGET_NS = 1.0e9, 8.0e9
MOST_ROWS = 400  # validation rows of a fold
SECONDS_PER_NS = 1e-9
SPREAD_SHARE = 0.25  # additional, of the least budget, for comparing models on the same rows
COMMON_DRAW = 4_000_000  # in the seed of these rows
HELD_OUT_FOLD = 3_000_000  # in the seed of the rows drawn, which separates these draws from all others


def held_out_folds(
    model: FittedModel,
    problem: Problem,
    result: SearchResult,
    *,
    seconds_left: Callable[[bool], float],
    on_event: OnEvent,
) -> HeldOut | None:
    """Fit the heaviest member again on each fold and swap the columns of the fold's validation rows.

    ``seconds_left`` gets whether one fold alone is measured, which may take a larger share of the time.
    Returns None if not even one fold fits into the seconds left.
    """
    member = max(model.members, key=lambda own: own.weight)
    found = next(own for number, own in result.validation_results if number == member.trial)
    folds = min(len(problem.plan.folds), MOST_FOLDS)
    if len(problem.plan.refit_rows) > FOLD_ROWS:
        folds = 1
    parts: list[Part] = []
    generator = np.random.default_rng([problem.data.seed, COMMON_DRAW])
    spread = Spread(
        rows=common_rows(_without_base(problem), problem.plan.refit_rows, generator),
        folds=len(problem.plan.folds),
    )
    fold_seconds = estimate_refit(
        problem,
        result.costs,
        found.candidate,
        last_iterations=found.last_iterations,
        rows=len(problem.plan.refit_rows),
    )
    spread_ns = max(SPREAD_SHARE * BUDGET_NS / folds, 2 * FEWEST_COLUMNS * FEWEST_ROWS * row_ns(model))
    least_ns = spread_ns + max(BUDGET_NS / folds, 2 * FEWEST_COLUMNS * FEWEST_ROWS * row_ns(model))
    needed_s = fold_seconds + least_ns * SECONDS_PER_NS
    is_alone = needed_s > seconds_left(False)  # then one fold takes the larger share of the time
    for fold in range(1 if is_alone else folds):
        left_s = seconds_left(is_alone)
        if needed_s > left_s:
            break
        share = 1 if is_alone else folds - fold
        left_ns = (left_s / share - fold_seconds) / SECONDS_PER_NS - spread_ns
        most_ns = MOST_BUDGET_NS if is_alone else MOST_BUDGET_NS / folds
        budget_ns = max(BUDGET_NS / folds, min(most_ns, left_ns))
        try:
            rows = fold_matrices(problem, fold, found.candidate)
            own = _fold_member(member, problem, found, rows, fold, on_event)
            fold_model = replace(model, members=(own,), intervals=None)
            parts.append(_fold_part(fold_model, problem, rows, fold, budget_ns))
            if not is_alone:
                spread.add_fold(fold_model, budget_ns=spread_ns)
        except XRFMError:
            break  # a failed explanation must not lose the model
    if not parts:
        return None
    spread.add_members(
        model, budget_ns=spread_ns, has_time=lambda ns: ns * SECONDS_PER_NS < seconds_left(False)
    )
    return summarise(
        parts,
        metric=problem.scorer.metric.name,
        decision=model.decision,
        deviations=spread.deviations(),
    )


def _without_base(problem: Problem) -> Table:
    """Return the rows without the predictions of a base model, which the model itself adds."""
    table, base = problem.data.table, problem.data.base
    if base is None:
        return table
    return table.select(name for name in table.column_names if name not in base.columns)


def _fold_member(
    member: Member,
    problem: Problem,
    found: ValidationResult,
    rows: FoldMatrices,
    fold: int,
    on_event: OnEvent,
) -> Member:
    """Return a member fitted on the training rows of a fold, which ``rows`` holds encoded."""
    candidate, train = found.candidate, problem.plan.folds[fold].train
    target_transform = problem.data.target_transform(train, candidate.transform, found.factor)
    refitter = Refitter(data=problem.data, rows=train, memory_bytes=problem.memory_bytes, on_event=on_event)
    tree = refitter.fit(
        EncodedRows(encoder=rows.encoder, x=rows.x_train, routed=rows.routed_train),
        candidate,
        target_transform,
        None if problem.pins.fix_iterations else found.feature_matrices[fold],
        trial=member.trial,
        iterations=found.last_iterations,
        translation=rows.translation,
    )
    return replace(
        member,
        weight=1.0,
        encoder=rows.encoder,
        tree=tree.with_temperature(found.temperature if tree.splits else 0.0),
        target_transform=target_transform,
        translation=rows.translation,
    )


def _fold_part(
    model: FittedModel, problem: Problem, encoded: FoldMatrices, fold: int, budget_ns: float
) -> Part:
    valid = problem.plan.folds[fold].valid
    generator = np.random.default_rng([problem.data.seed, HELD_OUT_FOLD, fold])
    order = generator.permutation(len(valid))[:MOST_ROWS]
    rows = valid[order]
    matrices = {id(encoded.encoder): encoded.x_valid[order].cpu().numpy()}
    if model.base is not None:
        matrices |= model.base.encode(problem.data.table.take(rows))[0]
    sample = sample_of(model, matrices, "data")
    weights = problem.data.learning_weights_of(rows)
    weights = np.ones(len(rows)) if weights is None else weights
    return measure_part(model, sample, problem.data.rates_of(rows), weights, budget_ns=budget_ns)
