"""Complete missing cells from the other columns, for `benchmarks.missing_cells`.

A `Completion` belongs to an encoder and is fitted on the same training rows. It changes encoded rows alone:
the values of a column whose indicator says that the cell is missing become predictions of ridge regressions
on all other columns, repeated a few times, as scikit-learn's IterativeImputer does. Pieces of a number share
one regression, and predictors are always in the plain encoding of one column for a number. The indicators
stay. A completed row depends on that row alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from xrfm_cli.datasets import EncodingConfig, Table
from xrfm_cli.datasets.encoders import fitting
from xrfm_cli.datasets.encoders.table_encoder import ColumnGroup, Encoder
from xrfm_cli.tuning.problem import learning_data

Matrix = NDArray[np.float32]

ROUNDS = 3
RIDGE = 0.03  # times the number of rows
FEWEST_ROWS = 10  # with a value; a column with fewer stays as it is
KERNEL_ROWS, KERNEL_RIDGE = 1_000, 0.3
KINDS = {
    "linear": ("numeric", "boolean"),
    "kernel": ("numeric", "boolean"),
    "linear, categories too": ("numeric", "boolean", "categorical"),
}


@dataclass(frozen=True)
class Step:
    """A regression of one column's values on all other columns."""

    values: slice  # matrix columns to complete
    indicator: int  # the matrix column that is 1 where the cell is missing
    others: NDArray[np.int64]  # predictors, in the plain encoding
    model: Any

    @classmethod
    def fit(cls, group: ColumnGroup, own: ColumnGroup, x: Matrix, plain: Matrix, model: Any) -> Step | None:
        """Fit the rows that have a value; ``own`` is the group's place in the plain encoding."""
        present = np.flatnonzero(x[:, group.stop - 1] == 0)
        others = np.setdiff1d(np.arange(plain.shape[1]), np.arange(own.start, own.stop))
        if len(present) < FEWEST_ROWS or not len(others):
            return None
        values = slice(group.start, group.stop - 1)
        if isinstance(model, Ridge):
            model.set_params(alpha=RIDGE * len(present))
        else:
            present = np.random.default_rng(0).permutation(present)[:KERNEL_ROWS]
            model = CenteredKernelRidge(model)
        model.fit(plain[np.ix_(present, others)], x[present, values])
        return cls(values, group.stop - 1, others, model)

    def apply(self, x: Matrix, plain: Matrix) -> None:
        """Complete rows in place."""
        rows = np.flatnonzero(x[:, self.indicator] == 1)
        if len(rows):
            found = self.model.predict(plain[np.ix_(rows, self.others)])
            x[rows, self.values] = np.reshape(found, (len(rows), -1))


class CenteredKernelRidge:
    """A kernel ridge regression that predicts the mean far from all rows."""

    def __init__(self, model: KernelRidge) -> None:
        self.model = model

    def fit(self, x: Matrix, y: Matrix) -> None:
        """Fit the deviations from the mean; the width of the kernel is that of the number of columns."""
        self.mean = y.mean(0)
        self.model.set_params(gamma=0.5 / x.shape[1])
        self.model.fit(x, y - self.mean)

    def predict(self, x: Matrix) -> Matrix:
        """Return the predictions of rows."""
        return np.asarray(self.model.predict(x) + self.mean)


@dataclass(frozen=True)
class Completion:
    """The regressions of all columns with missing cells, in the order in which they are applied."""

    plain: Encoder  # one column for a number
    within: tuple[Step, ...]  # complete the plain encoding
    last: tuple[Step, ...]  # complete the encoding itself

    @classmethod
    def fit(cls, encoder: Encoder, x: Matrix, plain: Encoder, known: Matrix, how: str) -> Completion:
        """Fit on encoded training rows ``x`` and the same rows in the plain encoding ``known``."""
        known = known.copy()
        groups = {group.column: group for group in plain.groups}
        gaps = [group for group in plain.groups if _is_incomplete(group, known, KINDS[how])]
        within = []
        for _ in range(ROUNDS):
            for group in sorted(gaps, key=lambda group: float(known[:, group.stop - 1].mean())):
                step = Step.fit(group, group, known, known, Ridge())
                if step is not None:
                    step.apply(known, known)
                    within.append(step)
        last = [
            Step.fit(group, groups[group.column], x, known, KernelRidge(kernel="rbf", alpha=KERNEL_RIDGE))
            if how == "kernel"
            else Step.fit(group, groups[group.column], x, known, Ridge())
            for group in encoder.groups
            if group.column in groups and _is_incomplete(group, x, KINDS[how])
        ]
        return cls(plain, tuple(within), tuple(step for step in last if step is not None))

    def apply(self, table: Table, x: Matrix) -> None:
        """Complete encoded rows of a table in place."""
        if not self.last:
            return
        known, _ = self.plain.encode(table)
        for step in self.within:
            step.apply(known, known)
        for step in self.last:
            step.apply(x, known)


def _is_incomplete(group: ColumnGroup, x: Matrix, kinds: tuple[str, ...]) -> bool:
    is_marked = group.names[-1] == f"{group.column} missing" and len(group.names) > 1
    return is_marked and group.kind in kinds and bool((x[:, group.stop - 1] == 1).any())


@dataclass(frozen=True, kw_only=True, eq=False)
class CompletingEncoder(Encoder):
    """An encoder that completes missing cells."""

    completion: Completion

    def _encode_into(self, table: Table, x: Matrix, encoded: Any = None) -> Any:
        repairs = Encoder._encode_into(self, table, x)  # columns shared with other encoders stay as they are
        self.completion.apply(table, x)
        return repairs


def complete_cells(how: str) -> None:
    """Have fits complete missing cells, or leave them to the product's encoder with ``how="none"``."""

    def fit_encoder(table: Any, schema: Any, config: Any = None, **rest: Any) -> Any:
        encoder, x, seen = fitting.fit_encoder(table, schema, config, **rest)
        plain, known, known_seen = fitting.fit_encoder(
            table, schema, replace(config or EncodingConfig(), numeric="standard"), **rest
        )
        known = known if known_seen is None else known_seen
        completion = Completion.fit(encoder, x if seen is None else seen, plain, known, how)
        completing = CompletingEncoder(
            config=encoder.config, columns=encoder.columns, kinds=encoder.kinds, completion=completion
        )
        for rows in (x, seen):
            if rows is not None:
                completion.apply(table, rows)
        return completing, x, seen

    learning_data.fit_encoder = fitting.fit_encoder if how == "none" else fit_encoder  # type: ignore[attr-defined]
