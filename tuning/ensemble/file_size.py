"""The size of a model file: an estimate of its parts, and the limit of a fit."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

from xrfm_cli.datasets import Encoder, EncodingConfig
from xrfm_cli.tuning.config import FitConfig
from xrfm_cli.tuning.ensemble.error_scale import MAX_ROWS
from xrfm_cli.tuning.model.report import MAX_PLOTTED_ROWS
from xrfm_cli.tuning.model.trained_rows import MOST_KEPT
from xrfm_cli.tuning.pins import TRANSFORM_CHOICES
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.size_limit import NUMBER_BYTES, SizeLimit

# Bytes besides the members' leaves: the report, predictions and interval scores of some rows, hashes of more
# rows, and the schema, encoder and profile of a column.
FIXED_BYTES, HASH_BYTES, COLUMN_BYTES = 60_000, 8, 700
PLOTTED_BYTES, PLOTTED_CLASS_BYTES = 32, 24  # of a row with a prediction, and of each class of several
SCORE_BYTES = 22  # of a validation row, for intervals: a number with all its digits
SPARE_SHARE = 0.05  # share of a limit, for the records of many trials and levels of categories


def facts_bytes(problem: Problem, rows: int, features: int = 0) -> int:
    """Estimate the bytes of a model file besides leaves; without features, also besides the error scale."""
    classes = problem.data.n_classes
    each = PLOTTED_BYTES + (PLOTTED_CLASS_BYTES * classes if classes > 2 else 0)
    plotted, hashed = each * min(rows, MAX_PLOTTED_ROWS), HASH_BYTES * min(rows, MOST_KEPT)
    error_scale = NUMBER_BYTES * _error_scale_rows(problem) * features
    plotted += 0 if problem.data.n_classes else SCORE_BYTES * len(problem.plan.validation_rows)
    return FIXED_BYTES + plotted + hashed + error_scale + COLUMN_BYTES * len(problem.data.schema.columns)


def limit_size(problem: Problem, config: FitConfig) -> Problem:
    """Return the problem with the limit on the size of its model, if there is one.

    Raises OptionError for a limit that is too small for the parts besides the leaves.
    """
    if config.max_model_bytes is None:
        return problem
    names = ("numeric_transform", "category_encoding")
    choices = [[problem.pins[name]] if name in problem.pins else TRANSFORM_CHOICES[name] for name in names]
    encodings = [EncodingConfig(numeric=n, category=c) for n, c in product(*choices)]
    columns, sizes, outputs = {}, {}, 0
    for encoding in encodings:  # the cache of folds decides how many of them stay in memory
        fold = problem.folds.matrices(0, encoding)
        columns[encoding], outputs = fold.x_train.shape[1], fold.y_train.shape[1]
        sizes[encoding] = encoder_bytes(fold.encoder)
    rows, limit = len(problem.final.rows), config.max_model_bytes
    size = SizeLimit.of(
        limit,
        facts_bytes(problem, rows) + int(SPARE_SHARE * limit),
        rows=rows,
        outputs=outputs,
        columns=columns,
        encoder_bytes=sizes,
        error_scale_rows=_error_scale_rows(problem),
    )
    return replace(problem, size=size)


def encoder_bytes(encoder: Encoder) -> int:
    """Return the bytes of an encoder's facts and of its arrays, such as knots."""
    plain, arrays = encoder.state()
    return len(json.dumps(plain, default=str)) + sum(array.nbytes for array in arrays.values())


def _error_scale_rows(problem: Problem) -> int:
    return 0 if problem.data.n_classes else min(len(problem.plan.validation_rows), MAX_ROWS)
