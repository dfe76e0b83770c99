"""Early stopping of the search: it ends once its ensemble gains less than validation can detect.

See ``docs/decisions/search.md`` for the figures behind the rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.ensemble.candidates import CandidatePool, Entry
from xrfm_cli.tuning.problem.dependent_rows import split_dependent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]
# Trials between two checks: at least this number, and at least this share of all trials so far, because a
# check may take as long as a trial.
CHECK_TRIALS, CHECK_SHARE = 5, 0.1
# The gain is measured over the last half of the trials, because gains become rarer. With fewer trials than
# PATIENCE_TRIALS in that half, chance would end searches.
PATIENCE_TRIALS, PATIENCE_SHARE = 20, 0.5
BLOCKS = 20  # of validation rows, for the jackknife: more cost time and estimate the noise no better
# To detect a gain of this share of the standard error, one would need about 25 times the validation rows.
NOISE_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check:
    """The ensemble after some trials."""

    trials: int  # that had ended,
    validated: int  # and of these, fully evaluated
    loss: float
    error: float  # standard error of the loss


@dataclass(slots=True, kw_only=True, eq=False)
class EarlyStopping:
    """Compares the ensemble with the one of half as many trials, on the same validation rows.

    It depends on losses alone, never on the clock, so a resumed search ends where an uninterrupted one does.
    """

    problem: Problem
    max_members: int
    reason: str = ""  # why the search has converged
    _checks: list[Check] = field(default_factory=list)
    _entries: dict[int, Entry] = field(default_factory=dict)  # by trial number

    def has_converged(self, result: SearchResult) -> bool:
        """Return whether the last trials gained less than validation can detect."""
        trials = len(result.records)
        since = trials - self._checks[-1].trials if self._checks else trials
        if not result.validation_results or since < max(CHECK_TRIALS, CHECK_SHARE * trials):
            return False
        now = self._check(result)
        self._checks.append(now)
        patience = max(PATIENCE_TRIALS, PATIENCE_SHARE * trials)
        before = [check for check in self._checks if check.trials <= trials - patience]
        if not before:
            return False
        gain, least = before[-1].loss - now.loss, NOISE_SHARE * now.error
        if gain > least:
            return False
        self.reason = (
            f"the search has converged: the last {trials - before[-1].trials} of {trials} trials improved "
            f"the ensemble's {self.problem.scorer.compared_by} by {max(gain, 0.0):.2g}, less than a fifth of "
            f"its standard error on the validation rows, {now.error:.2g}"
        )
        return True

    def _check(self, result: SearchResult) -> Check:
        """Select the ensemble of all trials so far, and score it."""
        trials, validated = len(result.records), len(result.validation_results)
        if self._checks and self._checks[-1].validated == validated:
            return replace(self._checks[-1], trials=trials)
        pool = CandidatePool.of(self.problem, result, known=self._entries)
        weights = pool.weights(self.max_members)
        predictions = pool.combined({k: weight for k, weight in enumerate(weights) if weight > 0})
        loss, every = self.problem.scorer.loss_of_predictions, np.arange(len(predictions))
        without = [loss(predictions, np.setdiff1d(every, block)) for block in self._blocks()]
        error = jackknife_error(np.array(without))
        return Check(trials=trials, validated=validated, loss=loss(predictions), error=error)

    def _blocks(self) -> list[Rows]:
        """Return positions of validation rows in independent blocks."""
        n = len(self.problem.plan.validation_rows)
        parts = min(BLOCKS, n)
        shuffled = np.random.default_rng([self.problem.data.seed, 6]).permutation(n)
        return split_dependent(self.problem, parts) or np.array_split(shuffled, parts)


def jackknife_error(without: Array) -> float:
    """Return the standard error of a statistic from its values without each of some equal blocks.

    >>> rows = np.arange(10.0)
    >>> without = np.array([np.delete(rows, k).mean() for k in range(10)])
    >>> bool(np.isclose(jackknife_error(without), rows.std(ddof=1) / math.sqrt(10)))
    True

    Efron and Stein, The jackknife estimate of variance, Annals of Statistics 9 (1981).
    """
    blocks = len(without)
    return math.sqrt((blocks - 1) / blocks * float(((without - without.mean()) ** 2).sum()))
