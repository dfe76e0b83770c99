"""How far the shares of the columns differ between models of different samples.

All models are measured on the same rows, so that their differences are those of the models alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.datasets import Table
from xrfm_cli.tuning.explain.sample import sample_table
from xrfm_cli.tuning.explain.swap_study import study_swaps
from xrfm_cli.tuning.model.fitted_model import FittedModel

Array = NDArray[np.float64]
COMMON_ROWS = 300  # differences of models on the same rows vary little


@dataclass(slots=True, kw_only=True, eq=False)
class Spread:
    """The shares of fold models and of the members of an ensemble on common rows."""

    rows: Table
    folds: int  # of the validation plan; fewer may be measured
    of_folds: list[Array] = field(default_factory=list)
    of_members: list[Array] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)  # of these members

    def add_fold(self, model: FittedModel, *, budget_ns: float) -> None:
        """Measure a model that was fitted on the training rows of a fold."""
        self.of_folds.append(self._shares(model, budget_ns))

    def add_members(self, model: FittedModel, *, budget_ns: float, has_time: Callable[[float], bool]) -> None:
        """Measure each member of an ensemble by itself, if there is time for all."""
        if len(model.members) < 2 or not has_time(len(model.members) * budget_ns):
            return
        for member in sorted(model.members, key=lambda own: -own.weight):
            alone = replace(model, members=(replace(member, weight=1.0),), intervals=None)
            self.of_members.append(self._shares(alone, budget_ns))
            self.weights.append(member.weight)

    def deviations(self) -> Array | None:  # -> (columns,)
        """Return the standard deviation of each share over samples; None if nothing was compared.

        By the law of total variance it has two parts. The part for given hyperparameters is the jackknife
        that leaves out one fold at a time, ``(k - 1)^2 / k`` times the variance over the fold models: Efron
        and Stein, Annals of Statistics 9 (1981). The part between hyperparameters is the variance over the
        members, whose hyperparameters suit the table.
        """
        parts = []
        if len(self.of_folds) > 1:
            parts.append((self.folds - 1) ** 2 / self.folds * np.var(self.of_folds, axis=0, ddof=1))
        if len(self.of_members) > 1:
            share = np.array(self.weights) / sum(self.weights)
            shares = np.array(self.of_members)
            parts.append(share @ np.square(shares - share @ shares))
        return np.sqrt(np.sum(parts, axis=0)) if parts else None

    def _shares(self, model: FittedModel, budget_ns: float) -> Array:
        return study_swaps(model, sample_table(model, self.rows), budget_ns=budget_ns).shares()


def common_rows(table: Table, rows: NDArray[np.int64], generator: np.random.Generator) -> Table:
    """Draw the rows that all models are measured on."""
    return table.take(np.sort(generator.permutation(rows)[:COMMON_ROWS]))
