"""The softness of a final tree's routing, chosen on rows that its leaves have not seen.

A search on a sample of a large table validates trees of few leaves. The same temperature makes a tree with
many more leaves softer, since each level divides a row again, and its leaves vote on rows far from their own.
So some rows are held back from such a final tree, and decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import Tensor

from xrfm_cli.datasets import make_holdout
from xrfm_cli.datasets.schema.roles import read_groups
from xrfm_cli.trees import TreeModel
from xrfm_cli.tuning.limits import leaf_count
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator
from xrfm_cli.tuning.scoring.metrics import Array
from xrfm_cli.tuning.scoring.target_transforms import TransformName
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.run_step import TEMPERATURES

MOST_HELD_ROWS = 2_000  # as many as validate the search of a large table
HELD_SHARE = 0.02  # of the rows, at most
MORE_LEAVES = 2  # times those of the validated tree: one level more hardly matters


def rows_held_back(problem: Problem, candidate: Candidate, validated: Candidate) -> Rows | None:
    """Return the places of final rows that a tree leaves out; None unless it is larger than validated."""
    final, n = problem.final, len(problem.final.rows)
    leaves = leaf_count(n, candidate.tree.leaf_size)
    before = leaf_count(len(problem.plan.folds[0].train), validated.tree.leaf_size)
    if problem.pins.fix_temperature or leaves <= MORE_LEAVES * before:
        return None
    count, groups = min(MOST_HELD_ROWS, int(HELD_SHARE * n)), read_groups(final.data.table, final.data.schema)
    if count < 1:
        return None
    if groups is not None:
        return make_holdout(n, share=count, seed=final.data.seed, groups=groups[final.rows])[1]
    places = np.arange(n)
    if final.data.n_classes:  # the few rows of a rare class are worth more to the leaves
        codes = final.data.y_true[final.rows]
        places = np.flatnonzero(np.bincount(codes)[codes] >= 1 / HELD_SHARE)
    if not len(places):
        return None
    generator = np.random.default_rng([final.data.seed, n])
    return np.sort(generator.choice(places, min(count, len(places)), replace=False))


def choose_temperature(
    problem: Problem,
    tree: TreeModel,
    x: Tensor,
    rows: Rows,
    transform: TransformName,
    decode: Callable[[Tensor], Array],
) -> tuple[float, MemberCalibrator | None]:
    """Return the temperature with the least loss on rows held back, and a calibrator fitted to them.

    The calibrator is None if the search has validated on more rows.

    ``x`` are the rows, encoded as for prediction, and ``rows`` their numbers in the data of the final fits;
    ``decode`` turns raw predictions into decoded ones.
    """
    data = problem.final.data
    scorer = replace(problem.scorer, data=data)
    decoded = [data.outcomes_of(rows, decode(raw)) for raw in tree.predict_at(x, TEMPERATURES)]
    losses = [scorer.score_decoded(scores, rows, transform).rounded().loss for scores in decoded]
    best = int(np.argmin(losses))
    has_enough = len(rows) >= len(problem.plan.validation_rows)
    return TEMPERATURES[best], scorer.calibrator(decoded[best], rows, transform) if has_enough else None
