"""The softness of a final tree's routing, chosen on rows that its leaves have not seen.

A search on a sample of a large table validates trees of few leaves. The same temperature makes a tree with
many more leaves softer, since each level divides a row again, and its leaves vote on rows far from their own.
So some rows are held back from such a final tree, and decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from xrfm_cli.datasets import make_holdout
from xrfm_cli.datasets.schema.roles import read_groups
from xrfm_cli.events import Event, OnEvent
from xrfm_cli.trees import TreeModel
from xrfm_cli.tuning.limits import leaf_count
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator
from xrfm_cli.tuning.scoring.metrics import Array
from xrfm_cli.tuning.scoring.target_transforms import TransformName
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.run_step import TEMPERATURES

MOST_HELD_ROWS = 2_000  # the number of rows that validates the search of a large table
HELD_SHARE = 0.02  # of the rows, at most
MORE_LEAVES = 2  # times those of the validated tree: one level more hardly matters


def is_much_larger(problem: Problem, candidate: Candidate, validated: Candidate) -> bool:
    """Return whether a final tree has so many more leaves than the validated one that rows are held back."""
    if problem.pins.fix_temperature:
        return False
    leaves = leaf_count(len(problem.final.rows), candidate.tree.leaf_size)
    return leaves > MORE_LEAVES * leaf_count(len(problem.plan.folds[0].train), validated.tree.leaf_size)


@dataclass(kw_only=True, eq=False)
class HeldBack:
    """The rows that large trees of an ensemble leave out, which are the same for all of them."""

    problem: Problem
    on_event: OnEvent

    def places_for(self, candidate: Candidate, validated: Candidate) -> Rows | None:
        """Return the places of final rows that a tree leaves out; None if it is not much larger."""
        return self._places if is_much_larger(self.problem, candidate, validated) else None

    @cached_property
    def _places(self) -> Rows | None:
        """Draw the rows, and report how many they are; None if there are too few."""
        places = draw_places(self.problem)
        if not len(places):
            return None
        count = f"{len(places):,} rows are held back from the trees"
        message = f"{count}, to choose how softly their splits divide rows"
        self.on_event(Event(kind="note", message=message))
        return places


def draw_places(problem: Problem) -> Rows:
    """Draw some of the final rows, whole groups together and none of a rare class."""
    final, n = problem.final, len(problem.final.rows)
    count, groups = min(MOST_HELD_ROWS, int(HELD_SHARE * n)), read_groups(final.data.table, final.data.schema)
    if groups is not None and count:
        return make_holdout(n, share=count, seed=final.data.seed, groups=groups[final.rows])[1]
    places = np.arange(n)
    if final.data.n_classes:  # the few rows of a rare class are worth more to the leaves
        codes = final.data.y_true[final.rows]
        places = np.flatnonzero(np.bincount(codes)[codes] >= 1 / HELD_SHARE)
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
