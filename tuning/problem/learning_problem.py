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
from xrfm_cli.tuning.problem.validation_plan import ValidationPlan
from xrfm_cli.tuning.scoring.metrics import Metric


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Everything that candidates share."""

    data: LearningData
    plan: ValidationPlan
    folds: FoldCache
    scorer: Scorer
    pins: Pins
    limits: Limits
    memory_bytes: int

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
    ) -> Self:
        """Return the problem of rows that are validated by a plan and a metric."""
        folds = FoldCache(data=data, plan=plan, max_bytes=int(CACHE_SHARE * memory_bytes))
        return cls(
            data=data,
            plan=plan,
            folds=folds,
            scorer=Scorer(data=data, plan=plan, folds=folds, metric=metric),
            pins=pins,
            limits=limits,
            memory_bytes=memory_bytes,
        )

    @property
    def training_table(self) -> Table:
        """Return the training rows of the final models, with text parsed."""
        rows, table = self.plan.refit_rows, self.data.typed.table
        return table if len(rows) == table.n_rows else table.take(rows)

    def with_plan(self, plan: ValidationPlan) -> Self:
        """Return the same problem under another validation plan, with no fold encoded."""
        return self.of(
            self.data,
            plan,
            metric=self.scorer.metric,
            pins=self.pins,
            limits=self.limits,
            memory_bytes=self.memory_bytes,
        )

    def with_first_folds(self, count: int) -> Self:
        """Return the same problem validated on its first folds alone, as encoded so far."""
        plan = replace(self.plan, folds=self.plan.folds[:count])
        folds = replace(self.folds, plan=plan)
        return replace(self, plan=plan, folds=folds, scorer=replace(self.scorer, plan=plan, folds=folds))
