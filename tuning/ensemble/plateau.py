"""Stop the search once its ensemble gains less than validation can tell apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.ensemble.candidates import CandidatePool, Entry
from xrfm_cli.tuning.problem.dependent_rows import split_dependent
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.problem.validation_plan import Rows
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]
CHECK_TRIALS = 5  # trials between two checks, as a selection of the ensemble takes up to a second
PATIENCE_TRIALS = 20  # trials over which the gain is measured: with fewer, chance ends searches early
BLOCKS = 20  # of validation rows, for the jackknife: more cost more and tell the noise no better
NOISE_SHARE = 0.1  # a gain of this share of the loss's standard error would need 100 times the rows to show
GAIN_ERRORS = 1.0  # gains of fewer standard errors may be chance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check:
    """The ensemble after some trials."""

    trials: int  # that had ended
    loss: float
    without: Array  # (BLOCKS,) losses without each block of validation rows


@dataclass(slots=True, kw_only=True, eq=False)
class Plateau:
    """Compares the ensemble with the one of PATIENCE_TRIALS trials before, on the same validation rows.

    It depends on losses alone, never on the clock, so a resumed search ends where an uninterrupted one does.
    """

    problem: Problem
    max_members: int
    reason: str = ""  # why the search has converged
    _checks: list[Check] = field(default_factory=list)
    _entries: dict[int, Entry] = field(default_factory=dict)  # by trial number

    def has_converged(self, result: SearchResult) -> bool:
        """Return whether the last trials gained less than validation can tell apart."""
        trials = len(result.records)
        if not result.validation_results or (
            self._checks and trials < self._checks[-1].trials + CHECK_TRIALS
        ):
            return False
        now = self._check(result)
        self._checks.append(now)
        before = [check for check in self._checks if check.trials <= trials - PATIENCE_TRIALS]
        if not before:
            return False
        gain = before[-1].loss - now.loss
        least = max(
            GAIN_ERRORS * jackknife_error(before[-1].without - now.without),
            NOISE_SHARE * jackknife_error(now.without),
        )
        if gain > least:
            return False
        ended = trials - before[-1].trials
        self.reason = (
            f"the search has converged: the last {ended} of {trials} trials improved the ensemble's "
            f"{self.problem.scorer.compared_by} by {max(gain, 0.0):.2g}, and the validation rows cannot tell "
            f"apart less than {least:.2g}"
        )
        return True

    def _check(self, result: SearchResult) -> Check:
        """Select the ensemble of all trials so far, and score it."""
        pool = CandidatePool.of(self.problem, result, known=self._entries)
        weights = pool.weights(self.max_members)
        predictions = pool.combined({k: weight for k, weight in enumerate(weights) if weight > 0})
        loss, every = self.problem.scorer.loss_of_predictions, np.arange(len(predictions))
        without = [loss(predictions, np.setdiff1d(every, block)) for block in self._blocks()]
        return Check(trials=len(result.records), loss=loss(predictions), without=np.array(without))

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
