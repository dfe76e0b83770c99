"""The trials that an ensemble is chosen from: out-of-fold predictions and cost of final fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from xrfm_cli.tuning.ensemble.selection import choose_candidates, greedy_weights
from xrfm_cli.tuning.problem.learning_problem import Problem
from xrfm_cli.tuning.scoring.calibration import MemberCalibrator, outcomes
from xrfm_cli.tuning.scoring.rounding import rounded
from xrfm_cli.tuning.search.candidate import Candidate
from xrfm_cli.tuning.search.cost import CostModel
from xrfm_cli.tuning.search.run_step import estimate_refit
from xrfm_cli.tuning.search.trial import ValidationResult
from xrfm_cli.tuning.search.trial_records import SearchResult

Array = NDArray[np.float64]
CANDIDATES = 20  # number of best trials that the ensemble is chosen from,
OF_EACH_KIND = 2  # plus the best of each kind
IDLE_SHARE = 0.001  # share of the loss by which a smaller ensemble may be worse


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """A finished trial that may become a member."""

    number: int  # of the trial
    validation_result: ValidationResult
    calibrator: MemberCalibrator | None  # of its class predictions; None for regression
    output: Array  # out-of-fold values ``(n,)`` or probabilities ``(n, classes)`` of all validation rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidatePool:
    """Finished trials of a search, best first."""

    problem: Problem
    costs: CostModel
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, problem: Problem, result: SearchResult, *, known: dict[int, Entry] | None = None) -> Self:
        """Select the best trials overall and of each kind, with their predictions.

        ``known`` keeps entries from one selection to the next, as calibrating them takes a while.

        For ranking metrics a constant is included only if nothing is better. Averaging it in does not change
        the order of rows: it would take weight without a gain and make the probabilities less informative.
        """
        ranked = sorted(result.validation_results, key=lambda item: (item[1].loss, item[0]))
        if problem.scorer.metric.is_ranking:
            ranked = ranked[:1] + [item for item in ranked[1:] if item[1].candidate.family != "constant"]
        kinds = [_kind(validation_result.candidate) for _, validation_result in ranked]
        places = choose_candidates(kinds, best=CANDIDATES, of_each_kind=OF_EACH_KIND)
        known = {} if known is None else known
        for number, validation_result in (ranked[place] for place in places):
            if number not in known:
                known[number] = _entry(problem, number, validation_result)
        entries = tuple(known[ranked[place][0]] for place in places)
        return cls(problem=problem, costs=result.costs, entries=entries)

    def weights(self, max_members: int) -> list[float]:
        """Return greedy weights of at most ``max_members`` members, one for each entry."""
        outputs = [entry.output for entry in self.entries]
        size, loss = self.problem.size, self.problem.scorer.loss_of_predictions
        if size is None:
            return greedy_weights(outputs, loss, max_members=max_members)
        trees = [
            (candidate.tree.leaf, candidate.encoding, candidate.tree.leaf_size)
            for candidate in (entry.validation_result.candidate for entry in self.entries)
        ]

        def fits(members: list[int]) -> bool:
            return size.has_room([trees[k] for k in members])

        return greedy_weights(outputs, loss, max_members=max_members, fits=fits)

    def affordable_weights(self, max_members: int, seconds: float) -> tuple[list[float], int]:
        """Return greedy weights of a large ensemble whose final fits end in time, and its largest size.

        One member is always allowed. Sizes are halved until one fits. None is tried if not even one final fit
        ends in time, because the selection among hundreds of candidates takes seconds itself.
        """
        members = min(max_members, len(self.entries))
        if seconds < min(map(self.entry_seconds, self.entries)):
            members = 1
        while members > 1:
            weights = self.weights(members)
            if self.refit_seconds(weights) <= seconds:
                return weights, members
            members //= 2
        return self.weights(1), 1

    def fewest_weights(self, weights: Sequence[float]) -> list[float]:
        """Return greedy weights of the fewest members whose loss is close to that of the given weights."""
        bound = self._loss(weights)
        bound += IDLE_SHARE * abs(bound)
        for members in range(1, int(np.count_nonzero(weights))):
            fewer = self.weights(members)
            if self._loss(fewer) <= bound:
                return fewer
        return list(weights)

    def _loss(self, weights: Sequence[float]) -> float:
        shares = {k: weight for k, weight in enumerate(weights) if weight > 0}
        return rounded(self.problem.scorer.loss_of_predictions(self.combined(shares)))

    def refit_seconds(self, weights: Sequence[float]) -> float:
        """Return the expected seconds of the final fits of all entries with a weight."""
        chosen = [entry for entry, weight in zip(self.entries, weights, strict=True) if weight > 0]
        return sum(self.entry_seconds(entry) for entry in chosen)

    def entry_seconds(self, entry: Entry, candidate: Candidate | None = None) -> float:
        """Return the expected seconds of an entry's final fit, or of a ``candidate`` in its place."""
        validation_result = entry.validation_result
        candidate = candidate or validation_result.candidate
        return estimate_refit(
            self.problem, self.costs, candidate, last_iterations=validation_result.last_iterations
        )

    def combined(self, shares: Mapping[int, float]) -> Array:
        """Return the weighted average of some entries' predictions, summed in the order of ``shares``."""
        start = np.zeros_like(self.entries[0].output)
        return sum((share * self.entries[k].output for k, share in shares.items()), start)


def _kind(candidate: Candidate) -> tuple[str, ...]:
    """Return the properties by which candidates are similar: those with equal ones make similar errors."""
    return (
        candidate.family,
        candidate.tree.leaf.metric_shape,
        candidate.encoding.numeric,
        candidate.transform,
    )


def _entry(problem: Problem, number: int, validation_result: ValidationResult) -> Entry:
    calibrator = problem.scorer.calibrator(
        validation_result.scores, problem.plan.validation_rows, validation_result.candidate.transform
    )
    output = outcomes(validation_result.scores, calibrator)
    return Entry(number=number, validation_result=validation_result, calibrator=calibrator, output=output)
