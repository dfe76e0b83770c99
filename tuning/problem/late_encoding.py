"""Encode all rows for a late final fit: with the encoder of the first fold instead of a new one."""

from __future__ import annotations

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.tuning.problem.learning_data import EncodedRows
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.target_transforms import TransformName

SLOW_S = 0.5  # encoding that takes less is never left out


def rows_of_first_fold(
    problem: Problem, encoding: EncodingConfig, transform: TransformName, *, seconds_over: float
) -> EncodedRows | None:
    """Return all training rows as the first fold encoded them, if a new encoder would take too long.

    With thousands of columns, encoding takes longer than the fit. An encoder of four fifths of the rows
    differs little from one of all rows. None if there is time, if the encoding reads the target, or if the
    fold leaves rows out.

    Args:
        problem: the problem; its first fold was encoded for the search.
        encoding: of the final fit.
        transform: the target transform.
        seconds_over: by how much the final fit is expected to exceed the time limit.
    """
    rows, first = problem.plan.refit_rows, problem.plan.folds[0]
    if (
        seconds_over <= 0
        or problem.final.places is not None
        or problem.folds.encoding_s < SLOW_S
        or len(first.train) + len(first.valid) < len(rows)
    ):
        return None
    fold = problem.folds.matrices(0, encoding, transform)
    if fold.encoder.reads_target or problem.plan.scheme == "given rows":
        return None
    x = fold.x_train.new_empty(len(rows), fold.x_train.shape[1])
    x[first.train], x[first.valid] = fold.x_train, fold.x_valid
    return EncodedRows(encoder=fold.encoder, x=x, routed=None)
