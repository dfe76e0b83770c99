"""The size of a model file: what it is made of, and the limit of a fit."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from xrfm_cli.datasets import EncodingConfig
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.error_scale import MAX_ROWS
from xrfm_cli.tuning.model.report import MAX_PLOTTED_ROWS
from xrfm_cli.tuning.model.trained_rows import MOST_KEPT
from xrfm_cli.tuning.pins import TRANSFORM_CHOICES
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.size_limit import SizeLimit

# Besides the members' leaves: the report, predictions and interval scores of some rows, hashes of more,
# and the schema, encoder and profile of a column.
FIXED_BYTES, PLOTTED_BYTES, HASH_BYTES, COLUMN_BYTES = 60_000, 100, 8, 700
SPARE_SHARE = 0.05  # of a limit: the records of many trials, and levels of categories


def facts_bytes(problem: Problem, rows: int, features: int) -> int:
    """Estimate the bytes of a model file besides the members' leaves."""
    plotted, hashed = PLOTTED_BYTES * min(rows, MAX_PLOTTED_ROWS), HASH_BYTES * min(rows, MOST_KEPT)
    error_scale = 0
    if not problem.data.n_classes:
        error_scale = 4 * min(len(problem.plan.validation_rows), MAX_ROWS) * features
    return FIXED_BYTES + plotted + hashed + error_scale + COLUMN_BYTES * len(problem.data.schema.columns)


def limit_size(problem: Problem, config: FitConfig) -> Problem:
    """Return the problem with the limit on the size of its model, if there is one.

    Raises OptionError for a limit below what a model takes besides its leaves.
    """
    if config.max_model_bytes is None:
        return problem
    names = ("numeric_transform", "category_encoding")
    choices = [[problem.pins[name]] if name in problem.pins else TRANSFORM_CHOICES[name] for name in names]
    encodings = [EncodingConfig(numeric=n, category=c) for n, c in product(*choices)]
    columns = {encoding: problem.folds.matrices(0, encoding).x_train.shape[1] for encoding in encodings}
    rows, limit = len(problem.final.rows), config.max_model_bytes
    size = SizeLimit.of(
        int((1 - SPARE_SHARE) * limit),
        facts_bytes(problem, rows, max(columns.values())),
        rows=rows,
        outputs=problem.folds.matrices(0, encodings[0]).y_train.shape[1],
        columns=columns,
    )
    return replace(problem, size=size)
