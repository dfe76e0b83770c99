"""The learning problem of one fit: rows, validation plan, encoded folds and a scorer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from xrfm_cli.datasets import Table
from xrfm_cli.tuning.limits import Limits
from xrfm_cli.tuning.pins import Pins
from xrfm_cli.tuning.problem.fold_cache import CACHE_SHARE, FoldCache
from xrfm_cli.tuning.problem.learning_data import LearningData
from xrfm_cli.tuning.problem.scorer import Scorer
from xrfm_cli.tuning.problem.size_limit import SizeLimit
from xrfm_cli.tuning.problem.validation_plan import Rows, ValidationPlan
from xrfm_cli.tuning.scoring.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinalRows:
    """The rows of the final fits: those of the search, or more rows of the same table."""

    data: LearningData
    rows: Rows  # of ``data``
    places: Rows | None = None  # of the search's rows in ``data``; None if ``data`` is that of the search

    @property
    def table(self) -> Table:
        """Return the rows, with text parsed."""
        table = self.data.typed.table
        return table if len(self.rows) == table.n_rows else table.take(self.rows)

    def places_of(self, rows: Rows) -> Rows:
        """Return where rows of the search stand in ``data``."""
        return rows if self.places is None else self.places[rows]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Everything that candidates share."""

    data: LearningData  # the rows of the search
    plan: ValidationPlan
    final: FinalRows
    folds: FoldCache
    scorer: Scorer
    pins: Pins
    limits: Limits
    memory_bytes: int
    size: SizeLimit | None = None  # of the model file

    @classmethod
    def of(
        cls,
        data: LearningData,
        plan: ValidationPlan,
        *,
        metric: Metric,
        pins: Pins,
        limits: Limits,
        memory_bytes: int,
        final: FinalRows | None = None,
    ) -> Self:
        """Return the problem of rows that are validated by a plan and a metric.

        Without ``final``, the final fits use the training rows of the plan.
        """
        folds = FoldCache(data=data, plan=plan, max_bytes=int(CACHE_SHARE * memory_bytes))
        return cls(
            data=data,
            plan=plan,
            final=final or FinalRows(data=data, rows=plan.refit_rows),
            folds=folds,
            scorer=Scorer(data=data, plan=plan, folds=folds, metric=metric),
            pins=pins,
            limits=limits,
            memory_bytes=memory_bytes,
        )

    def with_plan(self, plan: ValidationPlan) -> Self:
        """Return the same problem under another validation plan, with no fold encoded."""
        found = self.of(
            self.data,
            plan,
            metric=self.scorer.metric,
            pins=self.pins,
            limits=self.limits,
            memory_bytes=self.memory_bytes,
            final=None if self.final.places is None else self.final,
        )
        return replace(found, size=self.size)

    def with_first_folds(self, count: int) -> Self:
        """Return the same problem validated on its first folds alone, as encoded so far."""
        plan = replace(self.plan, folds=self.plan.folds[:count])
        folds = replace(self.folds, plan=plan)
        return replace(self, plan=plan, folds=folds, scorer=replace(self.scorer, plan=plan, folds=folds))
