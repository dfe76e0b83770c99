"""Measurements of ``evaluate``: metrics of all rows and of groups, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.commands.common.reading import say_repairs
from xrfm_cli.commands.common.session import Session
from xrfm_cli.datasets import Table, UnreadColumns, encode_target, merge_repairs, read_weights
from xrfm_cli.datasets.cells.words import word_levels
from xrfm_cli.errors import OptionError, TargetError
from xrfm_cli.printable import counted
from xrfm_cli.streaming import in_blocks
from xrfm_cli.tuning.model.fitted_model import FittedModel, Prediction
from xrfm_cli.tuning.model.trained_rows import Overlap, hash_rows
from xrfm_cli.tuning.scoring.metrics import evaluate_metrics

UNSEEN = -2  # encode_target's code for a label that is not in the training data
MOST_GROUPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Rows with known targets, and the model's predictions."""

    model: FittedModel
    y: NDArray[np.generic]  # (n,) values or class codes
    prediction: NDArray[np.float64]  # (n,) values or (n, classes) probabilities
    weights: NDArray[np.float64] | None  # (n,)
    asked: tuple[str, ...] = ()  # metrics besides those of the task and of the fit

    def metrics(self, rows: NDArray[np.int64] | None = None) -> dict[str, float]:
        """Return every metric of these rows, or of all rows; empty if all weights are zero."""
        chosen = slice(None) if rows is None else rows
        weights = None if self.weights is None else self.weights[chosen]
        if weights is not None and not weights.any():
            return {}
        model = self.model
        return evaluate_metrics(
            model.target,
            self.y[chosen],
            self.prediction[chosen],
            weights,
            model.decision,
            asked=[model.report.metric, *self.asked],
        )

    def confusion(self) -> NDArray[np.int64] | None:
        """Return the confusion matrix, class by prediction, int64 (classes, classes); None for regression."""
        c = len(self.model.target.classes)
        if not c:
            return None
        codes = self.y.astype(np.int64) * c + self.model.labels(self.prediction)
        return np.bincount(codes, minlength=c * c).reshape(c, c)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The rows with the same value of a column."""

    column: str
    value: str | None  # None for missing values
    rows: NDArray[np.int64]  # row numbers in the table, in order


def score_table(model: FittedModel, table: Table, session: Session, *, asked: tuple[str, ...] = ()) -> Scored:
    """Predict a table in which every row has a target."""
    y = encode_target(table, model.target)
    if model.target.classes and (y == UNSEEN).any():
        first = int(np.argmax(y == UNSEEN))
        label = table.column(model.target.name)[first].as_py()
        raise TargetError(
            f"{table.source}: row {first + 1} has the class '{label}', which the model was not trained on; "
            "leave such rows out or fit again with them"
        )
    session.renderer.stage(f"scoring {counted(table.n_rows, 'row')}")
    parts, unread, rows = list[Prediction](), UnreadColumns(model.schema), 0
    for block in in_blocks([table]):
        parts.append(model.predict(block, before=rows))
        rows += block.n_rows
        session.renderer.advance_rows(rows, total=table.n_rows)
        unread.look(block, parts[-1].repairs)
    say_repairs(merge_repairs(item for part in parts for item in part.repairs), unread, session)
    weighted = [item.name for item in model.schema.columns if item.role == "weight"]
    weights = None
    if weighted and table.has_column(weighted[0]):
        weights = read_weights(table, model.schema)
        session.renderer.note(f"rows weighted by '{weighted[0]}', as in training")
    prediction = np.concatenate([_answer(part) for part in parts])
    return Scored(model=model, y=y, prediction=prediction, weights=weights, asked=asked)


def find_overlap(model: FittedModel, table: Table) -> Overlap | None:
    """Count the rows that the model was trained on; None for a file of an earlier version, without hashes."""
    if model.trained is None:
        return None
    return model.trained.overlap(hash_rows(table, model.schema, encode_target(table, model.target)))


def find_groups(table: Table, columns: Sequence[str]) -> list[Group]:
    """Return the groups of each column, the largest first.

    Raises SchemaError for a column that the table lacks and OptionError for a column with too many values.
    """
    groups = []
    for column in columns:
        levels = word_levels(table.column(column), table.decimal, is_typed=table.is_typed)
        texts = [*levels.values.to_pylist(), None]  # code -1 takes the last
        if len(texts) > MOST_GROUPS:
            raise OptionError(
                f"--by {column}: {table.source} has {len(texts) - 1:,} values in this column, and at most "
                f"{MOST_GROUPS:,} groups are compared; choose a column with fewer values"
            )
        order = np.argsort(levels.codes, kind="stable")
        codes, starts = np.unique(levels.codes[order], return_index=True)
        found = [
            Group(column=column, value=texts[code], rows=rows)
            for code, rows in zip(codes, np.split(order, starts[1:]), strict=True)
        ]
        groups += sorted(found, key=lambda group: (-len(group.rows), group.value is None, group.value or ""))
    return groups


def _answer(part: Prediction) -> NDArray[np.float64]:
    """Return values (n,) or probabilities (n, classes), depending on the task."""
    answer = part.values if part.probabilities is None else part.probabilities
    assert answer is not None
    return answer
